//! What no event tells, read whenever the metrics are collected.

use opentelemetry::metrics::Meter;

use super::instruments::{Description, SUBSCRIBER_LAGGED};
use crate::stream::lagged_events_in_process;

/// Observes what the subscribers of all streams of the process miss from now on.
pub(super) fn observe_lag(meter: &Meter) {
    let before = lagged_events_in_process();
    observe(meter, &SUBSCRIBER_LAGGED, move || Some(lagged_events_in_process() - before));
}

/// Has a meter read a number; none where there is nothing to be read any more.
pub(in crate::otel) fn observe(
    meter: &Meter,
    description: &Description,
    read: impl Fn() -> Option<u64> + Send + Sync + 'static,
) {
    let builder = meter.u64_observable_counter(description.name).with_unit(description.unit);
    let builder = builder.with_description(description.text).with_callback(move |observer| {
        if let Some(number) = read() {
            observer.observe(number, &[]);
        }
    });
    // The provider keeps the callback; what is built is only a handle.
    builder.build();
}
