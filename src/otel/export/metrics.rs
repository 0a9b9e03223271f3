//! The way of metrics out of the process: provider, reader, exporter, and their end.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_otlp::{ExporterBuildError, MetricExporter as OtlpMetricExporter};
use opentelemetry_sdk::{
    error::{OTelSdkError, OTelSdkResult},
    metrics::{
        MeterProviderBuilder, PeriodicReader, SdkMeterProvider, Temporality, data::ResourceMetrics,
        exporter::PushMetricExporter,
    },
    trace::SdkTracer,
};

#[cfg(feature = "otlp-grpc")]
use super::otlp::GrpcConnection;
use super::{
    ExportFailure, MetricsReport,
    delivery::{Counts, LastFailure},
    logs::LogsExport,
    otlp::{Connected, HttpConnection, OtlpExporter, Signal},
    plan::Plan,
    reentry::Inside,
    runtime::ExportRuntime,
    spans::SpansExport,
    suppressed::poll_suppressed,
};
use crate::otel::{
    MetricsRecorder, PriceTable, SpanMapper,
    metrics::{self, Description, OfSignals},
};

/// How often metrics are exported by default, by the specification.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);

/// What the builder knows about metrics.
#[derive(Default)]
pub(super) struct MetricsSetup {
    /// Each adds its reader, in `build`.
    readers: Vec<Box<AddReader>>,
    pub(super) provider: Option<SdkMeterProvider>,
    pub(super) interval: Option<Duration>,
    pub(super) legacy: bool,
    pub(super) prices: Option<PriceTable>,
    pub(super) max_label_values: Option<usize>,
}

type AddReader = dyn FnOnce(MeterProviderBuilder, &MetricsPlan<'_>) -> MeterProviderBuilder + Send;

/// What a reader is made with.
struct MetricsPlan<'a> {
    interval: Duration,
    counts: &'a Arc<Exports>,
}

/// The metrics of a running export.
pub(super) struct MetricsExport {
    pub(super) provider: SdkMeterProvider,
    pub(super) recorder: Arc<MetricsRecorder>,
    counts: Arc<Exports>,
    owns_provider: bool,
}

/// What became of the exports.
#[derive(Debug, Default)]
struct Exports {
    exported: AtomicU64,
    failed: AtomicU64,
    last_failure: LastFailure,
}

/// Counts the exports.
struct CountingExporter<E> {
    inner: E,
    counts: Arc<Exports>,
    runtime: Option<ExportRuntime>,
    address: Option<String>,
}

impl MetricsSetup {
    /// Adds an exporter over OTLP.
    pub(super) fn connect(&mut self, Connected { exporter, runtime, address }: Connected<OtlpMetricExporter>) {
        self.add(exporter, Some(runtime), Some(address));
    }

    pub(super) fn add(
        &mut self,
        inner: impl PushMetricExporter,
        runtime: Option<ExportRuntime>,
        address: Option<String>,
    ) {
        self.readers.push(Box::new(|provider, plan| {
            let exporter = CountingExporter { inner, counts: Arc::clone(plan.counts), runtime, address };
            provider.with_reader(PeriodicReader::builder(exporter).with_interval(plan.interval).build())
        }));
    }

    /// Starts the export; nothing if there is nowhere for metrics to go.
    pub(super) fn start(self, plan: &Plan, spans: &SpansExport, logs: Option<&LogsExport>) -> Option<MetricsExport> {
        let owns_provider = self.provider.is_none();
        if owns_provider && self.readers.is_empty() {
            return None;
        }
        let counts = Arc::<Exports>::default();
        let provider = self.provider.unwrap_or_else(|| {
            let builder = SdkMeterProvider::builder().with_resource(plan.resource.clone());
            // It is always set, since the SDK reads the variable by rules of its own.
            let interval = self.interval.or(plan.settings.metric_interval).unwrap_or(DEFAULT_INTERVAL);
            let plan = MetricsPlan { interval, counts: &counts };
            self.readers.into_iter().fold(builder, |builder, add_reader| add_reader(builder, &plan)).build()
        });
        let meter = provider.meter_with_scope(plan.scope.clone());
        observe_spans(&meter, &spans.counts, &spans.mapper);
        observe_sdk(&meter, &spans.counts, |of_signals| &of_signals.spans);
        if let Some(logs) = logs {
            observe_sdk(&meter, &logs.counts, |of_signals| &of_signals.logs);
        }
        let mut recorder =
            MetricsRecorder::new(meter).with_legacy_metrics(self.legacy).with_content(plan.content.clone());
        if let Some(prices) = self.prices {
            recorder = recorder.with_prices(prices);
        }
        if let Some(values) = self.max_label_values {
            recorder = recorder.with_max_label_values(values);
        }
        Some(MetricsExport { provider, recorder: Arc::new(recorder), counts, owns_provider })
    }
}

impl MetricsExport {
    pub(super) fn report(&self) -> MetricsReport {
        let Exports { exported, failed, last_failure } = &*self.counts;
        MetricsReport {
            exported: exported.load(Ordering::Relaxed),
            failed: failed.load(Ordering::Relaxed),
            failure: last_failure.get(),
        }
    }

    /// Sends what has been measured; with a provider of ours and no more to come, ends the export as well.
    ///
    /// The SDK's flush of metrics knows no time limit.
    pub(super) fn finish(&self, end: bool) -> MetricsReport {
        let flushed = self.provider.force_flush();
        let result = if end && self.owns_provider { flushed.and(self.provider.shutdown()) } else { flushed };
        self.report_with(result.err())
    }

    /// What is known of an end that ran out of time.
    pub(super) fn report_with(&self, failure: Option<OTelSdkError>) -> MetricsReport {
        let mut report = self.report();
        if let Some(failure) = failure {
            report.failure.get_or_insert_with(|| ExportFailure::new(&failure, None));
        }
        report
    }
}

impl OtlpExporter for OtlpMetricExporter {
    const SIGNAL: Signal = Signal::Metrics;

    fn over_http(connection: HttpConnection) -> Result<Self, ExporterBuildError> {
        connection.apply(Self::builder().with_http()).build()
    }

    #[cfg(feature = "otlp-grpc")]
    fn over_grpc(connection: GrpcConnection) -> Result<Self, ExporterBuildError> {
        connection.apply(Self::builder().with_tonic()).build()
    }
}

impl<E: PushMetricExporter> PushMetricExporter for CountingExporter<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let Exports { exported, failed, last_failure } = &*self.counts;
        let address = self.address.as_deref();
        let on_attempt = |_, reason: Option<&str>| {
            if let Some(reason) = reason {
                last_failure.note(&OTelSdkError::InternalFailure(reason.to_owned()), address);
            }
        };
        let export = Inside::with(|| self.inner.export(metrics));
        let sent = poll_suppressed(self.runtime.as_ref(), "the data points", on_attempt, export).await;
        match &sent.result {
            Ok(()) => {
                last_failure.clear();
                exported.fetch_add(1, Ordering::Relaxed);
            }
            Err(failure) => {
                last_failure.note(failure, address);
                failed.fetch_add(1, Ordering::Relaxed);
            }
        }
        sent.result
    }

    fn force_flush(&self) -> OTelSdkResult {
        Inside::with(|| self.inner.force_flush())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        Inside::with(|| self.inner.shutdown_with_timeout(timeout))
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

/// Observes what becomes of the items of a signal, under the names that OpenTelemetry has for it.
fn observe_sdk(meter: &Meter, counts: &Arc<Counts>, of: impl Fn(&'static OfSignals) -> &'static Description) {
    let read = || Arc::clone(counts);
    let counts = read();
    metrics::observe_by_error(meter, of(&metrics::SDK_EXPORTED), "_OTHER", move || {
        let delivery = counts.read();
        (delivery.exported, delivery.failed)
    });
    let counts = read();
    metrics::observe_by_error(meter, of(&metrics::SDK_PROCESSED), "queue_full", move || {
        let delivery = counts.read();
        (delivery.exported + delivery.failed + delivery.unanswered, delivery.dropped)
    });
    let counts = read();
    metrics::observe_level(meter, of(&metrics::SDK_INFLIGHT), move || counts.read().unanswered);
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
