//! How many events there were and how many components are open: counted by the event, read when metrics are collected.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use opentelemetry::{KeyValue, metrics::Meter};

use super::instruments::{COMPONENTS_ACTIVE, EVENTS};
use crate::{
    event::{EventScope, EventType},
    otel::names,
};

/// The numbers so far, by scope. An instrument that took each event would look up its attributes each time.
#[derive(Debug, Default)]
pub(super) struct EventCounts([OfScope; EventScope::ALL.len()]);

#[derive(Debug, Default)]
struct OfScope {
    events: [AtomicU64; EventType::ALL.len()],
    active: AtomicI64,
}

impl EventCounts {
    /// Makes numbers that a meter reads from now on.
    pub(super) fn read_by(meter: &Meter) -> Arc<Self> {
        let counts = Arc::<Self>::default();
        let events = Arc::clone(&counts);
        let builder = meter.u64_observable_counter(EVENTS.name).with_unit(EVENTS.unit).with_description(EVENTS.text);
        // The provider keeps the callbacks; what is built is only a handle.
        builder
            .with_callback(move |observer| {
                for scope in EventScope::ALL.iter().copied() {
                    for event_type in EventType::ALL.iter().copied() {
                        let type_label = KeyValue::new(names::EVENT_TYPE, event_type.as_str());
                        let count = events.events(scope, event_type).load(Ordering::Relaxed);
                        if count > 0 {
                            observer.observe(count, &[label(scope), type_label]);
                        }
                    }
                }
            })
            .build();
        let active = Arc::clone(&counts);
        let builder = meter.i64_observable_up_down_counter(COMPONENTS_ACTIVE.name);
        builder
            .with_unit(COMPONENTS_ACTIVE.unit)
            .with_description(COMPONENTS_ACTIVE.text)
            .with_callback(move |observer| {
                for scope in EventScope::ALL.iter().copied() {
                    if active.events(scope, EventType::Started).load(Ordering::Relaxed) > 0 {
                        observer.observe(active.active(scope).load(Ordering::Relaxed), &[label(scope)]);
                    }
                }
            })
            .build();
        counts
    }

    pub(super) fn event(&self, scope: EventScope, event_type: EventType) {
        self.events(scope, event_type).fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn opened(&self, scope: EventScope) {
        self.active(scope).fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn closed(&self, scope: EventScope) {
        self.active(scope).fetch_sub(1, Ordering::Relaxed);
    }

    fn events(&self, scope: EventScope, event_type: EventType) -> &AtomicU64 {
        &self.0[scope as usize].events[event_type as usize]
    }

    fn active(&self, scope: EventScope) -> &AtomicI64 {
        &self.0[scope as usize].active
    }
}

fn label(scope: EventScope) -> KeyValue {
    KeyValue::new(names::SCOPE, scope.as_str())
}
