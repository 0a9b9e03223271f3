//! The way of metrics out of the process: provider, reader, exporter, and their end.

use std::{
    fmt,
    sync::{Arc, Weak, mpsc},
    thread,
    time::{Duration, Instant},
};

use opentelemetry::{
    InstrumentationScope,
    metrics::{Meter, MeterProvider as _},
};
use opentelemetry_otlp::{MetricExporter as OtlpExporter, Protocol, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    metrics::{
        MeterProviderBuilder, PeriodicReader, SdkMeterProvider, Temporality, data::ResourceMetrics,
        exporter::PushMetricExporter,
    },
    trace::SdkTracer,
};

use super::{
    TelemetryBuilder, TelemetryError,
    delivery::{Counts, LastFailure},
    tls::{over_grpc, over_http},
    transport::{ExportRuntime, Signal, protocol_from_env, quietly},
};
use crate::otel::{ContentPolicy, MetricsRecorder, PriceTable, SpanMapper, metrics};

/// What the builder is told about metrics.
#[derive(Default)]
pub(super) struct MetricsSetup {
    /// Each adds its reader, whose thread starts with it and would outlive a builder that is not built.
    readers: Vec<Box<AddReader>>,
    provider: Option<SdkMeterProvider>,
    interval: Option<Duration>,
    legacy: bool,
    prices: Option<PriceTable>,
    max_label_values: Option<usize>,
    last_failure: Arc<LastFailure>,
}

type AddReader = dyn FnOnce(MeterProviderBuilder) -> MeterProviderBuilder + Send;

/// The metrics of a running export.
pub(super) struct MetricsExport {
    pub(super) provider: SdkMeterProvider,
    pub(super) recorder: Arc<MetricsRecorder>,
    owns_provider: bool,
    last_failure: Arc<LastFailure>,
}

/// Metrics that are on their way out for the last time.
pub(super) struct Finishing {
    spans_done: mpsc::Sender<()>,
    result: mpsc::Receiver<OTelSdkResult>,
    deadline: Instant,
}

/// Polls an exporter inside the runtime of its connections, as the reader's thread is in none, and with `tracing` off.
struct InRuntime<E> {
    inner: E,
    runtime: Option<ExportRuntime>,
    last_failure: Arc<LastFailure>,
}

/// How metrics are exported.
impl TelemetryBuilder {
    /// Sends all metrics to an exporter as well, every [`with_metric_interval`](Self::with_metric_interval) and at the
    /// end.
    pub fn with_metric_exporter(mut self, exporter: impl PushMetricExporter) -> Self {
        let last_failure = Arc::clone(&self.metrics.last_failure);
        let exporter = InRuntime { inner: exporter, runtime: self.runtime.clone(), last_failure };
        let interval = self.metrics.interval;
        self.metrics.readers.push(Box::new(move |provider| {
            // Zero keeps the default.
            let reader = PeriodicReader::builder(exporter).with_interval(interval.unwrap_or_default());
            provider.with_reader(reader.build())
        }));
        self
    }

    /// Uses a meter provider of the user's instead of making one; metric exporters of this builder are not used then.
    ///
    /// Pull-based readers and views are added there.
    pub fn with_meter_provider(mut self, provider: SdkMeterProvider) -> Self {
        self.metrics.provider = Some(provider);
        self
    }

    /// Sets how often metrics go to an exporter that is added after this call; zero keeps the default. By default,
    /// `OTEL_METRIC_EXPORT_INTERVAL` in milliseconds, or 60 seconds.
    pub fn with_metric_interval(mut self, interval: Duration) -> Self {
        self.metrics.interval = Some(interval);
        self
    }

    /// Sets whether the names that the conventions had up to v1.41 are measured as well, for dashboards made for them.
    /// By default, they are not.
    pub fn with_legacy_metrics(mut self, enabled: bool) -> Self {
        self.metrics.legacy = enabled;
        self
    }

    /// Counts what requests cost. By default, there are no prices and no cost.
    pub fn with_prices(mut self, prices: PriceTable) -> Self {
        self.metrics.prices = Some(prices);
        self
    }

    /// Sets how many values each attribute of the metrics takes; those that come after become `_OTHER`. By default,
    /// [`DEFAULT_MAX_LABEL_VALUES`](crate::otel::DEFAULT_MAX_LABEL_VALUES).
    pub fn with_max_label_values(mut self, values: usize) -> Self {
        self.metrics.max_label_values = Some(values);
        self
    }

    /// Exports metrics over OTLP as the environment says.
    pub(super) fn with_otlp_metrics(mut self) -> Result<Self, TelemetryError> {
        let exporter = match protocol_from_env(Signal::Metrics)? {
            Protocol::Grpc => {
                let runtime = self.grpc_runtime()?;
                let _inside = runtime.enter();
                over_grpc(OtlpExporter::builder().with_tonic(), Signal::Metrics)?.build()
            }
            protocol => {
                over_http(OtlpExporter::builder().with_http().with_protocol(protocol), Signal::Metrics)?.build()
            }
        }
        .map_err(TelemetryError::Exporter)?;
        Ok(self.with_metric_exporter(exporter))
    }
}

impl MetricsExport {
    /// Starts the export; nothing if there is nowhere for metrics to go.
    pub(super) fn start(
        setup: MetricsSetup,
        resource: impl FnOnce() -> Resource,
        scope: InstrumentationScope,
        content: ContentPolicy,
        counts: &Arc<Counts>,
        mapper: &Arc<SpanMapper<SdkTracer>>,
    ) -> Option<Self> {
        let owns_provider = setup.provider.is_none();
        if owns_provider && setup.readers.is_empty() {
            return None;
        }
        let provider = setup.provider.unwrap_or_else(|| {
            let builder = SdkMeterProvider::builder().with_resource(resource());
            setup.readers.into_iter().fold(builder, |builder, add_reader| add_reader(builder)).build()
        });
        let meter = provider.meter_with_scope(scope);
        observe_spans(&meter, counts, mapper);
        let mut recorder = MetricsRecorder::new(meter).with_legacy_metrics(setup.legacy).with_content(content);
        if let Some(prices) = setup.prices {
            recorder = recorder.with_prices(prices);
        }
        if let Some(values) = setup.max_label_values {
            recorder = recorder.with_max_label_values(values);
        }
        Some(Self { provider, recorder: Arc::new(recorder), owns_provider, last_failure: setup.last_failure })
    }

    /// Begins the end, on a thread of its own, since the SDK's flush of metrics knows no time limit.
    ///
    /// The last export waits for the spans' end so as to tell of it, but no longer than half of the time, so that spans
    /// that do not arrive do not take the metrics with them.
    pub(super) fn finish(self, timeout: Duration) -> Finishing {
        let (spans_done, spans) = mpsc::channel();
        let (sender, result) = mpsc::channel();
        let Self { provider, recorder, owns_provider, last_failure } = self;
        recorder.close();
        let finish = move || {
            // Whether it was told or ran out of time, or the sender is gone, it goes on.
            spans.recv_timeout(timeout / 2).ok();
            let flushed = provider.force_flush();
            let result = if owns_provider { flushed.and(provider.shutdown()) } else { flushed };
            let result = result.map_err(|error| last_failure.get().unwrap_or(error));
            // The receiver may have given up.
            sender.send(result).ok();
        };
        // If the thread cannot be started, the sender is dropped with the closure, and the wait ends at once.
        drop(thread::Builder::new().name("agent-runtime-metrics".to_owned()).spawn(finish));
        Finishing { spans_done, result, deadline: Instant::now() + timeout }
    }
}

impl Finishing {
    /// Waits for the last export until the deadline.
    pub(super) fn wait(self) -> OTelSdkResult {
        let began = Instant::now();
        self.spans_done.send(()).ok();
        match self.result.recv_timeout(self.deadline.saturating_duration_since(began)) {
            Ok(result) => result,
            Err(mpsc::RecvTimeoutError::Timeout) => Err(OTelSdkError::Timeout(began.elapsed())),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                Err(OTelSdkError::InternalFailure("the last export was not made".to_owned()))
            }
        }
    }
}

impl<E: PushMetricExporter> PushMetricExporter for InRuntime<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let sent = quietly(self.runtime.as_ref(), "the data points", self.inner.export(metrics)).await;
        sent.result.inspect_err(|error| self.last_failure.note(error))
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.inner.temporality()
    }
}

impl fmt::Debug for MetricsExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsExport").field("recorder", &self.recorder).finish_non_exhaustive()
    }
}

/// Observes what becomes of spans.
fn observe_spans(meter: &Meter, counts: &Arc<Counts>, mapper: &Arc<SpanMapper<SdkTracer>>) {
    let read = |number: fn(&Counts) -> u64| {
        let counts = Arc::clone(counts);
        move || Some(number(&counts))
    };
    metrics::observe(meter, &metrics::SPANS_ENDED, read(|counts| counts.read().ended));
    metrics::observe(meter, &metrics::SPANS_EXPORTED, read(|counts| counts.read().exported));
    metrics::observe(meter, &metrics::SPANS_FAILED, read(|counts| counts.read().failed));
    metrics::observe(meter, &metrics::SPANS_DROPPED, read(|counts| counts.read().dropped));
    // A meter provider of the user's may outlive the mapper, which holds the tracer provider.
    let mapper: Weak<_> = Arc::downgrade(mapper);
    metrics::observe(meter, &metrics::SPANS_INTERRUPTED, move || Some(mapper.upgrade()?.interrupted_spans()));
}
