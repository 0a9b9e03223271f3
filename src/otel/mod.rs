//! Events onto OpenTelemetry: nested spans and metrics, exported over OTLP.
//!
//! In flows each native event, through [`OtelLayer`], in the order of its stream; out flow the spans that [`SpanMapper`]
//! makes of Started → end pairs, through an SDK tracer, and the measurements that [`MetricsRecorder`] makes, into the
//! instruments of a meter. [`Telemetry`] sets all of it up in one call.
#![doc = include_str!("../../docs/mapping.md")]

mod attributes;
mod bounded;
mod coalesce;
mod content;
#[cfg(feature = "otlp-http")]
mod export;
mod failure;
mod filters;
mod idle;
mod layer;
mod logs;
mod mapping;
mod metrics;
mod names;
mod process_context;
mod progress_signal;
mod propagation;
mod spans;
mod trace_url;
mod unfinished;

pub use coalesce::DEFAULT_MAX_PROGRESS_EVENTS;
#[cfg(feature = "redaction")]
pub use content::PatternRedactor;
pub use content::{
    CAPTURE_VARIABLE, ContentCapture, ContentPolicy, DEFAULT_MAX_CONTENT_BYTES, MAX_OPEN_CONTENT_BYTES, MAX_TEXT_BYTES,
    MIN_CONTENT_BYTES, Redactor, UnknownContentCapture,
};
#[cfg(feature = "otlp-http")]
pub use export::{
    AgainReport, CollectorAnswer, Delivery, ExportError, ExportFailure, ExportReport, MetricsReport, SignalReport,
    StoredExport, StoredExportError, Telemetry, TelemetryBuilder, TelemetrySetupError, ask_collector, to_otlp_json,
};
pub use filters::{BridgeFilter, NeighborFilter};
pub(crate) use idle::keep_idle_subscribers;
pub use layer::OtelLayer;
pub use logs::LogEmitter;
pub use metrics::{
    DEFAULT_MAX_COMPONENT_AGE, DEFAULT_MAX_LABEL_VALUES, DEFAULT_MAX_OPEN_COMPONENTS, MetricsRecorder, Price,
    PriceError, PriceTable,
};
#[cfg(feature = "testing")]
pub(crate) use names::EVENT_OFFSET;
pub use process_context::{context_from_env, pass_context_to};
pub use progress_signal::ProgressSignal;
pub use propagation::extract_context;
pub use spans::{DEFAULT_MAX_OPEN_SPANS, DEFAULT_MAX_SPAN_AGE, EventIdGenerator, Observed, SpanMapper};
pub use trace_url::{TraceUrl, TraceUrlError};
