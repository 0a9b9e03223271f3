//! Out of the process over OTLP: the one set-up call, the way of each signal, and what became of what was sent.

mod builder;
mod delivery;
mod logs;
mod metrics;
mod otlp_json;
mod remarks;
mod telemetry;
mod tls;
mod transport;

pub use builder::{DEFAULT_QUEUE_SIZE, TelemetryBuilder};
pub use delivery::Delivery;
pub use logs::DEFAULT_LOG_QUEUE_SIZE;
pub use otlp_json::to_otlp_json;
pub use telemetry::{DEFAULT_SHUTDOWN_TIMEOUT, Telemetry, TelemetryError};
