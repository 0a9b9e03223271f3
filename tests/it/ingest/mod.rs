//! Spans of other libraries as components.

mod beside;
mod content;
mod endings;
mod nesting;
mod rough;
mod same;
mod starting;
mod story;

use agent_runtime::{ingest::ingest, prelude::*, view::Tree};
use opentelemetry_proto::tonic::trace::v1::Span;
use tracing::Dispatch;
use tracing_subscriber::{layer::SubscriberExt as _, registry};

use crate::support::{Recording, Spans, assert_balanced, dispatch_of, spans};

/// A stream, and a registry that takes spans in for it and exports what becomes of them.
struct Scene {
    stream: EventStream,
    recording: Recording,
    dispatch: Dispatch,
}

impl Scene {
    fn new() -> Self {
        let (stream, recording) = (EventStream::new(), Recording::new());
        let dispatch = dispatch_of(registry().with(ingest(&stream)).with(recording.layer()));
        Self { stream, recording, dispatch }
    }

    /// Runs code under the registry; returns the events and the exported spans, which are over and agree with each other.
    fn run(self, work: impl FnOnce(&EventStream)) -> (Vec<Event>, Spans) {
        tracing::dispatcher::with_default(&self.dispatch, || work(&self.stream));
        self.check()
    }

    /// Each event is in its place, each Started has one end, and each component one exported span, whose ids its events have.
    fn check(self) -> (Vec<Event>, Spans) {
        let mut reader = self.stream.subscribe_from(0);
        let events: Vec<_> = std::iter::from_fn(|| reader.try_recv().ok()).collect();
        assert_balanced(&events);
        let spans = self.recording.spans();
        spans.assert_well_formed();
        let started = events.iter().filter(|event| event.event_type == EventType::Started);
        for event in started.clone() {
            let trace = event.trace.unwrap_or_else(|| panic!("{} has no span", event.component_id));
            let is_its = |span: &&Span| span.span_id == trace.span_id.to_bytes();
            let span = spans.iter().find(is_its).unwrap_or_else(|| panic!("{} was not exported", event.component_id));
            assert_eq!(spans::attribute(span, "agent_runtime.event.offset"), json!(event.offset));
        }
        assert_eq!(spans.len(), started.count(), "{}", spans.tree());
        (events, spans)
    }
}

fn outline(events: &[Event]) -> String {
    Tree::of(events).outline()
}

/// Each event as `component type`.
fn lines(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| format!("{} {}", event.component_id, event.event_type)).collect()
}

fn find<'a>(events: &'a [Event], component_id: &str, event_type: EventType) -> &'a Event {
    let is_it = |event: &&Event| event.component_id == component_id && event.event_type == event_type;
    events.iter().find(is_it).unwrap_or_else(|| panic!("no {event_type} of {component_id} in {:?}", lines(events)))
}
