//! The way of log events out of the process: provider, queue, exporter, and their end.

use std::{env, fmt, sync::Arc, time::Duration};

use opentelemetry::{InstrumentationScope, logs::LoggerProvider as _};
use opentelemetry_otlp::{LogExporter as OtlpExporter, Protocol, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    logs::{
        BatchConfigBuilder, BatchLogProcessor, LogBatch, LogExporter, LogProcessor, LoggerProviderBuilder,
        SdkLogRecord, SdkLoggerProvider,
    },
};

use super::{
    Delivery, TelemetryBuilder, TelemetryError,
    delivery::{Counts, Queue},
    tls::{over_grpc, over_http},
    transport::{ExportRuntime, Signal, protocol_from_env, quietly},
};
use crate::otel::{ContentPolicy, LogEmitter};

/// How many log events wait for their export by default; one that finds the queue full is dropped and counted.
///
/// The SDK's own default: each of them may hold several times [`DEFAULT_MAX_CONTENT_BYTES`](crate::otel::DEFAULT_MAX_CONTENT_BYTES).
pub const DEFAULT_LOG_QUEUE_SIZE: usize = 2_048;

/// What the builder is told about log events.
#[derive(Default)]
pub(super) struct LogsSetup {
    /// Each adds its processor, whose thread starts with it and would outlive a builder that is not built.
    processors: Vec<Box<AddProcessor>>,
    provider: Option<SdkLoggerProvider>,
    counts: Arc<Counts>,
}

type AddProcessor = dyn FnOnce(LoggerProviderBuilder, &ContentPolicy) -> LoggerProviderBuilder + Send;

/// The log events of a running export.
pub(super) struct LogsExport {
    pub(super) provider: SdkLoggerProvider,
    pub(super) emitter: Arc<LogEmitter>,
    counts: Arc<Counts>,
    owns_provider: bool,
}

/// Counts the log events that go into the queue.
#[derive(Debug)]
struct CountingProcessor {
    inner: BatchLogProcessor,
    queue: Arc<Queue>,
}

/// Counts the log events that come out of the queue, and polls the exporter inside of the runtime that its connections
/// need, with `tracing` off.
#[derive(Debug)]
struct CountingExporter<E> {
    inner: E,
    queue: Arc<Queue>,
    runtime: Option<ExportRuntime>,
}

/// How log events are exported. There are none unless [content](Self::with_content_capture) is captured in events.
impl TelemetryBuilder {
    /// Gives every log event to a processor of the user's as well; [`Telemetry::log_delivery`] does not count what it
    /// does.
    ///
    /// [`Telemetry::log_delivery`]: super::Telemetry::log_delivery
    pub fn with_log_processor(mut self, processor: impl LogProcessor + 'static) -> Self {
        self.logs.processors.push(Box::new(|provider, _| provider.with_log_processor(processor)));
        self
    }

    /// Sends every log event to an exporter as well, through a queue of its own.
    pub fn with_log_exporter(mut self, exporter: impl LogExporter + 'static) -> Self {
        let (counts, runtime) = (Arc::clone(&self.logs.counts), self.runtime.clone());
        self.logs.processors.push(Box::new(move |provider, content| {
            let from_env = env::var("OTEL_BLRP_MAX_QUEUE_SIZE").ok().and_then(|size| size.parse().ok());
            let queue_size = from_env.unwrap_or(DEFAULT_LOG_QUEUE_SIZE);
            let queue = Arc::new(Queue::new(queue_size, counts));
            let exporter = CountingExporter { inner: exporter, queue: Arc::clone(&queue), runtime };
            let mut config = BatchConfigBuilder::default().with_max_queue_size(queue_size);
            if env::var_os("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE").is_none() {
                config = config.with_max_export_batch_size(content.batch_size());
            }
            let inner = BatchLogProcessor::builder(exporter).with_batch_config(config.build()).build();
            provider.with_log_processor(CountingProcessor { inner, queue })
        }));
        self
    }

    /// Uses a logger provider of the user's instead of making one; log exporters of this builder are not used then.
    pub fn with_logger_provider(mut self, provider: SdkLoggerProvider) -> Self {
        self.logs.provider = Some(provider);
        self
    }

    /// Exports log events over OTLP as the environment says.
    pub(super) fn with_otlp_logs(mut self) -> Result<Self, TelemetryError> {
        let exporter = match protocol_from_env(Signal::Logs)? {
            Protocol::Grpc => {
                let runtime = self.grpc_runtime()?;
                let _inside = runtime.enter();
                over_grpc(OtlpExporter::builder().with_tonic(), Signal::Logs)?.build()
            }
            protocol => over_http(OtlpExporter::builder().with_http().with_protocol(protocol), Signal::Logs)?.build(),
        }
        .map_err(TelemetryError::Exporter)?;
        Ok(self.with_log_exporter(exporter))
    }
}

impl LogsExport {
    /// Starts the export; nothing if no log events are asked for, or there is nowhere for them to go.
    pub(super) fn start(
        setup: LogsSetup,
        resource: impl FnOnce() -> Resource,
        scope: InstrumentationScope,
        content: &ContentPolicy,
    ) -> Option<Self> {
        if !content.capture().is_in_events() {
            return None;
        }
        let owns_provider = setup.provider.is_none();
        if owns_provider && setup.processors.is_empty() {
            let capture = content.capture();
            tracing::warn!("{capture} asks for log events, and there is no exporter of logs: content is in none");
            return None;
        }
        let provider = setup.provider.unwrap_or_else(|| {
            let builder = SdkLoggerProvider::builder().with_resource(resource());
            setup.processors.into_iter().fold(builder, |builder, add| add(builder, content)).build()
        });
        let emitter = Arc::new(LogEmitter::new(provider.logger_with_scope(scope), content.clone()));
        Some(Self { provider, emitter, counts: setup.counts, owns_provider })
    }

    pub(super) fn delivery(&self) -> Delivery {
        self.counts.read()
    }

    /// Tells of the requests that are open, sends what is left and waits for it.
    pub(super) fn finish(&self, timeout: Duration) -> Result<(), TelemetryError> {
        self.emitter.close();
        if !self.owns_provider {
            return self.provider.force_flush().map_err(TelemetryError::FlushLogs);
        }
        let result = self.provider.shutdown_with_timeout(timeout);
        let delivery = self.delivery();
        if result.is_ok() && delivery.exported == delivery.ended {
            Ok(())
        } else {
            Err(TelemetryError::IncompleteLogs {
                delivery,
                source: result.err().or_else(|| self.counts.last_failure.get()),
            })
        }
    }
}

impl LogProcessor for CountingProcessor {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if self.queue.enter() {
            self.inner.emit(record, scope);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: LogExporter> LogExporter for CountingExporter<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let records = batch.iter().count();
        let sent = quietly(self.runtime.as_ref(), &format!("{records} log events"), self.inner.export(batch)).await;
        self.queue.leave(records, &sent);
        sent.result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl fmt::Debug for LogsExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogsExport").field("delivery", &self.delivery()).finish_non_exhaustive()
    }
}
