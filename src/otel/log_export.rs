//! The export of log events: set up beside that of the spans, and seen out with it.

use std::{
    env,
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
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
use tokio::runtime::Handle;

use super::{ContentPolicy, Delivery, LogEmitter, TelemetryError, transport::protocol_from_env};

/// Says where log events go; of its values only `none` is special here.
const OTEL_LOGS_EXPORTER: &str = "OTEL_LOGS_EXPORTER";

/// Whether the environment allows an export of log events over OTLP.
pub(super) fn is_allowed_by_env() -> bool {
    env::var(OTEL_LOGS_EXPORTER).map_or(true, |exporters| !exporters.trim().eq_ignore_ascii_case("none"))
}

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
    counts: Arc<LogCounts>,
    is_empty: bool,
}

/// The log side of [`Telemetry`](super::Telemetry).
#[derive(Debug)]
pub(super) struct Logs {
    pub(super) provider: SdkLoggerProvider,
    pub(super) emitter: Arc<LogEmitter>,
    counts: Arc<LogCounts>,
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
        runtime: Option<Handle>,
        content: &ContentPolicy,
    ) -> Self {
        let exporter = CountingLogExporter { inner: exporter, counts: Arc::clone(&self.counts), runtime };
        let mut config = BatchConfigBuilder::default();
        if env::var_os("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE").is_none() {
            config = config.with_max_export_batch_size(content.batch_size());
        }
        let inner = BatchLogProcessor::builder(exporter).with_batch_config(config.build()).build();
        let counts = Arc::clone(&self.counts);
        self.add_processor(CountingLogProcessor { inner, counts })
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
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let LogCounts { ended, exported, failed } = &*self.counts;
        let (exported, failed) = (read(exported), read(failed));
        Delivery { exported, failed, ended: read(ended) }
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

#[derive(Debug, Default)]
struct LogCounts {
    ended: AtomicU64,
    exported: AtomicU64,
    failed: AtomicU64,
}

/// Counts the log events that go into the queue.
#[derive(Debug)]
struct CountingLogProcessor {
    inner: BatchLogProcessor,
    counts: Arc<LogCounts>,
}

impl LogProcessor for CountingLogProcessor {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        self.counts.ended.fetch_add(1, Ordering::Relaxed);
        self.inner.emit(record, scope);
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

/// Counts the log events that come out of the queue, and polls the exporter inside of its runtime if it needs one.
#[derive(Debug)]
struct CountingLogExporter<E> {
    inner: E,
    counts: Arc<LogCounts>,
    runtime: Option<Handle>,
}

impl<E: LogExporter> LogExporter for CountingLogExporter<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let records = batch.iter().count() as u64;
        let mut export = pin!(self.inner.export(batch));
        let result = poll_fn(|cx| {
            let _runtime = self.runtime.as_ref().map(Handle::enter);
            export.as_mut().poll(cx)
        })
        .await;
        let count = if result.is_ok() { &self.counts.exported } else { &self.counts.failed };
        count.fetch_add(records, Ordering::Relaxed);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
