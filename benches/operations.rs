//! The operations whose cost is counted, ours beside those of the peers.
//!
//! Four components are open around each: a workflow, its step, an agent and the agent's request. The stream's history is
//! full, so that each append also frees an event, and every span goes through a processor that exports it at once.

use std::{
    hint::black_box,
    pin::pin,
    sync::Arc,
    task::{Context as TaskContext, Waker},
    time::Duration,
};

use agent_runtime::{
    event::{AgentStarted, Event, LlmStarted, StepStarted, StepType, ToolCompleted, ToolStarted, WorkflowStarted},
    stream::EventStream,
};
use opentelemetry::{
    Context,
    trace::{Span as _, TraceContextExt as _, Tracer as _},
};
use opentelemetry_sdk::trace::{Sampler, SimpleSpanProcessor};
use serde_json::json;
use tokio::sync::broadcast;
use tracing::{Dispatch, info_span};

use crate::{
    BATCH, WORKFLOW_ID,
    backend::{Backend, Nowhere},
    chunk,
    peers::{sdk_tool, tracing_chunk, tracing_tool},
};

/// How many events a stream or a broadcast keeps here.
pub const KEPT: usize = 1_024;

/// Something to do again and again.
pub type Work = Box<dyn FnMut()>;

/// An operation and who listens to its events.
#[derive(Debug)]
pub struct Operation {
    pub name: &'static str,
    listener: Listener,
    work: fn(&Backend) -> Work,
}

#[derive(Clone, Copy, Debug)]
enum Listener {
    Nobody,
    Bridge,
    BridgeAndMetrics,
    Unsampled,
    UnsampledAndMetrics,
    TracingOpentelemetry,
    Ingest,
    IngestAndBridge,
}

const fn operation(name: &'static str, listener: Listener, work: fn(&Backend) -> Work) -> Operation {
    Operation { name, listener, work }
}

/// All of them, in the order of the table.
pub const OPERATIONS: [Operation; 24] = [
    operation("chunk: make", Listener::Nobody, |_| Box::new(|| drop(black_box(chunk())))),
    operation("chunk: make, append", Listener::Nobody, appended_chunk),
    operation("chunk: make, append, a reader takes it", Listener::Nobody, shared_chunk),
    operation("chunk: make, append, a reader takes a copy", Listener::Nobody, copied_chunk),
    operation("chunk: make, tokio broadcast of Arc, a receiver takes it", Listener::Nobody, broadcast_chunk),
    operation("chunk: bridged", Listener::Bridge, appended_chunk),
    operation("chunk: bridged, with metrics", Listener::BridgeAndMetrics, appended_chunk),
    operation("chunk: tracing-opentelemetry, lean", Listener::TracingOpentelemetry, traced_chunk),
    operation("chunk: bridged, unsampled", Listener::Unsampled, appended_chunk),
    operation("tool: make both events", Listener::Nobody, |_| Box::new(|| drop(black_box(tool())))),
    operation("tool: make both events, data as JSON", Listener::Nobody, |_| {
        Box::new(|| drop(black_box(tool_in_json())))
    }),
    operation("tool: make, append", Listener::Nobody, appended_tool),
    operation("tool: bridged", Listener::Bridge, appended_tool),
    operation("tool: bridged, data as JSON", Listener::Bridge, appended_tool_in_json),
    operation("tool: bridged, with metrics", Listener::BridgeAndMetrics, appended_tool),
    operation("tool: tracing-opentelemetry, lean", Listener::TracingOpentelemetry, traced_tool),
    operation("tool: ingested", Listener::Ingest, ingested_tool),
    operation("tool: ingested, bridged", Listener::IngestAndBridge, ingested_tool),
    operation("tool: SDK alone", Listener::Nobody, sdk_only_tool),
    operation("tool: bridged, unsampled", Listener::Unsampled, appended_tool),
    operation("tool: bridged, unsampled, with metrics", Listener::UnsampledAndMetrics, appended_tool),
    operation("stream: an event wakes 64 readers, which take it", Listener::Nobody, |_| woken_readers(64)),
    operation("stream: an event wakes 1,024 readers, which take it", Listener::Nobody, |_| woken_readers(1_024)),
    operation("stream: make, subscribe, drop", Listener::Nobody, |_| Box::new(unused_stream)),
];

impl Operation {
    /// Makes who listens, and what makes the work once that is the current subscriber.
    #[must_use]
    pub fn set_up(&self) -> (Dispatch, impl FnOnce() -> Work) {
        let sampler = match self.listener {
            Listener::Unsampled | Listener::UnsampledAndMetrics => Sampler::AlwaysOff,
            _ => Sampler::AlwaysOn,
        };
        let backend = Backend::new(sampler, SimpleSpanProcessor::new(Nowhere));
        // The stream of spans that become events; it is to be there as long as there is work.
        let stream = EventStream::builder().with_capacity(KEPT).build();
        let dispatch = match self.listener {
            Listener::Nobody => Dispatch::none(),
            Listener::Bridge | Listener::Unsampled => backend.bridge(),
            Listener::BridgeAndMetrics | Listener::UnsampledAndMetrics => backend.bridge_with_metrics(),
            Listener::TracingOpentelemetry => backend.tracing_lean(),
            Listener::Ingest => Backend::ingest(&stream),
            Listener::IngestAndBridge => backend.ingest_bridged(&stream),
        };
        let work = self.work;
        let start = move || {
            let mut work = work(&backend);
            Box::new(move || {
                // The providers stay up as long as there is work.
                let _up = (&backend, &stream);
                work();
            }) as Work
        };
        (dispatch, start)
    }
}

/// A stream with a run in it whose agent has asked its model.
fn run() -> EventStream {
    let stream = EventStream::builder().with_capacity(KEPT).build();
    let id = || Some(WORKFLOW_ID.to_owned());
    let input = || json!("topic");
    let step = StepStarted::new("draft", StepType::Agent, input());
    let agent = AgentStarted::new(input()).with_model("small");
    let messages = json!([{ "role": "user", "content": "topic" }]);
    let request = LlmStarted::new("openai", "small", messages).with_stream(true);
    let started = [
        Event::workflow_started("report", id(), None, WorkflowStarted::new(input())),
        Event::workflow_step_started("report:step:0", id(), None, step),
        Event::agent_started("writer", id(), None, agent),
        Event::llm_started("writer:llm:0", id(), None, request),
    ];
    started.into_iter().for_each(|event| append(&stream, event));
    stream
}

fn append(stream: &EventStream, event: Event) {
    drop(black_box(stream.append(event).expect("the event is valid")));
}

fn appended_chunk(_: &Backend) -> Work {
    let stream = run();
    Box::new(move || append(&stream, chunk()))
}

fn shared_chunk(_: &Backend) -> Work {
    let stream = run();
    let mut reader = stream.subscribe();
    Box::new(move || {
        append(&stream, chunk());
        drop(black_box(reader.try_recv_shared().expect("the event is there")));
    })
}

fn copied_chunk(_: &Backend) -> Work {
    let stream = run();
    let mut reader = stream.subscribe();
    Box::new(move || {
        append(&stream, chunk());
        drop(black_box(reader.try_recv().expect("the event is there")));
    })
}

fn broadcast_chunk(_: &Backend) -> Work {
    let sender = broadcast::Sender::<Arc<Event>>::new(KEPT);
    let mut receiver = sender.subscribe();
    Box::new(move || {
        sender.send(Arc::new(chunk())).expect("there is a receiver");
        drop(black_box(receiver.try_recv().expect("the event is there")));
    })
}

/// A span keeps [`BATCH`] events by default and only counts the others, so that each as many chunks have a span of their own.
fn traced_chunk(_: &Backend) -> Work {
    let around = ["invoke_workflow", "workflow_step", "invoke_agent"];
    let around = around.map(|name| info_span!("around", "otel.name" = name).entered());
    let mut request = None;
    let mut count = 0;
    Box::new(move || {
        let _around = &around;
        if count % BATCH == 0 {
            // The last one ends before the next begins.
            drop(request.take());
            request = Some(info_span!("chat small").entered());
        }
        tracing_chunk(count);
        count += 1;
    })
}

/// As the runtime says it.
fn tool() -> [Event; 2] {
    let id = || Some(WORKFLOW_ID.to_owned());
    let started = ToolStarted::new("search", json!({}));
    let completed = ToolCompleted::new("search", "found", Duration::from_millis(3));
    [Event::tool_started("search:0", id(), None, started), Event::tool_completed("search:0", id(), None, completed)]
}

/// As it is said by hand.
fn tool_in_json() -> [Event; 2] {
    let id = || Some(WORKFLOW_ID.to_owned());
    let started = json!({ "tool_name": "search", "arguments": {} });
    let completed = json!({ "tool_name": "search", "result": "found", "duration_ms": 3 });
    [Event::tool_started("search:0", id(), None, started), Event::tool_completed("search:0", id(), None, completed)]
}

fn appended_tool(_: &Backend) -> Work {
    let stream = run();
    Box::new(move || tool().into_iter().for_each(|event| append(&stream, event)))
}

fn appended_tool_in_json(_: &Backend) -> Work {
    let stream = run();
    Box::new(move || tool_in_json().into_iter().for_each(|event| append(&stream, event)))
}

fn traced_tool(_: &Backend) -> Work {
    let around = ["invoke_workflow", "workflow_step", "invoke_agent", "chat"];
    let around = around.map(|name| info_span!("around", "otel.name" = name).entered());
    Box::new(move || {
        let _around = &around;
        drop(tracing_tool());
    })
}

/// The same span, of which a component is made, in an agent that is one.
fn ingested_tool(_: &Backend) -> Work {
    let workflow = info_span!(
        "report",
        "gen_ai.operation.name" = "invoke_workflow",
        "gen_ai.workflow.name" = black_box("report"),
    );
    let workflow = workflow.entered();
    let agent = info_span!("writer", "gen_ai.operation.name" = "invoke_agent", "gen_ai.agent.name" = black_box("writer"));
    let agent = agent.entered();
    Box::new(move || {
        let _around = (&workflow, &agent);
        drop(tracing_tool());
    })
}

fn sdk_only_tool(backend: &Backend) -> Work {
    let tracer = backend.tracer().clone();
    let parent = Context::new().with_span(tracer.start("invoke_agent writer"));
    Box::new(move || sdk_tool(&tracer, &parent).end())
}

fn woken_readers(count: usize) -> Work {
    let stream = run();
    let mut readers: Vec<_> = (0..count).map(|_| stream.subscribe()).collect();
    let mut wait = move |there| {
        for reader in &mut readers {
            let mut poll = || pin!(reader.recv_shared()).poll(&mut TaskContext::from_waker(Waker::noop()));
            assert_eq!(there, there && poll().is_ready());
            assert!(poll().is_pending());
        }
    };
    wait(false);
    Box::new(move || {
        append(&stream, chunk());
        wait(true);
    })
}

fn unused_stream() {
    let stream = EventStream::new();
    drop(black_box((stream.subscribe(), stream)));
}
