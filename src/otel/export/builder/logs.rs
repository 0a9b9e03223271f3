//! How log events are exported: there are none unless content is captured in events.

use opentelemetry_sdk::logs::{LogExporter, LogProcessor, SdkLoggerProvider};

use super::TelemetryBuilder;
use crate::otel::export::logs::LogsSetup;

impl TelemetryBuilder {
    /// How many log events wait for their export by default; one that finds the queue full is dropped and counted.
    ///
    /// The SDK's own default: each of them may hold several times
    /// [`DEFAULT_MAX_CONTENT_BYTES`](crate::otel::DEFAULT_MAX_CONTENT_BYTES).
    pub const DEFAULT_LOG_QUEUE_SIZE: usize = LogsSetup::DEFAULT_QUEUE_SIZE;

    /// Passes every log event to a processor of the user's as well; [`Telemetry::report`](crate::otel::Telemetry::report) does not count what it does.
    pub fn with_log_processor(mut self, processor: impl LogProcessor + 'static) -> Self {
        self.logs.add_processor(processor);
        self
    }

    /// Sends every log event to an exporter as well, through a queue of its own; each exporter counts for itself in
    /// [`Telemetry::report`](crate::otel::Telemetry::report).
    pub fn with_log_exporter(mut self, exporter: impl LogExporter + 'static) -> Self {
        self.logs.add_exporter(exporter);
        self
    }

    /// Uses a logger provider of the user's instead of making one; log exporters of this builder are not used then.
    pub fn with_logger_provider(mut self, provider: SdkLoggerProvider) -> Self {
        self.logs.provider = Some(provider);
        self
    }
}
