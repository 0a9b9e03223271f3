//! A runtime that is metered, and its metrics in a form that is easy to compare.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use agent_runtime::{
    otel::{MetricsRecorder, OtelLayer, SpanMapper},
    prelude::*,
    stream::EventStream,
};
use opentelemetry::{InstrumentationScope, KeyValue, metrics::MeterProvider as _, trace::TracerProvider as _};
use opentelemetry_sdk::{
    metrics::{
        InMemoryMetricExporter, PeriodicReader, SdkMeterProvider,
        data::{AggregatedMetrics, HistogramDataPoint, Metric, MetricData, SumDataPoint},
    },
    trace::{InMemorySpanExporter, Sampler, SdkTracer, SdkTracerProvider, SpanData},
};
use tracing::{level_filters::LevelFilter, subscriber::DefaultGuard};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::support;

/// Where the measurements of a recorder go.
pub(super) struct Meters {
    provider: SdkMeterProvider,
    exporter: InMemoryMetricExporter,
    pub(super) recorder: Arc<MetricsRecorder>,
}

/// A runtime on this thread whose spans and metrics are kept.
pub(super) struct Metered {
    pub(super) runtime: Runtime,
    pub(super) mapper: Arc<SpanMapper<SdkTracer>>,
    meters: Meters,
    spans: InMemorySpanExporter,
    _subscriber: DefaultGuard,
}

/// How a [`Metered`] runtime is set up.
pub(super) struct Setup {
    sampler: Sampler,
    filter: LevelFilter,
    has_spans: bool,
}

/// All metrics at one moment, by name.
#[derive(Debug)]
pub(super) struct Snapshot(pub(super) BTreeMap<String, Series>);

/// One metric.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) kind: Kind,
    pub(super) unit: String,
    pub(super) description: String,
    pub(super) points: Vec<Point>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    UpDownCounter,
    Histogram,
}

/// One set of labels and its value: a sum, or count and sum of a histogram.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) sum: f64,
    pub(super) count: u64,
    pub(super) boundaries: Vec<f64>,
}

impl Meters {
    pub(super) fn new(configure: impl FnOnce(MetricsRecorder) -> MetricsRecorder) -> Self {
        let exporter = InMemoryMetricExporter::default();
        let reader = PeriodicReader::builder(exporter.clone()).build();
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        let meter = provider.meter_with_scope(InstrumentationScope::builder("test").build());
        let recorder = Arc::new(configure(MetricsRecorder::new(meter)));
        Self { provider, exporter, recorder }
    }

    pub(super) fn collect(&self) -> Snapshot {
        self.exporter.reset();
        self.provider.force_flush().expect("the reader runs");
        let finished = self.exporter.get_finished_metrics().expect("nobody else has the exporter");
        let scopes = finished.last().into_iter().flat_map(|resource| resource.scope_metrics());
        Snapshot(scopes.flat_map(|scope| scope.metrics()).map(Series::of).collect())
    }
}

impl Metered {
    /// Spans are sampled, all events are seen.
    pub(super) fn new() -> Self {
        Setup::default().build(|recorder| recorder)
    }

    pub(super) fn collect(&self) -> Snapshot {
        self.meters.collect()
    }

    pub(super) fn recorder(&self) -> &MetricsRecorder {
        &self.meters.recorder
    }

    pub(super) fn spans(&self) -> Vec<SpanData> {
        self.spans.get_finished_spans().expect("nobody else has the exporter")
    }

    pub(super) async fn events(&self) -> Vec<Event> {
        self.runtime.event_stream().get_events(0).await
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self { sampler: Sampler::AlwaysOn, filter: LevelFilter::TRACE, has_spans: true }
    }
}

impl Setup {
    pub(super) fn with_sampler(self, sampler: Sampler) -> Self {
        Self { sampler, ..self }
    }

    pub(super) fn with_filter(self, filter: LevelFilter) -> Self {
        Self { filter, ..self }
    }

    pub(super) fn without_spans(self) -> Self {
        Self { has_spans: false, ..self }
    }

    pub(super) fn build(self, configure: impl FnOnce(MetricsRecorder) -> MetricsRecorder) -> Metered {
        let meters = Meters::new(configure);
        let spans = InMemorySpanExporter::default();
        let tracers =
            SdkTracerProvider::builder().with_simple_exporter(spans.clone()).with_sampler(self.sampler).build();
        let mapper = Arc::new(SpanMapper::new(tracers.tracer("test")));
        let recorder = Arc::clone(&meters.recorder);
        let layer = if self.has_spans {
            OtelLayer::new(Arc::clone(&mapper)).with_metrics(recorder)
        } else {
            OtelLayer::metrics_only(recorder)
        };
        let registry = tracing_subscriber::registry().with(self.filter).with(layer);
        let stream = EventStream::builder().with_seed(1).with_start_time(epoch()).build();
        Metered {
            runtime: Runtime::with_event_stream(stream),
            mapper,
            meters,
            spans,
            _subscriber: support::set_default(registry),
        }
    }
}

impl Snapshot {
    pub(super) fn series(&self, name: &str) -> &Series {
        self.0.get(name).unwrap_or_else(|| panic!("no metric {name} among {:?}", self.0.keys()))
    }

    /// The sum over all points of a metric; 0 if there is none.
    pub(super) fn sum(&self, name: &str) -> f64 {
        self.0.get(name).map_or(0.0, |series| series.points.iter().map(|point| point.sum).sum())
    }

    /// How many values a histogram has taken, in all its points.
    pub(super) fn count(&self, name: &str) -> u64 {
        self.0.get(name).map_or(0, |series| series.points.iter().map(|point| point.count).sum())
    }

    /// The only point of a metric that has the given labels.
    pub(super) fn point(&self, name: &str, labels: &[(&str, &str)]) -> &Point {
        let is_it = |point: &&Point| labels.iter().all(|(key, value)| point.label(key) == Some(*value));
        let found: Vec<_> = self.series(name).points.iter().filter(is_it).collect();
        assert_eq!(found.len(), 1, "{name} with {labels:?}: {:#?}", self.series(name).points);
        found[0]
    }

    /// The values that a label has anywhere.
    pub(super) fn values(&self, key: &str) -> BTreeSet<String> {
        let points = self.0.values().flat_map(|series| &series.points);
        points.filter_map(|point| point.label(key)).map(str::to_owned).collect()
    }
}

impl Point {
    pub(super) fn label(&self, key: &str) -> Option<&str> {
        self.labels.get(key).map(String::as_str)
    }
}

impl Series {
    fn of(metric: &Metric) -> (String, Self) {
        let (kind, mut points) = match metric.data() {
            AggregatedMetrics::F64(data) => read(data, |value| value),
            #[expect(clippy::cast_precision_loss, reason = "tests count no further than 2^53")]
            AggregatedMetrics::U64(data) => read(data, |value| value as f64),
            #[expect(clippy::cast_precision_loss, reason = "tests count no further than 2^53")]
            AggregatedMetrics::I64(data) => read(data, |value| value as f64),
        };
        // The SDK keeps them in a hash map.
        points.sort_by(|one: &Point, other| one.labels.cmp(&other.labels));
        let (unit, description) = (metric.unit().to_owned(), metric.description().to_owned());
        (metric.name().to_owned(), Self { kind, unit, description, points })
    }
}

fn read<T: Copy>(data: &MetricData<T>, as_f64: impl Fn(T) -> f64) -> (Kind, Vec<Point>) {
    match data {
        MetricData::Sum(sum) => {
            let kind = if sum.is_monotonic() { Kind::Counter } else { Kind::UpDownCounter };
            let point = |point: &SumDataPoint<T>| Point {
                labels: labels(point.attributes()),
                sum: as_f64(point.value()),
                count: 0,
                boundaries: Vec::new(),
            };
            (kind, sum.data_points().map(point).collect())
        }
        MetricData::Histogram(histogram) => {
            let point = |point: &HistogramDataPoint<T>| Point {
                labels: labels(point.attributes()),
                sum: as_f64(point.sum()),
                count: point.count(),
                boundaries: point.bounds().collect(),
            };
            (Kind::Histogram, histogram.data_points().map(point).collect())
        }
        MetricData::Gauge(_) | MetricData::ExponentialHistogram(_) => panic!("no such instrument is used"),
    }
}

fn labels<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> BTreeMap<String, String> {
    attributes.map(|label| (label.key.to_string(), label.value.to_string())).collect()
}

fn epoch() -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp(1_767_225_600, 0).expect("a valid time")
}

/// Says that two sums of seconds or of money are the same but for the order of their additions.
pub(super) fn assert_close(actual: f64, expected: f64, what: &str) {
    assert!((actual - expected).abs() < 1e-9, "{what}: {actual} is not {expected}");
}
