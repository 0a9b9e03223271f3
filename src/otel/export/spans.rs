//! The way of spans out of the process: provider, queue, exporter, and their end.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use opentelemetry::{Context, trace::TracerProvider as _};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter as OtlpSpanExporter};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, OTEL_BSP_MAX_EXPORT_BATCH_SIZE_DEFAULT,
        OTEL_BSP_SCHEDULE_DELAY_DEFAULT, SdkTracer, SdkTracerProvider, Span, SpanData, SpanExporter, SpanProcessor,
        TracerProviderBuilder,
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
    suppressed::{Sent, poll_suppressed},
};
use crate::otel::{
    DEFAULT_MAX_OPEN_SPANS, DEFAULT_MAX_PROGRESS_EVENTS, DEFAULT_MAX_SPAN_AGE, EventIdGenerator, SpanMapper,
};

/// What the builder knows about spans.
pub(super) struct SpansSetup {
    /// Each adds its processor, in `build`.
    processors: Vec<Box<AddProcessor>>,
    pub(super) provider: Option<SdkTracerProvider>,
    pub(super) queue_size: Option<usize>,
    pub(super) bounds: SpanBounds,
}

/// What the spans of components are bounded by.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpanBounds {
    pub(super) max_open: usize,
    pub(super) max_age: Duration,
    pub(super) max_progress_events: u32,
}

type AddProcessor = dyn FnOnce(TracerProviderBuilder, &SpansPlan<'_>) -> TracerProviderBuilder + Send;

/// What a processor is made with.
struct SpansPlan<'a> {
    plan: &'a Plan,
    counts: &'a Arc<Counts>,
    queue_size: usize,
}

/// The spans of a running export.
pub(super) struct SpansExport {
    pub(super) provider: SdkTracerProvider,
    pub(super) mapper: Arc<SpanMapper<SdkTracer>>,
    pub(super) counts: Arc<Counts>,
    owns_provider: bool,
}

/// Counts the spans that go into the queue.
#[derive(Debug)]
struct CountingProcessor {
    inner: BatchSpanProcessor,
    queue: Arc<Queue>,
}

/// Counts the spans that come out of the queue.
#[derive(Debug)]
struct CountingExporter<E> {
    inner: E,
    queue: Arc<Queue>,
    runtime: Option<ExportRuntime>,
}

impl Default for SpansSetup {
    fn default() -> Self {
        let bounds = SpanBounds {
            max_open: DEFAULT_MAX_OPEN_SPANS,
            max_age: DEFAULT_MAX_SPAN_AGE,
            max_progress_events: DEFAULT_MAX_PROGRESS_EVENTS,
        };
        Self { processors: Vec::new(), provider: None, queue_size: None, bounds }
    }
}

impl SpansSetup {
    /// How many ended spans wait for an exporter by default.
    pub(super) const DEFAULT_QUEUE_SIZE: usize = 16_384;

    /// Adds a processor, which counts for itself.
    pub(super) fn add_processor(&mut self, processor: impl SpanProcessor + 'static) {
        self.processors.push(Box::new(|provider, _| provider.with_span_processor(processor)));
    }

    /// Adds an exporter behind a queue of its own.
    pub(super) fn add_exporter(&mut self, exporter: impl SpanExporter + 'static) {
        self.processors.push(Box::new(|provider, plan| {
            provider.with_span_processor(CountingProcessor::new(exporter, None, None, plan))
        }));
    }

    /// Adds an exporter over OTLP.
    pub(super) fn connect(&mut self, Connected { exporter, runtime, address }: Connected<OtlpSpanExporter>) {
        self.processors.push(Box::new(|provider, plan| {
            provider.with_span_processor(CountingProcessor::new(exporter, Some(runtime), Some(address), plan))
        }));
    }

    /// Starts the export.
    pub(super) fn start(self, plan: &Plan) -> SpansExport {
        let owns_provider = self.provider.is_none();
        let counts = Arc::<Counts>::default();
        let settings = &plan.settings;
        let provider = self.provider.unwrap_or_else(|| {
            let builder = SdkTracerProvider::builder()
                .with_id_generator(EventIdGenerator::default())
                .with_resource(plan.resource.clone())
                .with_span_limits(settings.limits);
            let builder = match &settings.sampler {
                Some(sampler) => builder.with_sampler(sampler.clone()),
                None => builder,
            };
            let queue_size = self.queue_size.or(settings.spans.queue_size);
            let queue_size = queue_size.unwrap_or(Self::DEFAULT_QUEUE_SIZE);
            let plan = SpansPlan { plan, counts: &counts, queue_size };
            self.processors.into_iter().fold(builder, |builder, add| add(builder, &plan)).build()
        });
        let SpanBounds { max_open, max_age, max_progress_events } = self.bounds;
        let mapper = SpanMapper::new(provider.tracer_with_scope(plan.scope.clone()))
            .with_max_open_spans(max_open)
            .with_max_span_age(max_age)
            // Three quarters of the span's room, where the environment makes it smaller than the SDK's default.
            .with_progress(plan.progress)
            .with_max_progress_events(max_progress_events.min(settings.limits.max_events_per_span / 4 * 3))
            .with_content(plan.content.clone())
            // A provider of ours has a sampler of the specification's; one of the user's may have any.
            .with_whole_workflows_sampled(owns_provider);
        SpansExport { provider, mapper: Arc::new(mapper), counts, owns_provider }
    }
}

impl SpansExport {
    /// Ends the export before it has begun: no component gets a span, and contexts stay as they are.
    pub(super) fn disable(&self) {
        // There is no processor that could fail.
        self.provider.shutdown().ok();
    }

    pub(super) fn report(&self) -> SignalReport {
        SignalReport::of(&self.counts, None)
    }

    /// Sends what has ended; with a provider of ours and no more to come, ends the export as well.
    pub(super) fn finish(&self, end: bool, timeout: Duration) -> SignalReport {
        let begun = Instant::now();
        // What is being redacted may take half of the time, so that a redactor that hangs costs nothing but its own.
        self.mapper.wait_until(begun + timeout / 2);
        let timeout = timeout.saturating_sub(begun.elapsed());
        let result = if end && self.owns_provider {
            self.provider.shutdown_with_timeout(timeout)
        } else {
            flush_within(timeout, || self.provider.force_flush())
        };
        // Whoever ended the provider before has not lost what has arrived.
        let failure = result.err().filter(|failure| !matches!(failure, OTelSdkError::AlreadyShutdown));
        SignalReport::of(&self.counts, failure)
    }
}

impl Connected<OtlpSpanExporter> {
    /// Sends one request by itself, beside every queue, and waits for what the collector says.
    pub(super) async fn send(&self, spans: Vec<SpanData>) -> Sent {
        let items = format!("{} spans", spans.len());
        let export = Inside::with(|| self.exporter.export(spans));
        poll_suppressed(Some(&self.runtime), &items, |_, _| {}, export).await
    }
}

impl OtlpExporter for OtlpSpanExporter {
    const SIGNAL: Signal = Signal::Traces;

    fn over_http(connection: HttpConnection) -> Result<Self, ExporterBuildError> {
        connection.apply(Self::builder().with_http()).build()
    }

    #[cfg(feature = "otlp-grpc")]
    fn over_grpc(connection: GrpcConnection) -> Result<Self, ExporterBuildError> {
        connection.apply(Self::builder().with_tonic()).build()
    }
}

impl CountingProcessor {
    fn new<E: SpanExporter + 'static>(
        exporter: E,
        runtime: Option<ExportRuntime>,
        address: Option<String>,
        SpansPlan { plan, counts, queue_size }: &SpansPlan<'_>,
    ) -> Self {
        let queue = Arc::new(Queue::new(*queue_size, Arc::clone(counts), address));
        let exporter = CountingExporter { inner: exporter, queue: Arc::clone(&queue), runtime };
        let settings = plan.settings.spans;
        // All is set, since the SDK reads the variables by rules of its own.
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(*queue_size)
            .with_max_export_batch_size(settings.batch_size.unwrap_or(OTEL_BSP_MAX_EXPORT_BATCH_SIZE_DEFAULT))
            .with_scheduled_delay(settings.delay.unwrap_or(OTEL_BSP_SCHEDULE_DELAY_DEFAULT));
        Self { inner: BatchSpanProcessor::builder(exporter).with_batch_config(config.build()).build(), queue }
    }
}

impl SpanProcessor for CountingProcessor {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.queue.enter() {
            self.inner.on_end(span);
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

impl<E: SpanExporter> SpanExporter for CountingExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let mut result = Ok(());
        for request in batch::split(batch) {
            let items = format!("{} spans", request.len());
            let sending = self.queue.send(request.len());
            let on_attempt = |attempt, reason: Option<&str>| sending.attempt(attempt, reason);
            let export = Inside::with(|| self.inner.export(request));
            let sent = poll_suppressed(self.runtime.as_ref(), &items, on_attempt, export).await;
            sending.end(&sent);
            result = result.and(sent.result);
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        Inside::with(|| self.inner.shutdown_with_timeout(timeout))
    }

    fn force_flush(&self) -> OTelSdkResult {
        Inside::with(|| self.inner.force_flush())
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl fmt::Debug for SpansExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpansExport")
            .field("report", &self.report())
            .field("mapper", &self.mapper)
            .finish_non_exhaustive()
    }
}
