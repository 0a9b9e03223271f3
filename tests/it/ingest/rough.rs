//! What no library should do, and what nobody can help.

use std::fmt;

use agent_runtime::{
    ingest::{MAX_OPEN_SPANS, MAX_SPAN_BYTES, ingest},
    prelude::*,
};
use tracing::{Span, info_span};
use tracing_subscriber::{layer::SubscriberExt as _, registry};

use super::{Scene, lines};
use crate::support::{assert_balanced, dispatch_of};

fn tool(name: &str) -> Span {
    info_span!("t", gen_ai.operation.name = "execute_tool", gen_ai.tool.name = name)
}

#[test]
fn a_value_that_panics_or_traces_while_it_is_written_costs_itself() {
    struct Panics;
    impl fmt::Debug for Panics {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("not today");
        }
    }
    struct Traces;
    impl fmt::Debug for Traces {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            drop(tool("hidden"));
            f.write_str("traced")
        }
    }
    let (events, _) = Scene::new().run(|_| {
        let span = info_span!(
            "t",
            gen_ai.operation.name = "execute_tool",
            gen_ai.tool.name = "search",
            gen_ai.tool.description = ?Traces,
            gen_ai.tool.call.id = ?Panics,
        );
        span.record("gen_ai.tool.description", tracing::field::debug(Traces));
    });
    let started = events.iter().find(|event| event.component_id == "search:0").expect("it starts");
    assert_eq!((&started.data["description"], &started.data["tool_call_id"]), (&json!("traced"), &json!(null)));
}

#[test]
fn values_of_other_types_than_they_should_be_are_read_or_left() {
    let (events, _) = Scene::new().run(|_| {
        let span = info_span!(
            "c",
            gen_ai.operation.name = ?"chat",
            gen_ai.request.model = 7,
            gen_ai.request.temperature = "0.5",
            gen_ai.request.max_tokens = "many",
            server.port = -1,
            gen_ai.usage.input_tokens = "12",
            gen_ai.usage.output_tokens = -3,
            gen_ai.output.messages = "[{",
            gen_ai.response.finish_reasons = ?["stop"],
        );
        drop(span);
        drop(info_span!("c", gen_ai.operation.name = "chat", gen_ai.output.messages = "[{"));
    });
    // A value in the notation of `Debug` has quotes, and so is no operation that is known.
    assert_eq!(lines(&events), ["workflow:llm:0 started", "workflow:llm:0 completed"]);
    assert_eq!(events[1].data["response"], "[{");
}

#[test]
fn text_is_kept_up_to_a_bound() {
    let (events, _) = Scene::new().run(|_| {
        let text = "é".repeat(MAX_SPAN_BYTES);
        let span = info_span!(
            "t",
            gen_ai.operation.name = "execute_tool",
            gen_ai.tool.name = "search",
            gen_ai.tool.call.result = tracing::field::Empty,
            gen_ai.tool.call.id = tracing::field::Empty,
        );
        for _ in 0..3 {
            span.record("gen_ai.tool.call.result", &*text);
            span.record("gen_ai.tool.call.result", tracing::field::display(&text));
        }
    });
    let kept = events[1].data["result"].as_str().expect("a text").len();
    assert!((MAX_SPAN_BYTES - 100..=MAX_SPAN_BYTES).contains(&kept), "{kept}");
}

#[test]
fn more_spans_than_there_is_room_for_are_refused_and_counted() {
    let stream = EventStream::builder().with_capacity(4 * MAX_OPEN_SPANS).with_capacity_bytes(usize::MAX).build();
    let dispatch = dispatch_of(registry().with(ingest(&stream)));
    tracing::dispatcher::with_default(&dispatch, || {
        let spans: Vec<_> = (0..MAX_OPEN_SPANS + 3).map(|_| tool("search")).collect();
        assert_eq!(stream.next_offset(), MAX_OPEN_SPANS as u64 + 2);
        drop(spans);
        drop(tool("after"));
    });
    let mut reader = stream.subscribe_from(0);
    let events: Vec<_> = std::iter::from_fn(|| reader.try_recv().ok()).collect();
    assert_balanced(&events);
    let refused: Vec<_> = events.iter().filter(|event| event.scope == EventScope::System).collect();
    assert_eq!(refused.iter().map(|event| event.data["refused"].clone()).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(events.last().map(|event| event.component_id.as_str()), Some("after:0"));
}

#[test]
fn a_span_that_never_closes_ends_with_its_subscriber() {
    let stream = EventStream::new();
    let dispatch = dispatch_of(registry().with(ingest(&stream)));
    tracing::dispatcher::with_default(&dispatch, || std::mem::forget(tool("search").entered()));
    drop(dispatch);
    // A span that is forgotten holds its subscriber.
    let mut reader = stream.subscribe_from(0);
    assert_eq!(reader.try_recv().expect("it started").component_id, "search:0");
    assert!(reader.try_recv().is_err());
}

#[test]
fn the_layer_keeps_no_stream_open_and_needs_none() {
    let stream = EventStream::new();
    let dispatch = dispatch_of(registry().with(ingest(&stream)));
    let mut reader = stream.subscribe();
    drop(stream);
    assert!(matches!(reader.try_recv(), Err(agent_runtime::stream::TryRecvError::Closed)));
    tracing::dispatcher::with_default(&dispatch, || drop(tool("search")));
}

#[test]
fn a_span_that_is_made_by_a_reader_of_events_makes_no_more_of_them() {
    use opentelemetry_sdk::trace::{Sampler, SamplingResult, ShouldSample};

    /// Makes a span of the kind that is taken in, whenever it is asked.
    #[derive(Clone, Debug)]
    struct Tracing;
    impl ShouldSample for Tracing {
        fn should_sample(
            &self,
            parent: Option<&opentelemetry::Context>,
            trace_id: opentelemetry::TraceId,
            name: &str,
            kind: &opentelemetry::trace::SpanKind,
            attributes: &[opentelemetry::KeyValue],
            links: &[opentelemetry::trace::Link],
        ) -> SamplingResult {
            drop(tool("sampler"));
            Sampler::AlwaysOn.should_sample(parent, trace_id, name, kind, attributes, links)
        }
    }
    use opentelemetry::trace::TracerProvider as _;

    let stream = EventStream::new();
    let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().with_sampler(Tracing).build();
    let mapper = agent_runtime::otel::SpanMapper::new(provider.tracer("test"));
    let layer = agent_runtime::otel::OtelLayer::new(std::sync::Arc::new(mapper));
    let dispatch = dispatch_of(registry().with(ingest(&stream)).with(layer));
    tracing::dispatcher::with_default(&dispatch, || drop(tool("search")));
    let mut reader = stream.subscribe_from(0);
    let events: Vec<_> = std::iter::from_fn(|| reader.try_recv().ok()).collect();
    assert_balanced(&events);
    assert!(events.iter().filter(|event| event.component_id == "search:0").count() == 2);
}
