//! The layer beside others.

use std::sync::Arc;

use agent_runtime::{
    component::{self, RunOptions, Seed},
    ingest::ingest,
    otel::{EventIdGenerator, OtelLayer, SpanMapper},
    prelude::*,
    stream::TRACING_TARGET,
};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use parking_lot::Mutex;
use tracing::{Subscriber, info_span};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{LevelFilter, filter_fn},
    layer::{Context, SubscriberExt as _},
    registry,
    registry::LookupSpan,
};

use super::{find, outline};
use crate::support::{Recording, Spans, dispatch_of, process::run_child, spans};

fn events_of(stream: &EventStream) -> Vec<Event> {
    let mut reader = stream.subscribe_from(0);
    std::iter::from_fn(|| reader.try_recv().ok()).collect()
}

/// Keeps the names of the spans and the targets of the events that reach it.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Seen {
    fn on_new_span(&self, attributes: &tracing::span::Attributes<'_>, _: &tracing::span::Id, _: Context<'_, S>) {
        self.0.lock().push(attributes.metadata().name().to_owned());
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        self.0.lock().push(event.metadata().target().to_owned());
    }
}

/// A tool and, inside of it, a request; the tool's start waits until the request is made.
fn work() {
    let tool = info_span!(
        "execute_tool",
        gen_ai.operation.name = "execute_tool",
        gen_ai.tool.name = "ask",
        gen_ai.tool.call.id = tracing::field::Empty
    );
    let user = tool.in_scope(|| info_span!("user"));
    user.in_scope(|| drop(info_span!("chat", gen_ai.operation.name = "chat", gen_ai.request.model = "small")));
}

#[test]
fn other_layers_see_the_spans_and_no_events_and_keep_their_filters() {
    let (stream, recording) = (EventStream::new(), Recording::new());
    let (all, few) = (Seen::default(), Seen::default());
    let subscriber = registry()
        .with(few.clone().with_filter(filter_fn(|metadata| metadata.name() == "user")))
        .with(ingest(&stream))
        .with(recording.layer())
        .with(all.clone());
    tracing::dispatcher::with_default(&dispatch_of(subscriber), work);
    assert_eq!(*all.0.lock(), ["execute_tool", "user", "chat"]);
    assert_eq!(*few.0.lock(), ["user"], "what is appended in a callback leaves the filters of others alone");
    assert_eq!(recording.spans().tree(), "execute_tool ask\n  chat small\n");
    assert_eq!(outline(&events_of(&stream)), "execute_tool ask\n  chat small\n");
}

#[test]
fn it_asks_for_no_spans_and_events_but_its_own() {
    let said = run_child("ingest::beside::child_asks", &[]).stdout;
    assert!(said.contains("wants: [false, false, true, true]"), "{said}");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_asks() {
    let _default = tracing::subscriber::set_default(registry().with(ingest(&EventStream::new())));
    let wants = [
        !info_span!("user").is_disabled(),
        tracing::event_enabled!(tracing::Level::INFO),
        tracing::event_enabled!(tracing::Level::ERROR),
        !info_span!("t", gen_ai.operation.name = "execute_tool").is_disabled(),
    ];
    println!("wants: {wants:?}");
}

#[test]
fn every_bridge_of_the_registry_has_each_event_once_and_those_of_others_have_none() {
    let stream = EventStream::new();
    let recordings = [Recording::new(), Recording::new(), Recording::new()];
    let [first, second, other] = &recordings;
    let _elsewhere = dispatch_of(registry().with(other.layer()));
    let subscriber =
        registry().with(first.layer()).with(ingest(&stream)).with(second.layer().with_filter(EnvFilter::new("info")));
    tracing::dispatcher::with_default(&dispatch_of(subscriber), work);
    let trees = recordings.each_ref().map(|recording| recording.spans().tree());
    assert_eq!(trees, ["execute_tool ask\n  chat small\n", "execute_tool ask\n  chat small\n", ""]);
}

#[test]
fn progress_of_a_span_s_component_reaches_the_bridge() {
    let (stream, recording) = (EventStream::new(), Recording::new());
    let filter = EnvFilter::new(format!("info,{TRACING_TARGET}=debug"));
    let subscriber = registry().with(filter).with(ingest(&stream)).with(recording.layer());
    tracing::dispatcher::with_default(&dispatch_of(subscriber), || {
        let chat = info_span!("chat", gen_ai.operation.name = "chat", gen_ai.request.model = "small");
        for piece in ["Hel", "lo"] {
            chat.in_scope(|| component::reporter().chunk(piece));
        }
    });
    let events = events_of(&stream);
    assert_eq!((&events[3].data["response"], &events[3].data["chunk_count"]), (&json!("Hello"), &json!(2)));
    assert_eq!(spans::chunk_counts(recording.spans().one("chat small")).0, 2);
}

/// Runs a workflow whose agent, tool and request are spans of `tracing-opentelemetry`; returns the events and what was exported.
/// Both layers send to one exporter, so that a span that comes twice is there twice.
fn run_beside_tracing_opentelemetry(options: RunOptions, ours_is_last: bool) -> (Vec<Event>, Spans) {
    let stream = EventStream::new();
    let exporter = InMemorySpanExporter::default();
    let ids = EventIdGenerator::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).with_id_generator(ids).build();
    let ours = OtelLayer::new(Arc::new(SpanMapper::new(provider.tracer("ours"))));
    let tracer = provider.tracer("theirs");
    let dispatch = if ours_is_last {
        dispatch_of(
            registry().with(tracing_opentelemetry::layer().with_tracer(tracer)).with(ingest(&stream)).with(ours),
        )
    } else {
        let theirs = tracing_opentelemetry::layer().with_tracer(tracer).with_filter(LevelFilter::INFO);
        dispatch_of(registry().with(ours).with(theirs).with(ingest(&stream)))
    };
    tracing::dispatcher::with_default(&dispatch, || {
        let run = component::workflow(&stream, "report").with_options(options).start().expect("a run");
        run.enter(|| {
            let agent = info_span!(
                "agent",
                gen_ai.operation.name = "invoke_agent",
                gen_ai.agent.name = "writer",
                gen_ai.agent.description = tracing::field::Empty
            );
            agent.in_scope(|| {
                work();
                tracing::info!("on their span, once");
                component::tool("native").start().expect("a place").complete(());
            });
        });
        run.complete(());
    });
    (events_of(&stream), spans::of(exporter.get_finished_spans().expect("the exporter runs")))
}

/// The components that adopt a span, by their ids, and the names of the spans.
const ADOPTED: [(&str, &str); 3] = [("writer", "agent"), ("ask:0", "execute_tool"), ("writer:llm:0", "chat")];

#[test]
fn beside_tracing_opentelemetry_each_component_has_the_span_that_is_there() {
    for ours_is_last in [false, true] {
        let (events, spans) = run_beside_tracing_opentelemetry(RunOptions::default(), ours_is_last);
        let tree =
            "invoke_workflow report\n  agent\n    execute_tool\n      user\n        chat\n    execute_tool native\n";
        assert_eq!(spans.tree(), tree, "ours last: {ours_is_last}");
        for (id, name) in ADOPTED {
            for event in events.iter().filter(|event| event.component_id == id) {
                let span_id = event.trace.map(|trace| trace.span_id.to_bytes().to_vec());
                assert_eq!(span_id.as_ref(), Some(&spans.one(name).span_id), "{id} {}", event.event_type);
            }
        }
        assert_eq!(spans.one("agent").events.len(), 1, "{:?}", spans.one("agent").events);
    }
}

#[test]
fn a_seed_sets_the_ids_of_events_and_of_the_bridge_s_spans_and_leaves_adopted_spans_theirs() {
    for ours_is_last in [false, true] {
        let run = |attempt| {
            let options = RunOptions::default().with_seed(Seed::new("job", attempt));
            run_beside_tracing_opentelemetry(options, ours_is_last)
        };
        let ((events, spans), (again, spans_again), (later, spans_later)) = (run(1), run(1), run(2));
        let ids = |events: &[Event]| -> Vec<_> {
            events.iter().map(|event| (event.event_id, event.start_id, event.parent_start_id)).collect()
        };
        assert_eq!(ids(&events), ids(&again));
        assert!(ids(&events).iter().zip(ids(&later)).all(|(first, later)| first.0 != later.0));

        let traces = [&spans, &spans_again, &spans_later].map(Spans::trace_ids);
        assert_eq!(traces[0].len(), 1, "the adopted spans lie in the run's trace");
        assert!(traces.iter().all(|trace| *trace == traces[0]), "which follows from the run's id alone");
        for name in ["invoke_workflow report", "execute_tool native"] {
            assert_eq!(spans.one(name).span_id, spans_again.one(name).span_id, "{name} follows from the seed");
        }
        for (id, name) in ADOPTED {
            assert_ne!(spans.one(name).span_id, spans_again.one(name).span_id, "{name} is the other layer's");
            for (events, spans) in [(&events, &spans), (&again, &spans_again)] {
                let named = find(events, id, EventType::Started).trace.expect("a span");
                assert_eq!(spans.one(name).span_id, named.span_id.to_bytes(), "{id} names what there is");
            }
        }
    }
}
