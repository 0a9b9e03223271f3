//! How the export is set up.

use std::{env, fmt, sync::Arc, time::Duration};

use opentelemetry::{InstrumentationScope, Key, trace::TracerProvider as _};
use opentelemetry_otlp::{
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL, Protocol, SpanExporter as OtlpExporter, WithExportConfig as _,
};
use opentelemetry_sdk::{
    Resource,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanExporter, SpanProcessor, TracerProviderBuilder,
    },
};
use tokio::runtime::{Handle, Runtime};

use super::{
    DEFAULT_MAX_PROGRESS_EVENTS, DEFAULT_SHUTDOWN_TIMEOUT, EventIdGenerator, SpanMapper, Telemetry, TelemetryError,
    delivery::{CountingExporter, CountingProcessor, Counts, Queue},
    metrics::{MetricsExport, MetricsSetup},
    names,
    transport::{export_runtime, exports_over_otlp, protocol_from_env},
};

/// How many ended spans wait for their export by default; one that finds the queue full is dropped and counted.
///
/// Eight times the SDK's own default, which a burst of a few hundred workflows overruns.
pub const DEFAULT_QUEUE_SIZE: usize = 16_384;

/// The SDK's limit of events on a span, as the environment may set it.
const SPAN_EVENT_COUNT_LIMIT: &str = "OTEL_SPAN_EVENT_COUNT_LIMIT";

/// How [`Telemetry`] is set up.
#[must_use]
pub struct TelemetryBuilder {
    service_name: String,
    provider: Option<SdkTracerProvider>,
    processors: TracerProviderBuilder,
    counts: Arc<Counts>,
    pub(super) metrics: MetricsSetup,
    queue_size: Option<usize>,
    max_progress_events: u32,
    shutdown_timeout: Duration,
    runtime: Option<Runtime>,
}

impl TelemetryBuilder {
    pub(super) fn new(service_name: String) -> Self {
        Self {
            service_name,
            provider: None,
            processors: SdkTracerProvider::builder(),
            counts: Arc::default(),
            metrics: MetricsSetup::default(),
            queue_size: None,
            max_progress_events: DEFAULT_MAX_PROGRESS_EVENTS,
            shutdown_timeout: DEFAULT_SHUTDOWN_TIMEOUT,
            runtime: None,
        }
    }

    /// Exports spans and metrics over OTLP as the OpenTelemetry specification's `OTEL_EXPORTER_OTLP_*` variables say:
    /// endpoint, headers, timeout, compression, certificates, the temporality of metrics, and the protocol, which is
    /// `grpc` or, by default, `http/protobuf`.
    ///
    /// `OTEL_TRACES_EXPORTER=none` and `OTEL_METRICS_EXPORTER=none` leave one of them out, for a backend that does not
    /// take it. The backend need not be up: spans are sent in the background and tried again.
    ///
    /// # Errors
    ///
    /// - [`TelemetryError::ExporterKind`] if a variable asks for another exporter than `otlp` or `none`.
    /// - [`TelemetryError::Protocol`] if a variable asks for another protocol.
    /// - [`TelemetryError::Exporter`] if an endpoint or another setting cannot be used.
    pub fn with_otlp_from_env(mut self) -> Result<Self, TelemetryError> {
        if exports_over_otlp("OTEL_TRACES_EXPORTER")? {
            self = self.with_otlp_spans()?;
        }
        if exports_over_otlp("OTEL_METRICS_EXPORTER")? {
            self = self.with_otlp_metrics()?;
        }
        Ok(self)
    }

    fn with_otlp_spans(mut self) -> Result<Self, TelemetryError> {
        let exporter = match protocol_from_env(OTEL_EXPORTER_OTLP_TRACES_PROTOCOL)? {
            Protocol::Grpc => {
                let runtime = self.grpc_runtime()?;
                let _inside = runtime.enter();
                OtlpExporter::builder().with_tonic().build()
            }
            protocol => OtlpExporter::builder().with_http().with_protocol(protocol).build(),
        }
        .map_err(TelemetryError::Exporter)?;
        Ok(self.with_span_exporter(exporter))
    }

    /// Gives every span to a processor of the user's as well; [`Telemetry::delivery`] does not count what it does.
    pub fn with_span_processor(mut self, processor: impl SpanProcessor + 'static) -> Self {
        self.processors = self.processors.with_span_processor(processor);
        self
    }

    /// Sends every span to an exporter as well, through a queue of its own; each exporter counts for itself in
    /// [`Telemetry::delivery`].
    pub fn with_span_exporter(mut self, exporter: impl SpanExporter + 'static) -> Self {
        // The environment keeps the last word on what the code leaves at its default.
        let from_env = env::var("OTEL_BSP_MAX_QUEUE_SIZE").ok().and_then(|size| size.parse().ok());
        let queue_size = self.queue_size.or(from_env).unwrap_or(DEFAULT_QUEUE_SIZE);
        let queue = Arc::new(Queue::new(queue_size, Arc::clone(&self.counts)));
        let exporter = CountingExporter { inner: exporter, queue: Arc::clone(&queue), runtime: self.runtime_handle() };
        let config = BatchConfigBuilder::default().with_max_queue_size(queue_size).build();
        let inner = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
        let processor = CountingProcessor { inner, queue };
        self.processors = self.processors.with_span_processor(processor);
        self
    }

    /// Sets how many ended spans may wait for an exporter that is added after this call. By default,
    /// `OTEL_BSP_MAX_QUEUE_SIZE` or [`DEFAULT_QUEUE_SIZE`].
    pub fn with_queue_size(mut self, spans: usize) -> Self {
        self.queue_size = Some(spans);
        self
    }

    /// Uses a provider of the user's instead of making one; exporters of this builder are not used then.
    ///
    /// For ids that are functions of the events, give it an [`EventIdGenerator`].
    pub fn with_tracer_provider(mut self, provider: SdkTracerProvider) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Sets how long a shutdown waits. By default, [`DEFAULT_SHUTDOWN_TIMEOUT`].
    pub fn with_shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = timeout;
        self
    }

    /// Starts the export.
    pub fn build(self) -> Telemetry {
        let owns_provider = self.provider.is_none();
        let resource = || resource(&self.service_name);
        let provider = self.provider.unwrap_or_else(|| {
            self.processors.with_id_generator(EventIdGenerator::default()).with_resource(resource()).build()
        });
        let scope =
            InstrumentationScope::builder(names::INSTRUMENTATION_SCOPE).with_version(env!("CARGO_PKG_VERSION")).build();
        let mapper = SpanMapper::new(provider.tracer_with_scope(scope.clone()))
            .with_max_progress_events(progress_limit(self.max_progress_events));
        let mapper = Arc::new(mapper);
        let metrics = MetricsExport::start(self.metrics, resource, scope, &self.counts, &mapper);
        Telemetry {
            provider,
            mapper,
            metrics,
            counts: self.counts,
            owns_provider,
            shutdown_timeout: self.shutdown_timeout,
            is_shut_down: false,
            runtime: self.runtime,
        }
    }

    /// The runtime of the gRPC connections of all signals.
    pub(super) fn grpc_runtime(&mut self) -> Result<Handle, TelemetryError> {
        let runtime = match self.runtime.take() {
            Some(runtime) => runtime,
            None => export_runtime()?,
        };
        Ok(self.runtime.insert(runtime).handle().clone())
    }

    /// That runtime, if there is one by now.
    pub(super) fn runtime_handle(&self) -> Option<Handle> {
        self.runtime.as_ref().map(|runtime| runtime.handle().clone())
    }
}

/// Three quarters of the span's room, where the environment makes it smaller than the SDK's default.
fn progress_limit(default: u32) -> u32 {
    let limit = env::var(SPAN_EVENT_COUNT_LIMIT).ok().and_then(|limit| limit.parse::<u32>().ok());
    limit.map_or(default, |limit| default.min(limit / 4 * 3))
}

fn resource(service_name: &str) -> Resource {
    let detected = Resource::builder().build();
    let named = detected.get(&Key::from_static_str("service.name"));
    if named.is_some_and(|name| !name.as_str().starts_with("unknown_service")) {
        detected
    } else {
        Resource::builder().with_service_name(service_name.to_owned()).build()
    }
}

impl fmt::Debug for TelemetryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TelemetryBuilder").field("service_name", &self.service_name).finish_non_exhaustive()
    }
}
