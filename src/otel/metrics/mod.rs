//! Events onto OpenTelemetry metrics.
//!
//! In flows each native event, through [`OtelLayer`](super::OtelLayer) or from elsewhere; out flow measurements into the
//! instruments of a [`Meter`](opentelemetry::metrics::Meter), which [`MetricsRecorder`] makes. Whether a span is sampled
//! changes nothing. Every label is bounded. The table of metrics is in the documentation of [`otel`](super).

mod counts;
mod instruments;
mod labels;
mod open;
mod price;
mod process;
mod recorder;
mod series;

#[cfg(feature = "otlp-http")]
pub(super) use instruments::{
    Description, OfSignals, SDK_EXPORTED, SDK_INFLIGHT, SDK_PROCESSED, SPANS_DROPPED, SPANS_ENDED, SPANS_EXPORTED,
    SPANS_FAILED, SPANS_INTERRUPTED,
};
pub use labels::DEFAULT_MAX_LABEL_VALUES;
pub use price::{Price, PriceError, PriceTable};
#[cfg(feature = "otlp-http")]
pub(super) use process::{observe, observe_by_error, observe_level};
pub use recorder::{DEFAULT_MAX_COMPONENT_AGE, DEFAULT_MAX_OPEN_COMPONENTS, MetricsRecorder};
