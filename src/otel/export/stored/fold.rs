//! Stored events onto the spans that have ended by them.

use std::{mem, sync::Arc, time::Duration};

use opentelemetry::Context;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};
use parking_lot::Mutex;

use crate::{
    event::{Event, EventScope, EventType, OpenComponents},
    otel::export::{
        plan::Plan,
        spans::{SpanBounds, SpansExport, SpansSetup},
    },
    store::StoredEvent,
};

/// Makes spans of events that come in the order of a store, and keeps those that have ended until they are taken.
pub(super) struct Fold {
    spans: SpansExport,
    ended: Ended,
    /// The components that are open.
    open: OpenComponents<()>,
    max_open: usize,
}

/// Keeps the spans that have ended.
#[derive(Clone, Debug, Default)]
struct Ended(Arc<Mutex<Vec<SpanData>>>);

impl Fold {
    pub(super) fn new(plan: &Plan, bounds: SpanBounds) -> Self {
        let ended = Ended::default();
        let mut setup = SpansSetup::default();
        setup.bounds = bounds;
        setup.add_processor(ended.clone());
        Self { spans: setup.start(plan), ended, open: OpenComponents::default(), max_open: bounds.max_open.max(1) }
    }

    /// Takes in the next event if it is a start or belongs to a component that is open here.
    pub(super) fn take(&mut self, stored: &StoredEvent) {
        let event = &*stored.event;
        let is_known = event.scope == EventScope::System || self.follow(event);
        if is_known {
            // What surrounds the caller has nothing to do with what was stored.
            let _nothing_around = Context::new().attach();
            self.spans.mapper.observe(event);
        }
    }

    /// The spans that have ended since the last call, in the order of their ends.
    pub(super) fn ended(&self) -> Vec<SpanData> {
        mem::take(&mut *self.ended.0.lock())
    }

    /// How many components have started and not ended.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    fn follow(&mut self, event: &Event) -> bool {
        match event.event_type {
            EventType::Started => {
                self.open.take_beyond(self.max_open);
                self.open.insert(event, event.workflow_id.as_deref().map(Arc::from), ());
                true
            }
            EventType::Progress => self.open.of(event).is_some(),
            EventType::Completed | EventType::Failed | EventType::Canceled => self.open.take(event).is_some(),
        }
    }
}

impl SpanProcessor for Ended {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.0.lock().push(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
