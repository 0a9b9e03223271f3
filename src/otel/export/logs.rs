//! The way of log events out of the process: provider, queue, exporter, and their end.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use opentelemetry::{InstrumentationScope, logs::LoggerProvider as _};
use opentelemetry_otlp::{ExporterBuildError, LogExporter as OtlpLogExporter};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    logs::{
        BatchConfigBuilder, BatchLogProcessor, LogBatch, LogExporter, LogProcessor, LoggerProviderBuilder,
        OTEL_BLRP_MAX_EXPORT_BATCH_SIZE_DEFAULT, OTEL_BLRP_SCHEDULE_DELAY_DEFAULT, SdkLogRecord, SdkLoggerProvider,
    },
};

#[cfg(feature = "otlp-grpc")]
use super::otlp::GrpcConnection;
use super::{
    SignalReport, batch,
    delivery::{Counts, Queue},
    finishing::flush_within,
    otlp::{Connected, HttpConnection, OtlpExporter, Signal},
    plan::Plan,
    reentry::Inside,
    runtime::ExportRuntime,
    suppressed::poll_suppressed,
};
use crate::otel::LogEmitter;

/// What the builder knows about log events.
#[derive(Default)]
pub(super) struct LogsSetup {
    /// Each adds its processor, in `build`.
    processors: Vec<Box<AddProcessor>>,
    pub(super) provider: Option<SdkLoggerProvider>,
}

type AddProcessor = dyn FnOnce(LoggerProviderBuilder, &LogsPlan<'_>) -> LoggerProviderBuilder + Send;

/// What a processor is made with.
struct LogsPlan<'a> {
    plan: &'a Plan,
    counts: &'a Arc<Counts>,
}

/// The log events of a running export.
pub(super) struct LogsExport {
    pub(super) provider: SdkLoggerProvider,
    pub(super) emitter: Arc<LogEmitter>,
    pub(super) counts: Arc<Counts>,
    owns_provider: bool,
}

/// Counts the log events that go into the queue.
#[derive(Debug)]
struct CountingProcessor {
    inner: BatchLogProcessor,
    queue: Arc<Queue>,
}

/// Counts the log events that come out of the queue.
#[derive(Debug)]
struct CountingExporter<E> {
    inner: E,
    queue: Arc<Queue>,
    runtime: Option<ExportRuntime>,
}

impl LogsSetup {
    /// How many log events wait for their export by default.
    pub(super) const DEFAULT_QUEUE_SIZE: usize = 2_048;

    /// Adds a processor, which counts for itself.
    pub(super) fn add_processor(&mut self, processor: impl LogProcessor + 'static) {
        self.processors.push(Box::new(|provider, _| provider.with_log_processor(processor)));
    }

    /// Adds an exporter behind a queue of its own.
    pub(super) fn add_exporter(&mut self, exporter: impl LogExporter + 'static) {
        self.processors.push(Box::new(|provider, plan| {
            provider.with_log_processor(CountingProcessor::new(exporter, None, None, plan))
        }));
    }

    /// Adds an exporter over OTLP.
    pub(super) fn connect(&mut self, Connected { exporter, runtime, address }: Connected<OtlpLogExporter>) {
        self.processors.push(Box::new(|provider, plan| {
            provider.with_log_processor(CountingProcessor::new(exporter, Some(runtime), Some(address), plan))
        }));
    }

    /// Starts the export; nothing if no log events are asked for, or there is nowhere for them to go.
    pub(super) fn start(self, plan: &Plan) -> Option<LogsExport> {
        if !plan.has_log_events() {
            return None;
        }
        let owns_provider = self.provider.is_none();
        if owns_provider && self.processors.is_empty() {
            tracing::warn!("log events are asked for, of content or of progress, and there is no exporter of logs");
            return None;
        }
        let counts = Arc::<Counts>::default();
        let provider = self.provider.unwrap_or_else(|| {
            let builder = SdkLoggerProvider::builder().with_resource(plan.resource.clone());
            let plan = LogsPlan { plan, counts: &counts };
            self.processors.into_iter().fold(builder, |builder, add| add(builder, &plan)).build()
        });
        let logger = provider.logger_with_scope(plan.scope.clone());
        let emitter = Arc::new(LogEmitter::new(logger, plan.content.clone()).with_progress(plan.progress));
        Some(LogsExport { provider, emitter, counts, owns_provider })
    }
}

impl LogsExport {
    pub(super) fn report(&self) -> SignalReport {
        SignalReport::of(&self.counts, None)
    }

    /// Sends what there is; with a provider of ours and no more to come, ends the export as well.
    pub(super) fn finish(&self, end: bool, timeout: Duration) -> SignalReport {
        let begun = Instant::now();
        // What is being redacted may take half of the time, so that a redactor that hangs costs nothing but its own.
        self.emitter.wait_until(begun + timeout / 2);
        let timeout = timeout.saturating_sub(begun.elapsed());
        let result = if end && self.owns_provider {
            self.provider.shutdown_with_timeout(timeout)
        } else {
            flush_within(timeout, || self.provider.force_flush())
        };
        SignalReport::of(&self.counts, result.err())
    }
}

impl OtlpExporter for OtlpLogExporter {
    const SIGNAL: Signal = Signal::Logs;

    fn over_http(connection: HttpConnection) -> Result<Self, ExporterBuildError> {
        connection.apply(Self::builder().with_http()).build()
    }

    #[cfg(feature = "otlp-grpc")]
    fn over_grpc(connection: GrpcConnection) -> Result<Self, ExporterBuildError> {
        connection.apply(Self::builder().with_tonic()).build()
    }
}

impl CountingProcessor {
    fn new<E: LogExporter + 'static>(
        exporter: E,
        runtime: Option<ExportRuntime>,
        address: Option<String>,
        LogsPlan { plan, counts }: &LogsPlan<'_>,
    ) -> Self {
        let settings = plan.settings.logs;
        let queue_size = settings.queue_size.unwrap_or(LogsSetup::DEFAULT_QUEUE_SIZE);
        let queue = Arc::new(Queue::new(queue_size, Arc::clone(counts), address));
        let exporter = CountingExporter { inner: exporter, queue: Arc::clone(&queue), runtime };
        // All is set, since the SDK reads the variables by rules of its own.
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(queue_size)
            .with_max_export_batch_size(settings.batch_size.unwrap_or(OTEL_BLRP_MAX_EXPORT_BATCH_SIZE_DEFAULT))
            .with_scheduled_delay(settings.delay.unwrap_or(OTEL_BLRP_SCHEDULE_DELAY_DEFAULT));
        Self { inner: BatchLogProcessor::builder(exporter).with_batch_config(config.build()).build(), queue }
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
        let mut result = Ok(());
        for request in batch::split(batch.iter().collect()) {
            let items = format!("{} log events", request.len());
            let sending = self.queue.send(request.len());
            let on_attempt = |attempt, reason: Option<&str>| sending.attempt(attempt, reason);
            let export = Inside::with(|| self.inner.export(LogBatch::new(&request)));
            let sent = poll_suppressed(self.runtime.as_ref(), &items, on_attempt, export).await;
            sending.end(&sent);
            result = result.and(sent.result);
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        Inside::with(|| self.inner.shutdown_with_timeout(timeout))
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl fmt::Debug for LogsExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogsExport").field("report", &self.report()).finish_non_exhaustive()
    }
}
