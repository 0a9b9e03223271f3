//! How the export is set up.

use std::{env, fmt, sync::Arc, time::Duration};

use opentelemetry::{InstrumentationScope, Key, KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{Protocol, SpanExporter as OtlpExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanExporter, SpanProcessor, TracerProviderBuilder,
    },
};
use rand::{RngExt as _, rngs::StdRng};

use super::{
    DEFAULT_SHUTDOWN_TIMEOUT, Telemetry, TelemetryError,
    delivery::{CountingExporter, CountingProcessor, Counts, Queue},
    logs::{LogsExport, LogsSetup},
    metrics::{MetricsExport, MetricsSetup},
    tls::{over_grpc, over_http},
    transport::{ExportRuntime, Signal, exports_over_otlp, protocol_from_env},
};
use crate::otel::{
    ContentCapture, ContentPolicy, DEFAULT_MAX_PROGRESS_EVENTS, EventIdGenerator, Redactor, SpanMapper,
    UnknownContentCapture, names,
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
    pub(super) runtime: Option<ExportRuntime>,
    content: ContentPolicy,
    unknown_capture: Option<UnknownContentCapture>,
    pub(super) logs: LogsSetup,
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
            content: ContentPolicy::default(),
            unknown_capture: None,
            logs: LogsSetup::default(),
        }
    }

    /// Sets where content goes: what was asked and answered. By default, nowhere.
    ///
    /// Call it before exporters are added: with content they send smaller batches, and
    /// [`with_otlp_from_env`](Self::with_otlp_from_env) exports log events only if they are asked for.
    pub fn with_content_capture(mut self, capture: ContentCapture) -> Self {
        self.content = self.content.with_capture(capture);
        self
    }

    /// Sets where content goes as [`ContentCapture::from_env`] reads it; for the order of calls see
    /// [`with_content_capture`](Self::with_content_capture).
    ///
    /// An unknown value captures nothing, which a warning and [`Telemetry::unknown_capture`] tell.
    pub fn with_content_capture_from_env(mut self) -> Self {
        let capture = ContentCapture::from_env().unwrap_or_else(|unknown| {
            tracing::warn!("{unknown}");
            self.unknown_capture = Some(unknown);
            ContentCapture::NoContent
        });
        self.with_content_capture(capture)
    }

    /// Sets how long one attribute with content may be. By default,
    /// [`DEFAULT_MAX_CONTENT_BYTES`](crate::otel::DEFAULT_MAX_CONTENT_BYTES); see [`ContentPolicy::with_max_bytes`].
    pub fn with_max_content_bytes(mut self, bytes: usize) -> Self {
        self.content = self.content.with_max_bytes(bytes);
        self
    }

    /// Sets what every text passes before it leaves the process. By default, nothing is redacted.
    pub fn with_redactor(mut self, redactor: impl Redactor + 'static) -> Self {
        self.content = self.content.with_redactor(redactor);
        self
    }

    /// Exports spans and metrics over OTLP as the OpenTelemetry specification's `OTEL_EXPORTER_OTLP_*` variables say:
    /// endpoint, headers, timeout in milliseconds, compression, the temporality of metrics, and the protocol, which is
    /// `grpc` or, by default, `http/protobuf`. Log events are exported as well, if content is captured in them.
    ///
    /// `…_CERTIFICATE` names a PEM file with the authorities that are trusted instead of the system's,
    /// `…_CLIENT_CERTIFICATE` and `…_CLIENT_KEY` those by which the collector knows this client. As with the other
    /// variables, the form for one signal, `OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE` say, goes before that for all.
    ///
    /// `OTEL_SDK_DISABLED=true` exports nothing, whatever else is set.
    ///
    /// `OTEL_TRACES_EXPORTER=none`, `OTEL_METRICS_EXPORTER=none` and `OTEL_LOGS_EXPORTER=none` leave one of them out, for
    /// a backend that does not take it. The backend need not be up: spans and log events are sent in the background and
    /// tried again.
    ///
    /// # Errors
    ///
    /// - [`TelemetryError::ExporterKind`] if a variable asks for another exporter than `otlp` or `none`.
    /// - [`TelemetryError::Protocol`] if a variable asks for another protocol.
    /// - [`TelemetryError::Compression`] if a variable asks for another compression than `gzip` or `none`.
    /// - [`TelemetryError::Certificate`] if a certificate or a key cannot be read or used.
    /// - [`TelemetryError::ClientCertificate`] if a client's certificate comes without its key, or the key without it.
    /// - [`TelemetryError::Thread`] if a thread cannot be started.
    /// - [`TelemetryError::Exporter`] if an endpoint or another setting cannot be used; an encrypted one cannot on a
    ///   machine without certificates, unless a variable names some.
    pub fn with_otlp_from_env(mut self) -> Result<Self, TelemetryError> {
        if is_disabled() {
            return Ok(self);
        }
        if exports_over_otlp("OTEL_TRACES_EXPORTER")? {
            self = self.with_otlp_spans()?;
        }
        if exports_over_otlp("OTEL_METRICS_EXPORTER")? {
            self = self.with_otlp_metrics()?;
        }
        if self.content.capture().is_in_events() && exports_over_otlp("OTEL_LOGS_EXPORTER")? {
            self = self.with_otlp_logs()?;
        }
        Ok(self)
    }

    fn with_otlp_spans(mut self) -> Result<Self, TelemetryError> {
        let exporter = match protocol_from_env(Signal::Traces)? {
            Protocol::Grpc => {
                let runtime = self.grpc_runtime()?;
                let _inside = runtime.enter();
                over_grpc(OtlpExporter::builder().with_tonic(), Signal::Traces)?.build()
            }
            protocol => over_http(OtlpExporter::builder().with_http().with_protocol(protocol), Signal::Traces)?.build(),
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
        let exporter = CountingExporter { inner: exporter, queue: Arc::clone(&queue), runtime: self.runtime.clone() };
        let mut config = BatchConfigBuilder::default().with_max_queue_size(queue_size);
        if self.content.capture().is_on_spans() && env::var_os("OTEL_BSP_MAX_EXPORT_BATCH_SIZE").is_none() {
            config = config.with_max_export_batch_size(self.content.batch_size());
        }
        let inner = BatchSpanProcessor::builder(exporter).with_batch_config(config.build()).build();
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

    /// Sets how long a shutdown waits, for each exporter of spans after the other. By default,
    /// [`DEFAULT_SHUTDOWN_TIMEOUT`].
    pub fn with_shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = timeout;
        self
    }

    /// Starts the export.
    pub fn build(self) -> Telemetry {
        let owns_provider = self.provider.is_none();
        let resource = resource(&self.service_name);
        let resource = || resource.clone();
        let provider = self.provider.unwrap_or_else(|| {
            self.processors.with_id_generator(EventIdGenerator::default()).with_resource(resource()).build()
        });
        let scope =
            InstrumentationScope::builder(names::INSTRUMENTATION_SCOPE).with_version(env!("CARGO_PKG_VERSION")).build();
        let logs = LogsExport::start(self.logs, resource, scope.clone(), &self.content);
        let mapper = SpanMapper::new(provider.tracer_with_scope(scope.clone()))
            .with_max_progress_events(progress_limit(self.max_progress_events))
            .with_content(self.content.clone())
            // A provider of ours has a sampler of the specification's; one of the user's may have any.
            .with_whole_workflows_sampled(owns_provider);
        let mapper = Arc::new(mapper);
        let metrics = MetricsExport::start(self.metrics, resource, scope, self.content, &self.counts, &mapper);
        Telemetry {
            provider,
            mapper,
            metrics,
            counts: self.counts,
            owns_provider,
            shutdown_timeout: self.shutdown_timeout,
            is_shut_down: false,
            logs,
            unknown_capture: self.unknown_capture,
        }
    }

    /// The runtime of the gRPC connections of all signals.
    pub(super) fn grpc_runtime(&mut self) -> Result<ExportRuntime, TelemetryError> {
        let runtime = match self.runtime.take() {
            Some(runtime) => runtime,
            None => ExportRuntime::start()?,
        };
        Ok(self.runtime.insert(runtime).clone())
    }
}

/// Whether the environment turns telemetry off; by the specification, what is not `true` is false.
fn is_disabled() -> bool {
    env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.trim().eq_ignore_ascii_case("true"))
}

/// Three quarters of the span's room, where the environment makes it smaller than the SDK's default.
fn progress_limit(default: u32) -> u32 {
    let limit = env::var(SPAN_EVENT_COUNT_LIMIT).ok().and_then(|limit| limit.parse::<u32>().ok());
    limit.map_or(default, |limit| default.min(limit / 4 * 3))
}

/// What the environment says of this process, with a name and an id where it says none.
///
/// Without the id, two processes of one service send the same series, and a backend keeps one of them.
fn resource(service_name: &str) -> Resource {
    let detected = Resource::builder().build();
    let named = detected.get(&Key::from_static_str("service.name"));
    let is_named = named.is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let has_id = detected.get(&Key::from_static_str(names::SERVICE_INSTANCE_ID)).is_some();
    let mut resource = Resource::builder();
    if !is_named {
        resource = resource.with_service_name(service_name.to_owned());
    }
    if !has_id {
        let id = uuid::Builder::from_random_bytes(rand::make_rng::<StdRng>().random()).into_uuid();
        resource = resource.with_attribute(KeyValue::new(names::SERVICE_INSTANCE_ID, id.to_string()));
    }
    resource.build()
}

impl fmt::Debug for TelemetryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TelemetryBuilder").field("service_name", &self.service_name).finish_non_exhaustive()
    }
}
