//! Out of the process over OTLP: the one set-up call, the way of each signal, and what became of what was sent.

mod builder;
mod telemetry;

mod logs;
mod metrics;
mod spans;

mod batch;
mod check;
mod delivery;
mod error;
mod failure;
mod finishing;
mod globals;
mod plan;
mod reentry;
mod remarks;
mod report;
mod suppressed;

mod stored;

mod collector_client;
mod otlp;
mod runtime;
mod tls;

mod otlp_json;

pub use builder::TelemetryBuilder;
pub use check::{CollectorAnswer, ask_collector};
pub use delivery::Delivery;
pub use error::TelemetrySetupError;
pub use failure::ExportFailure;
pub use otlp_json::to_otlp_json;
pub use report::{ExportError, ExportReport, MetricsReport, SignalReport};
pub use stored::{AgainReport, StoredExport, StoredExportError};
pub use telemetry::Telemetry;
