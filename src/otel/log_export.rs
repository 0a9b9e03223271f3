//! The export of log events: set up beside that of the spans, and seen out with it.

use std::{
    env,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use opentelemetry::{InstrumentationScope, logs::LoggerProvider as _};
use opentelemetry_otlp::{
    LogExporter as OtlpExporter, OTEL_EXPORTER_OTLP_LOGS_PROTOCOL, Protocol, WithExportConfig as _,
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    logs::{
        BatchConfigBuilder, BatchLogProcessor, LogBatch, LogExporter, LogProcessor, LoggerProviderBuilder,
        SdkLogRecord, SdkLoggerProvider,
    },
};
use tracing::subscriber::NoSubscriber;

use super::{
    ContentPolicy, DEFAULT_QUEUE_SIZE, Delivery, LogEmitter, TelemetryError,
    delivery::{Counts, Queue},
    transport::{ExportRuntime, protocol_from_env},
};

/// Whether the environment wants gRPC for log events.
pub(super) fn protocol() -> Result<Protocol, TelemetryError> {
    protocol_from_env(OTEL_EXPORTER_OTLP_LOGS_PROTOCOL)
}

/// Makes the OTLP exporter; called inside of the runtime of the gRPC connections.
pub(super) fn otlp_exporter(protocol: Protocol) -> Result<OtlpExporter, TelemetryError> {
    match protocol {
        Protocol::Grpc => OtlpExporter::builder().with_tonic().build(),
        protocol => OtlpExporter::builder().with_http().with_protocol(protocol).build(),
    }
    .map_err(TelemetryError::Exporter)
}

/// The log side of [`TelemetryBuilder`](super::TelemetryBuilder).
pub(super) struct LogsBuilder {
    provider: Option<SdkLoggerProvider>,
    processors: LoggerProviderBuilder,
    counts: Arc<Counts>,
    is_empty: bool,
}

/// The log side of [`Telemetry`](super::Telemetry).
#[derive(Debug)]
pub(super) struct Logs {
    pub(super) provider: SdkLoggerProvider,
    pub(super) emitter: Arc<LogEmitter>,
    counts: Arc<Counts>,
    owns_provider: bool,
}

impl LogsBuilder {
    pub(super) fn new() -> Self {
        Self { provider: None, processors: SdkLoggerProvider::builder(), counts: Arc::default(), is_empty: true }
    }

    pub(super) fn use_provider(&mut self, provider: SdkLoggerProvider) {
        self.provider = Some(provider);
    }

    pub(super) fn add_processor(mut self, processor: impl LogProcessor + 'static) -> Self {
        self.processors = self.processors.with_log_processor(processor);
        self.is_empty = false;
        self
    }

    pub(super) fn add_exporter(
        self,
        exporter: impl LogExporter + 'static,
        runtime: Option<ExportRuntime>,
        content: &ContentPolicy,
    ) -> Self {
        let from_env = env::var("OTEL_BLRP_MAX_QUEUE_SIZE").ok().and_then(|size| size.parse().ok());
        let queue_size = from_env.unwrap_or(DEFAULT_QUEUE_SIZE);
        let queue = Arc::new(Queue::new(queue_size, Arc::clone(&self.counts)));
        let exporter = CountingLogExporter { inner: exporter, queue: Arc::clone(&queue), runtime };
        let mut config = BatchConfigBuilder::default().with_max_queue_size(queue_size);
        if env::var_os("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE").is_none() {
            config = config.with_max_export_batch_size(content.batch_size());
        }
        let inner = BatchLogProcessor::builder(exporter).with_batch_config(config.build()).build();
        self.add_processor(CountingLogProcessor { inner, queue })
    }

    /// Gives nothing if no log events are asked for.
    pub(super) fn build(
        self,
        content: &ContentPolicy,
        scope: InstrumentationScope,
        resource: impl FnOnce() -> Resource,
    ) -> Option<Logs> {
        if !content.capture().is_in_events() {
            return None;
        }
        if self.provider.is_none() && self.is_empty {
            tracing::warn!(capture = %content.capture(), "log events are asked for, and no log exporter is set up");
            return None;
        }
        let owns_provider = self.provider.is_none();
        let provider = self.provider.unwrap_or_else(|| self.processors.with_resource(resource()).build());
        let emitter = LogEmitter::new(provider.logger_with_scope(scope), content.clone());
        Some(Logs { provider, emitter: Arc::new(emitter), counts: self.counts, owns_provider })
    }
}

impl Logs {
    pub(super) fn delivery(&self) -> Delivery {
        self.counts.read()
    }

    /// Sends what is left and waits for it.
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
            Err(TelemetryError::IncompleteLogs { delivery, source: result.err() })
        }
    }
}

/// Counts the log events that go into the queue.
#[derive(Debug)]
struct CountingLogProcessor {
    inner: BatchLogProcessor,
    queue: Arc<Queue>,
}

impl LogProcessor for CountingLogProcessor {
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

/// Counts the log events that come out of the queue, and polls the exporter inside of its runtime if it needs one, with
/// `tracing` off.
#[derive(Debug)]
struct CountingLogExporter<E> {
    inner: E,
    queue: Arc<Queue>,
    runtime: Option<ExportRuntime>,
}

impl<E: LogExporter> LogExporter for CountingLogExporter<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let records = batch.iter().count();
        let mut export = pin!(self.inner.export(batch));
        let result = poll_fn(|cx| {
            let _runtime = self.runtime.as_ref().map(ExportRuntime::enter);
            let _quiet = tracing::subscriber::set_default(NoSubscriber::default());
            export.as_mut().poll(cx)
        })
        .await;
        self.queue.leave(records, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
