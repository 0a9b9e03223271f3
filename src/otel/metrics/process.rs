//! What no event says, read whenever the metrics are collected.

#[cfg(feature = "otlp-http")]
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::instruments::{Description, SUBSCRIBER_LAGGED};
#[cfg(feature = "otlp-http")]
use crate::otel::names;
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

/// Has a meter read what went well and, under its `error.type`, what did not.
#[cfg(feature = "otlp-http")]
pub(in crate::otel) fn observe_by_error(
    meter: &Meter,
    description: &Description,
    error_type: &'static str,
    read: impl Fn() -> (u64, u64) + Send + Sync + 'static,
) {
    let builder = meter.u64_observable_counter(description.name).with_unit(description.unit);
    let builder = builder.with_description(description.text).with_callback(move |observer| {
        let (well, failed) = read();
        observer.observe(well, &[]);
        if failed > 0 {
            observer.observe(failed, &[KeyValue::new(names::ERROR_TYPE, error_type)]);
        }
    });
    builder.build();
}

/// Has a meter read a number that rises and falls.
#[cfg(feature = "otlp-http")]
pub(in crate::otel) fn observe_level(
    meter: &Meter,
    description: &Description,
    read: impl Fn() -> u64 + Send + Sync + 'static,
) {
    let builder = meter.i64_observable_up_down_counter(description.name).with_unit(description.unit);
    let builder = builder.with_description(description.text).with_callback(move |observer| {
        observer.observe(i64::try_from(read()).unwrap_or(i64::MAX), &[]);
    });
    builder.build();
}
