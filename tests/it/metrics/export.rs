//! Metrics on their way out: over OTLP, as the environment says, and to a good end or one that is told.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use agent_runtime::{
    otel::{ExportError, ExportReport, Telemetry, TelemetryBuilder},
    prelude::*,
    stream::EventStream,
};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_otlp::{MetricExporter, SpanExporter as OtlpSpanExporter, WithExportConfig as _};
use opentelemetry_proto::tonic::{
    common::v1::any_value,
    metrics::v1::{AggregationTemporality, Metric, metric::Data, number_data_point::Value},
    resource::v1::Resource,
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    metrics::{
        InMemoryMetricExporter, PeriodicReader, SdkMeterProvider,
        data::{AggregatedMetrics, MetricData},
    },
    trace::{SpanData, SpanExporter},
};
use parking_lot::{Condvar, Mutex};
use tracing_subscriber::layer::SubscriberExt as _;

use super::scenario::agent_alone;
use crate::support::{
    self,
    process::run_child,
    sink::{Answer, Signal, Sink, Transport},
};

/// What a test waits for at most; long, because machines that run tests are slow at times.
const PATIENCE: Duration = Duration::from_secs(30);

const CHILD: &str = "metrics::export::run_as_the_environment_says";

#[tokio::test]
async fn metrics_go_out_beside_the_spans_under_the_same_resource() {
    let sink = Sink::http();
    let report = run_and_shut_down(over_http(&sink)).await.unwrap();
    assert_eq!(report.spans.delivery.exported, sink.spans().len() as u64);

    let metrics = sink.metrics();
    for export in metrics {
        let [resource] = <[_; 1]>::try_from(export.resource_metrics).unwrap();
        assert_eq!(service_name(resource.resource).as_deref(), Some("metered"));
        let [scope] = <[_; 1]>::try_from(resource.scope_metrics).unwrap();
        let scope = scope.scope.unwrap();
        assert_eq!((scope.name.as_str(), scope.version.as_str()), ("agent_runtime", env!("CARGO_PKG_VERSION")));
    }
    let [spans] = <[_; 1]>::try_from(sink.requests()[0].resource_spans.clone()).unwrap();
    assert_eq!(service_name(spans.resource).as_deref(), Some("metered"));

    let last = last_metrics(&sink);
    let duration = histogram(&last, "gen_ai.client.inference.duration");
    assert_eq!((duration.0, duration.1.len()), (AggregationTemporality::Cumulative, 14));
    // The last export waits for the spans' end and so tells of it.
    assert_eq!(sum(&last, "agent_runtime.spans.ended"), Some(4));
    assert_eq!(sum(&last, "agent_runtime.spans.exported"), Some(4));
    assert_eq!(sum(&last, "agent_runtime.spans.failed"), Some(0));
    assert_eq!(sum(&last, "agent_runtime.spans.dropped"), Some(0));
    assert_eq!(sum(&last, "agent_runtime.spans.interrupted"), Some(0));
    assert_eq!(sum(&last, "otel.sdk.exporter.span.exported"), Some(4));
    assert_eq!(sum(&last, "otel.sdk.exporter.span.inflight"), Some(0));
    assert_eq!(sum(&last, "otel.sdk.processor.span.processed"), Some(4));
    assert!(sum(&last, "agent_runtime.subscriber.lagged").is_some());
}

#[tokio::test]
async fn a_loss_of_spans_and_one_of_metrics_are_told_apart() {
    let (take, refuse) = (Answer::Accept, Answer::Refuse(400));
    let cases = [(take, take), (take, refuse), (refuse, take), (refuse, refuse)];
    for (traces, metrics) in cases {
        let sink = answering(traces, metrics);
        let result = run_and_shut_down(over_http(&sink)).await;
        let report = result.as_ref().unwrap_or_else(|error| error.report());
        let seen = (report.spans.delivery.exported, report.metrics.failure.is_none());
        let expected = (if traces == take { 4 } else { 0 }, metrics == take);
        assert_eq!(seen, expected, "{traces:?} {metrics:?}: {result:?}");
        if let Err(error) = result {
            assert_eq!(error.to_string().contains("metrics"), metrics == refuse, "{error}");
            assert_eq!(error.to_string().contains("4 of 4 spans did not arrive"), traces == refuse, "{error}");
        }
        if (traces, metrics) == (refuse, take) {
            assert_eq!(sum(&last_metrics(&sink), "agent_runtime.spans.failed"), Some(4));
        }
    }
}

#[tokio::test]
async fn a_backend_that_says_nothing_does_not_hold_up_the_shutdown() {
    for (traces, metrics) in
        [(Answer::Hang, Answer::Hang), (Answer::Accept, Answer::Hang), (Answer::Hang, Answer::Accept)]
    {
        let sink = answering(traces, metrics);
        let timeout = Duration::from_millis(400);
        let began = Instant::now();
        let result = run_and_shut_down(over_http(&sink).with_shutdown_timeout(timeout)).await;
        assert!(result.is_err(), "{traces:?} {metrics:?}: {result:?}");
        // Far below the ten seconds that the exporter would wait.
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        if metrics == Answer::Accept {
            assert!(sum(&last_metrics(&sink), "agent_runtime.spans.ended").is_some(), "metrics do not wait for spans");
        }
    }
}

#[tokio::test]
async fn a_meter_provider_of_the_users_is_flushed_and_left_running() {
    let exporter = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(exporter.clone()).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    let builder = Telemetry::builder("metered").with_meter_provider(provider.clone());
    run_and_shut_down(builder).await.unwrap();
    assert!(!exporter.get_finished_metrics().unwrap().is_empty());

    exporter.reset();
    provider.meter("mine").u64_counter("still.counting").build().add(1, &[]);
    provider.force_flush().unwrap();
    assert!(!exporter.get_finished_metrics().unwrap().is_empty());
}

#[tokio::test]
async fn without_anywhere_to_go_nothing_is_measured() {
    let telemetry = Telemetry::builder("metered").build().unwrap();
    assert!(telemetry.metrics().is_none() && telemetry.meter_provider().is_none());
}

#[tokio::test]
async fn metrics_go_out_while_the_program_runs() {
    let exporter = InMemoryMetricExporter::default();
    let telemetry = Telemetry::builder("metered")
        .with_metric_interval(Duration::from_millis(5))
        .with_metric_exporter(exporter.clone())
        .build()
        .unwrap();
    telemetry.metrics().unwrap().observe(&Event::agent_started("agent", None, None, json!({})));
    let began = Instant::now();
    while exporter.get_finished_metrics().unwrap().len() < 3 {
        assert!(began.elapsed() < PATIENCE, "no export came");
        tokio::task::yield_now().await;
    }
    // Its layer is in no subscriber, which may be reported: what other tests of this process emit came to no layer of it.
    let outcome = telemetry.shutdown();
    assert!(outcome.err().is_none_or(|error| error.report().metrics.failed == 0));
}

#[tokio::test]
async fn spans_that_find_the_queue_full_are_counted() {
    let gate = Gate::default();
    let metrics = InMemoryMetricExporter::default();
    let telemetry = Telemetry::builder("metered")
        .with_queue_size(8)
        .with_span_exporter(gate.clone())
        .with_metric_exporter(metrics.clone())
        .build()
        .unwrap();
    let stream = EventStream::new();
    let run = |number: usize| {
        let id = || Some(format!("wf_{number}"));
        for event in [
            Event::workflow_started("flow", id(), None, json!({})),
            Event::workflow_completed("flow", id(), None, json!({})),
        ] {
            telemetry.mapper().observe(&stream.append(event).unwrap());
        }
    };
    (0..100).for_each(run);
    let delivery = telemetry.report().spans.delivery;
    assert_eq!((delivery.ended, delivery.dropped, delivery.exported), (100, 92, 0));

    // What has gone out makes room again.
    gate.open();
    telemetry.tracer_provider().force_flush().unwrap();
    (100..107).for_each(run);
    // One that never ends but by the shutdown.
    let open = Event::workflow_started("open", Some("wf_open".to_owned()), None, json!({}));
    telemetry.mapper().observe(&stream.append(open).unwrap());

    let error = telemetry.shutdown().expect_err("some were dropped");
    let (spans, lost) = (&error.report().spans, &error.report().metrics.failure);
    assert!(spans.failure.is_none() && lost.is_none() && error.report().logs.is_complete());
    let delivery = spans.delivery;
    assert_eq!((delivery.ended, delivery.exported, delivery.dropped, delivery.unsent()), (108, 16, 92, 92));
    let last = metrics.get_finished_metrics().unwrap().pop().unwrap();
    let of = |name: &str| {
        let metrics = last.scope_metrics().flat_map(|scope| scope.metrics());
        let metric = metrics.into_iter().find(|metric| metric.name() == name).expect("it is there");
        match metric.data() {
            AggregatedMetrics::U64(MetricData::Sum(sum)) => sum.data_points().map(|point| point.value()).sum::<u64>(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((of("agent_runtime.spans.dropped"), of("agent_runtime.spans.interrupted")), (92, 1));
}

#[test]
fn the_environment_decides_what_goes_out_and_how() {
    let (http, grpc) = (Sink::http(), Sink::grpc());
    let endpoint = |sink: &Sink| ("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url());
    let set = |key, value: &str| (key, value.to_owned());
    // The sink, the variables, and whether spans and metrics come.
    let cases = [
        (&http, vec![endpoint(&http)], (true, true)),
        (&http, vec![endpoint(&http), set("OTEL_METRICS_EXPORTER", "none")], (true, false)),
        (&http, vec![endpoint(&http), set("OTEL_TRACES_EXPORTER", "none")], (false, true)),
        (
            &http,
            vec![endpoint(&http), set("OTEL_TRACES_EXPORTER", "none"), set("OTEL_METRICS_EXPORTER", "none")],
            (false, false),
        ),
        (&http, vec![endpoint(&http), set("OTEL_METRICS_EXPORTER", "otlp")], (true, true)),
        (&grpc, vec![endpoint(&grpc), set("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], (true, true)),
        (
            &grpc,
            vec![
                endpoint(&http),
                set("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc"),
                ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", grpc.url()),
            ],
            (false, true),
        ),
    ];
    for (sink, variables, expected) in cases {
        let before = (sink.spans().len(), sink.metrics().len());
        let said = in_a_process_with(&variables);
        assert!(said.contains("outcome: Ok"), "{variables:?}: {said}");
        let come = (sink.spans().len() > before.0, sink.metrics().len() > before.1);
        assert_eq!(come, expected, "{variables:?}: {said}");
    }
}

#[test]
fn a_disabled_sdk_exports_nothing_and_loses_nothing() {
    let sink = Sink::http();
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url());
    for value in ["true", "TRUE"] {
        let disabled = ("OTEL_SDK_DISABLED", value.to_owned());
        // What would be an error counts for nothing then.
        let protocol = ("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier pigeon".to_owned());
        let said = in_a_process_with(&[endpoint.clone(), disabled, protocol]);
        assert!(said.contains(&format!("outcome: {:?}", Ok::<_, ()>(ExportReport::default()))), "{said}");
        assert!(sink.requests().is_empty() && sink.metrics().is_empty());
    }
    for value in ["false", "", "1"] {
        in_a_process_with(&[endpoint.clone(), ("OTEL_SDK_DISABLED", value.to_owned())]);
    }
    assert_eq!(sink.requests().len(), 3);
}

#[test]
fn the_environment_sets_interval_and_temporality_and_errors_name_it() {
    let sink = Sink::http();
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url());
    let said = in_a_process_with(&[
        endpoint.clone(),
        ("OTEL_METRIC_EXPORT_INTERVAL", "20".to_owned()),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta".to_owned()),
    ]);
    assert!(said.contains("outcome: Ok"), "{said}");
    assert!(sink.metrics().len() > 2, "the run takes ten times the interval");
    let exports = sink.metrics().into_iter().flat_map(|export| export.resource_metrics);
    let metrics: Vec<_> = exports.flat_map(|resource| resource.scope_metrics).flat_map(|scope| scope.metrics).collect();
    assert_eq!(histogram(&metrics, "gen_ai.client.inference.duration").0, AggregationTemporality::Delta);

    for (variable, value, error) in [
        ("OTEL_METRICS_EXPORTER", "prometheus", "one of"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "one of"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json", "one of"),
    ] {
        let said = in_a_process_with(&[endpoint.clone(), (variable, value.to_owned())]);
        assert!(said.contains("set-up: ") && said.contains(error) && said.contains(variable), "{said}");
    }
}

/// The run behind [`in_a_process_with`]: everything in one thread, which gRPC must bear.
#[tokio::test]
#[ignore = "run in a process of its own, with an environment of its own"]
async fn run_as_the_environment_says() {
    match Telemetry::from_env("metered") {
        Ok(telemetry) => {
            run(&telemetry).await;
            println!("outcome: {:?}", telemetry.shutdown());
        }
        Err(error) => println!("set-up: {error}"),
    }
}

fn in_a_process_with(variables: &[(&str, String)]) -> String {
    let variables: Vec<_> = variables.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let finished = run_child(CHILD, &variables);
    finished.stdout + &finished.stderr
}

/// A collector that answers all requests for a signal alike.
fn answering(traces: Answer, metrics: Answer) -> Sink {
    Sink::answering(Transport::Http, move |signal| if signal == Signal::Metrics { metrics } else { traces })
}

/// The metrics of the last export.
fn last_metrics(sink: &Sink) -> Vec<Metric> {
    let last = sink.metrics().pop().expect("metrics have come");
    let scopes = last.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
    scopes.flat_map(|scope| scope.metrics).collect()
}

fn service_name(resource: Option<Resource>) -> Option<String> {
    let name = resource?.attributes.into_iter().find(|attribute| attribute.key == "service.name")?;
    match name.value?.value? {
        any_value::Value::StringValue(name) => Some(name),
        other => panic!("{other:?} is no name"),
    }
}

fn over_http(sink: &Sink) -> TelemetryBuilder {
    let spans = OtlpSpanExporter::builder().with_http().with_endpoint(format!("{}/v1/traces", sink.url())).build();
    let metrics = MetricExporter::builder().with_http().with_endpoint(format!("{}/v1/metrics", sink.url())).build();
    Telemetry::builder("metered")
        .with_span_exporter(spans.expect("a valid endpoint"))
        .with_metric_exporter(metrics.expect("a valid endpoint"))
}

async fn run_and_shut_down(builder: TelemetryBuilder) -> Result<ExportReport, ExportError> {
    let telemetry = builder.build().expect("nothing in the environment is wrong");
    run(&telemetry).await;
    telemetry.shutdown()
}

/// A run of four components that takes two tenths of a second.
async fn run(telemetry: &Telemetry) {
    let _subscriber = support::set_default(tracing_subscriber::registry().with(telemetry.layer()));
    let reply = ScriptedReply::text("one two three four").with_delay(Duration::from_millis(50));
    Runtime::new().execute(&agent_alone("flow", "agent", reply), "x").await.expect("the run succeeds");
}

/// The temporality and the boundaries of a histogram.
fn histogram(metrics: &[Metric], name: &str) -> (AggregationTemporality, Vec<f64>) {
    let metric = metrics.iter().find(|metric| metric.name == name).expect("the metric has come");
    let Some(Data::Histogram(histogram)) = &metric.data else { panic!("{metric:?}") };
    (histogram.aggregation_temporality(), histogram.data_points[0].explicit_bounds.clone())
}

/// The value of a counter without labels.
fn sum(metrics: &[Metric], name: &str) -> Option<i64> {
    let Some(Data::Sum(sum)) = &metrics.iter().find(|metric| metric.name == name)?.data else { return None };
    match sum.data_points[0].value? {
        Value::AsInt(value) => Some(value),
        Value::AsDouble(value) => panic!("{value} spans"),
    }
}

/// An exporter that takes nothing until its gate is open.
#[derive(Clone, Debug, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn open(&self) {
        *self.0.0.lock() = true;
        self.0.1.notify_all();
    }
}

impl SpanExporter for Gate {
    async fn export(&self, _batch: Vec<SpanData>) -> OTelSdkResult {
        let (is_open, opened) = &*self.0;
        opened.wait_while(&mut is_open.lock(), |is_open| !*is_open);
        Ok(())
    }
}
