//! What the bridge adds to an append, beside the SDK used directly and `tracing-opentelemetry`, all into a batch
//! processor whose exporter does nothing.
//!
//! Spans are four deep and say the same by the same keys everywhere; the figure is for one of them, from start to end.

use std::hint::black_box;

use agent_runtime::{
    event::{Event, EventData, EventType},
    stream::EventStream,
};
use criterion::{Bencher, BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime};
use fixtures::{
    BATCH, WORKFLOW_ID,
    backend::{Backend, Nowhere},
    chunks, config,
    peers::{sdk_tool, tracing_chunk, tracing_tool},
    time_batches,
};
use opentelemetry::{
    Context, KeyValue,
    trace::{Span as _, SpanBuilder, TraceContextExt as _, Tracer as _},
};
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, Span as SdkSpan};
use serde_json::json;
use tracing::{Dispatch, dispatcher, info_span, span::EnteredSpan};

/// How deep the spans are nested.
const DEPTH: u64 = 4;

/// How many nests are timed before the queue is emptied, so that no span is dropped.
const NESTS: u64 = 32;

/// How many events a stream keeps here: few, since what it costs to free a history that no cache holds is the matter of
/// the other benchmark.
const KEPT: usize = 1_024;

/// Into a batch processor that holds a whole batch of nests.
fn batching(sampler: Sampler) -> Backend {
    let config = BatchConfigBuilder::default().with_max_queue_size(16_384).build();
    Backend::new(sampler, BatchSpanProcessor::builder(Nowhere).with_batch_config(config).build())
}

fn tracing_layers(backend: &Backend) -> [(&'static str, Dispatch); 2] {
    [
        ("tracing_opentelemetry_lean", backend.tracing_lean()),
        ("tracing_opentelemetry_default", backend.tracing_default()),
    ]
}

/// What listens to the events of a benchmark.
type SetUp = fn(&Backend) -> Dispatch;

type Nest = ([Event; 4], [Event; 4]);

/// The starts of a workflow, its step, an agent and a tool, and their ends, innermost first.
fn nest() -> Nest {
    let id = || Some(WORKFLOW_ID.to_owned());
    let step = json!({ "step_name": "draft", "step_type": "agent", "input": "topic" });
    let step_end = json!({ "step_name": "draft", "output": "text", "duration_ms": 3 });
    let started = [
        Event::workflow_started("report", id(), None, json!({ "input": "topic" })),
        Event::workflow_step_started("report:step:0", id(), None, step),
        Event::agent_started("writer", id(), None, json!({ "input": "topic" })),
        Event::tool_started("search:0", id(), None, json!({ "tool_name": "search", "arguments": {} })),
    ];
    let ended = [
        Event::tool_completed("search:0", id(), None, json!({ "tool_name": "search", "result": "found" })),
        Event::agent_completed("writer", id(), None, json!({ "output": "text" })),
        Event::workflow_step_completed("report:step:0", id(), None, step_end),
        Event::workflow_completed("report", id(), None, json!({ "output": "text", "duration_ms": 4 })),
    ];
    (started, ended)
}

fn nests(count: u64) -> Vec<Nest> {
    (0..count).map(|_| nest()).collect()
}

fn append_nest(stream: &EventStream, (started, ended): Nest) {
    append_all(stream, started.into_iter().chain(ended));
}

fn append_all(stream: &EventStream, events: impl IntoIterator<Item = Event>) {
    for event in events {
        black_box(stream.append(event).is_ok());
    }
}

/// The same four spans by the SDK: the parent handed on by hand, no context made current.
fn sdk_nest(tracer: &SdkTracer) {
    let text = |text: &'static str| black_box(text).to_owned();
    let id = || KeyValue::new("agent_runtime.workflow.id", text(WORKFLOW_ID));
    let component = |id| KeyValue::new("agent_runtime.component.id", text(id));
    let offset = |offset: i64| KeyValue::new("agent_runtime.event.offset", black_box(offset));
    let start = |name: &'static str, attributes, parent: &Context| {
        let builder = SpanBuilder::from_name(text(name)).with_attributes(attributes);
        parent.with_span(tracer.build_with_context(builder, parent))
    };
    let workflow = vec![
        KeyValue::new("gen_ai.operation.name", "invoke_workflow"),
        KeyValue::new("gen_ai.workflow.name", text("report")),
        component("report"),
        id(),
        offset(0),
    ];
    let workflow = start("invoke_workflow report", workflow, &Context::new());
    let step = vec![
        KeyValue::new("agent_runtime.step.name", text("draft")),
        KeyValue::new("agent_runtime.step.type", "agent"),
        KeyValue::new("agent_runtime.step.index", black_box(0)),
        component("report:step:0"),
        id(),
        offset(1),
    ];
    let step = start("workflow_step draft", step, &workflow);
    let agent = vec![
        KeyValue::new("gen_ai.operation.name", "invoke_agent"),
        KeyValue::new("gen_ai.agent.name", text("writer")),
        component("writer"),
        id(),
        offset(2),
    ];
    let agent = start("invoke_agent writer", agent, &step);
    let tool = agent.with_span(sdk_tool(tracer, &agent));
    for context in [tool, agent, step, workflow] {
        context.span().end();
    }
}

/// The same four spans by the macros of `tracing`, entered as `#[instrument]` would.
fn tracing_nest() {
    let _workflow = info_span!(
        "invoke_workflow report",
        "gen_ai.operation.name" = "invoke_workflow",
        "gen_ai.workflow.name" = black_box("report"),
        "agent_runtime.component.id" = black_box("report"),
        "agent_runtime.workflow.id" = black_box(WORKFLOW_ID),
        "agent_runtime.event.offset" = black_box(0),
    )
    .entered();
    let _step = info_span!(
        "workflow_step draft",
        "agent_runtime.step.name" = black_box("draft"),
        "agent_runtime.step.type" = "agent",
        "agent_runtime.step.index" = black_box(0),
        "agent_runtime.component.id" = black_box("report:step:0"),
        "agent_runtime.workflow.id" = black_box(WORKFLOW_ID),
        "agent_runtime.event.offset" = black_box(1),
    )
    .entered();
    let _agent = info_span!(
        "invoke_agent writer",
        "gen_ai.operation.name" = "invoke_agent",
        "gen_ai.agent.name" = black_box("writer"),
        "agent_runtime.component.id" = black_box("writer"),
        "agent_runtime.workflow.id" = black_box(WORKFLOW_ID),
        "agent_runtime.event.offset" = black_box(2),
    )
    .entered();
    let _tool = tracing_tool();
}

/// Times nests and gives the time of as many spans as criterion asked for.
fn time_spans<B>(
    bencher: &mut Bencher<'_>,
    backend: &Backend,
    mut prepare: impl FnMut(u64) -> B,
    mut run: impl FnMut(B),
) {
    bencher.iter_custom(|spans| {
        let nests = spans.div_ceil(DEPTH);
        let spent = time_batches(nests, NESTS, &mut prepare, &mut run, |()| backend.flush());
        spent.mul_f64(spans as f64 / (nests * DEPTH) as f64)
    });
}

fn spans(criterion: &mut Criterion) {
    for (kept, backend) in [("span", batching(Sampler::AlwaysOn)), ("span_unsampled", batching(Sampler::AlwaysOff))] {
        let mut group = criterion.benchmark_group(kept);
        let bridges: [(&str, SetUp); 3] = [
            ("append_without_bridge", |_| Dispatch::none()),
            ("bridge", Backend::bridge),
            ("bridge_with_metrics", Backend::bridge_with_metrics),
        ];
        for (name, dispatch) in bridges {
            // Made no earlier: a callsite remembers what the only subscriber of the process wanted when it was first run.
            let dispatch = dispatch(&backend);
            let stream = EventStream::builder().with_capacity(KEPT).build();
            let append = |nests: Vec<Nest>| nests.into_iter().for_each(|nest| append_nest(&stream, nest));
            group.bench_function(name, |bencher| {
                dispatcher::with_default(&dispatch, || time_spans(bencher, &backend, nests, append));
            });
            group.bench_function(format!("{name}_and_events"), |bencher| {
                let run = |count| (0..count).for_each(|_| append_nest(&stream, nest()));
                dispatcher::with_default(&dispatch, || time_spans(bencher, &backend, |count| count, run));
            });
        }
        group.bench_function("sdk", |bencher| {
            time_spans(bencher, &backend, |count| count, |count| (0..count).for_each(|_| sdk_nest(backend.tracer())));
        });
        for (name, dispatch) in tracing_layers(&backend) {
            group.bench_function(name, |bencher| {
                let run = |count| (0..count).for_each(|_| tracing_nest());
                dispatcher::with_default(&dispatch, || time_spans(bencher, &backend, |count| count, run));
            });
        }
        group.finish();
    }
}

/// What is open when a chunk comes.
#[derive(Clone, Copy)]
struct Surroundings {
    /// Workflows inside one another around the request.
    depth: u64,
    /// Tools that run beside it.
    beside: u64,
    prompt_bytes: usize,
}

const ALONE: Surroundings = Surroundings { depth: 0, beside: 0, prompt_bytes: 100 };

impl Surroundings {
    /// Their starts; the request is the last and in the innermost workflow.
    fn started(self) -> Vec<Event> {
        let id = |level: u64| Some(if level + 1 < self.depth { format!("wf_{level}") } else { WORKFLOW_ID.to_owned() });
        let workflow = |level: u64| {
            let parent = level.checked_sub(1).and_then(id);
            Event::workflow_started("nested", id(level), parent, json!({ "input": "topic" }))
        };
        let beside = |number| {
            Event::tool_started(
                format!("search:{number}"),
                Some(WORKFLOW_ID.to_owned()),
                None,
                json!({ "arguments": {} }),
            )
        };
        let messages = json!([{ "role": "user", "content": "x".repeat(self.prompt_bytes) }]);
        let request = json!({ "messages": messages, "model": "small", "stream": true, "provider": "openai" });
        let request = Event::llm_started("writer:llm:0", Some(WORKFLOW_ID.to_owned()), None, request);
        (0..self.depth).map(workflow).chain((0..self.beside).map(beside)).chain([request]).collect()
    }

    /// The end of each, innermost first.
    fn ended(started: &[Event]) -> impl Iterator<Item = Event> {
        started.iter().rev().map(|start| {
            let (workflow_id, parent) = (start.workflow_id.clone(), start.parent_workflow_id.clone());
            Event::new(start.scope, EventType::Completed, start.component_id.clone(), None, EventData::default())
                .in_workflow(workflow_id, parent)
        })
    }
}

/// Chunks through the bridge; each batch has a request of its own.
fn bridged_chunks(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    backend: &Backend,
    dispatch: &Dispatch,
    surroundings: Surroundings,
) {
    let stream = EventStream::builder().with_capacity(KEPT).build();
    group.bench_function(name, |bencher| {
        let time = |iterations| {
            let prepare = |count| {
                let started = surroundings.started();
                append_all(&stream, started.iter().cloned());
                (started, chunks(count))
            };
            let run = |(started, chunks): (Vec<Event>, Vec<Event>)| {
                append_all(&stream, chunks);
                started
            };
            let settle = |started: Vec<Event>| {
                append_all(&stream, Surroundings::ended(&started));
                backend.flush();
            };
            time_batches(iterations, BATCH, prepare, run, settle)
        };
        dispatcher::with_default(dispatch, || bencher.iter_custom(time));
    });
}

fn chunks_and_events(criterion: &mut Criterion) {
    let backend = batching(Sampler::AlwaysOn);
    let mut group = criterion.benchmark_group("chunk");
    let bridge = backend.bridge();
    let mut chunks = |name, surroundings| bridged_chunks(&mut group, name, &backend, &bridge, surroundings);
    chunks("bridge", ALONE);
    chunks("bridge_depth_16", Surroundings { depth: 15, ..ALONE });
    chunks("bridge_beside_64_tools", Surroundings { beside: 64, ..ALONE });
    chunks("bridge_prompt_4096_bytes", Surroundings { prompt_bytes: 4096, ..ALONE });
    bridged_chunks(&mut group, "bridge_with_metrics", &backend, &backend.bridge_with_metrics(), ALONE);
    let off = batching(Sampler::AlwaysOff);
    bridged_chunks(&mut group, "bridge_unsampled", &off, &off.bridge(), ALONE);
    group.bench_function("sdk", |bencher| {
        let prepare = |count: u64| (count, backend.tracer().start("chat small"));
        let run = |(count, mut span): (u64, SdkSpan)| {
            for offset in 0..count {
                span.add_event(
                    "agent_runtime.llm.chunk",
                    vec![
                        KeyValue::new("agent_runtime.llm.chunk_count", 1),
                        KeyValue::new("agent_runtime.event.offset", black_box(offset.cast_signed())),
                    ],
                );
            }
            span
        };
        let settle = |span: SdkSpan| {
            drop(span);
            backend.flush();
        };
        bencher.iter_custom(|iterations| time_batches(iterations, BATCH, prepare, run, settle));
    });
    for (name, dispatch) in tracing_layers(&backend) {
        group.bench_function(name, |bencher| {
            let prepare = |count: u64| (count, info_span!("chat small").entered());
            let run = |(count, span): (u64, EnteredSpan)| {
                for offset in 0..count {
                    tracing_chunk(offset);
                }
                span
            };
            let settle = |span: EnteredSpan| {
                drop(span);
                backend.flush();
            };
            let time = |iterations| time_batches(iterations, BATCH, prepare, run, settle);
            dispatcher::with_default(&dispatch, || bencher.iter_custom(time));
        });
    }
    group.finish();
}

/// A request with a short and with a long prompt: what the bridge does not export, it must not pay for.
fn payloads(criterion: &mut Criterion) {
    let backend = batching(Sampler::AlwaysOn);
    let mut group = criterion.benchmark_group("span_payload");
    for prompt_bytes in [100, 4096] {
        let stream = EventStream::builder().with_capacity(KEPT).build();
        let prepare = |count: u64| -> Vec<Vec<Event>> {
            let started = || Surroundings { prompt_bytes, ..ALONE }.started();
            let pair = |_| {
                let started = started();
                let ended: Vec<_> = Surroundings::ended(&started).collect();
                started.into_iter().chain(ended).collect()
            };
            (0..count).map(pair).collect()
        };
        let run = |pairs: Vec<Vec<Event>>| append_all(&stream, pairs.into_iter().flatten());
        group.bench_function(format!("bridge_prompt_{prompt_bytes}_bytes"), |bencher| {
            let time = |iterations| time_batches(iterations, BATCH, prepare, run, |()| backend.flush());
            dispatcher::with_default(&backend.bridge(), || bencher.iter_custom(time));
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = config(); targets = spans, payloads, chunks_and_events }
criterion_main!(benches);
