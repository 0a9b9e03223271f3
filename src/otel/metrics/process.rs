//! What no event tells: what became of spans and what subscribers missed, read whenever the metrics are collected.

#[cfg(feature = "otlp")]
use std::sync::{Arc, Weak};

use opentelemetry::metrics::Meter;
#[cfg(feature = "otlp")]
use opentelemetry_sdk::trace::SdkTracer;

use super::instruments::{Description, SUBSCRIBER_LAGGED};
#[cfg(feature = "otlp")]
use super::instruments::{SPANS_DROPPED, SPANS_ENDED, SPANS_EXPORTED, SPANS_FAILED, SPANS_INTERRUPTED};
use crate::event;
#[cfg(feature = "otlp")]
use crate::otel::{SpanMapper, delivery::Counts};

/// Observes what the subscribers of all streams of the process miss from now on.
pub(super) fn observe_lag(meter: &Meter) {
    let before = event::lagged_events_in_process();
    observe(meter, &SUBSCRIBER_LAGGED, move || Some(event::lagged_events_in_process() - before));
}

/// Observes what becomes of spans.
#[cfg(feature = "otlp")]
pub(super) fn observe_spans(meter: &Meter, counts: &Arc<Counts>, mapper: &Arc<SpanMapper<SdkTracer>>) {
    let read = |number: fn(&Counts) -> u64| {
        let counts = Arc::clone(counts);
        move || Some(number(&counts))
    };
    observe(meter, &SPANS_ENDED, read(|counts| counts.read().ended));
    observe(meter, &SPANS_EXPORTED, read(|counts| counts.read().exported));
    observe(meter, &SPANS_FAILED, read(|counts| counts.read().failed));
    observe(meter, &SPANS_DROPPED, read(|counts| counts.read().dropped));
    // A meter provider of the user's may outlive the mapper, which holds the tracer provider.
    let mapper: Weak<_> = Arc::downgrade(mapper);
    observe(meter, &SPANS_INTERRUPTED, move || Some(mapper.upgrade()?.interrupted_spans()));
}

fn observe(meter: &Meter, description: &Description, read: impl Fn() -> Option<u64> + Send + Sync + 'static) {
    let builder = meter.u64_observable_counter(description.name).with_unit(description.unit);
    let builder = builder.with_description(description.text).with_callback(move |observer| {
        if let Some(number) = read() {
            observer.observe(number, &[]);
        }
    });
    // The provider keeps the callback; what is built is only a handle.
    builder.build();
}
