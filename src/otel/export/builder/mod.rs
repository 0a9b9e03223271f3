//! How the export is set up: what is common, then what each signal has.

mod definition;
mod logs;
mod metrics;
mod spans;

pub use definition::TelemetryBuilder;
