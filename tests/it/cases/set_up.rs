//! A set-up under which nothing comes works or says so; settings count in whatever order they are made; and the end of
//! telemetry costs neither time nor a panic.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use agent_runtime::{
    otel::{ContentCapture, Telemetry},
    prelude::*,
};
use opentelemetry::{Context, global, trace::TraceContextExt as _, trace::Tracer as _};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    logs::InMemoryLogExporter,
    metrics::InMemoryMetricExporter,
    trace::{InMemorySpanExporter, InMemorySpanExporterBuilder, SdkTracerProvider, SpanData, SpanExporter},
};
use parking_lot::Mutex;
use tracing::{Dispatch, subscriber::NoSubscriber};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, registry};

use crate::support::{
    process::run_child,
    set_default,
    sink::{Answer, Signal, Sink, Transport},
};

/// Two events, one span.
fn one_agent(stream: &EventStream) {
    for event in
        [Event::agent_started("writer", None, None, json!({})), Event::agent_completed("writer", None, None, json!({}))]
    {
        stream.append(event).expect("it is valid");
    }
}

/// Runs a child, which prints what its shutdown said.
#[track_caller]
fn outcome_of(child: &str, variables: &[(&str, &str)]) -> String {
    let finished = run_child(&format!("cases::set_up::{child}"), variables);
    let outcome = finished.stdout.lines().find_map(|line| line.strip_prefix("outcome: "));
    outcome.unwrap_or_else(|| panic!("{finished:#?}")).to_owned()
}

fn outcome(telemetry: &Telemetry) -> String {
    telemetry.shutdown().map_or_else(|error| error.to_string(), |report| report.to_string())
}

#[test]
fn events_that_came_to_no_layer_are_an_error_with_the_likely_cause() {
    for (case, child) in [("F1", "child_filters_the_whole_registry"), ("F2", "child_forgets_to_install")] {
        let outcome = outcome_of(child, &[]);
        for part in ["2 events came to no layer", "telemetry.install()", "agent_runtime::event"] {
            assert!(outcome.contains(part), "{case}: {outcome}");
        }
    }
    assert_eq!(outcome_of("child_installs", &[]), "all 1 spans arrived");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_filters_the_whole_registry() {
    let telemetry = Telemetry::builder("test").with_span_exporter(InMemorySpanExporter::default()).build().unwrap();
    let registry = registry().with(EnvFilter::new("my_app=debug")).with(telemetry.layer());
    tracing::subscriber::set_global_default(registry).unwrap();
    one_agent(&EventStream::new());
    println!("\noutcome: {}", outcome(&telemetry));
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_forgets_to_install() {
    let telemetry = Telemetry::builder("test").with_span_exporter(InMemorySpanExporter::default()).build().unwrap();
    one_agent(&EventStream::new());
    println!("\noutcome: {}", outcome(&telemetry));
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_installs() {
    let telemetry = Telemetry::builder("test").with_span_exporter(InMemorySpanExporter::default());
    let telemetry = telemetry.build().unwrap().install().unwrap();
    one_agent(&EventStream::new());
    println!("\noutcome: {}", outcome(&telemetry));
}

#[test]
fn a_thread_without_a_subscriber_takes_no_spans_from_others() {
    for (row, idle) in [("B46", "no"), ("B48", "yes")] {
        let outcome = outcome_of("child_begins_on_a_thread_without_a_subscriber", &[("TEST_IDLE", idle)]);
        assert_eq!(outcome, "all 1 spans arrived", "{row}");
    }
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_begins_on_a_thread_without_a_subscriber() {
    let idle = if std::env::var("TEST_IDLE").is_ok_and(|value| value == "yes") { 2 } else { 0 };
    let _idle: Vec<_> = (0..idle).map(|_| Dispatch::new(NoSubscriber::new())).collect();
    let telemetry = Telemetry::builder("test").with_span_exporter(InMemorySpanExporter::default()).build().unwrap();
    let _subscriber = tracing::subscriber::set_default(registry().with(telemetry.layer()));
    thread::spawn(|| one_agent(&EventStream::new())).join().unwrap();
    one_agent(&EventStream::new());
    println!("\noutcome: {}", outcome(&telemetry));
}

#[test]
fn the_globals_are_set_where_they_are_asked_for_and_free() {
    for (globals, users) in [("no", "no"), ("yes", "no"), ("yes", "yes")] {
        let variables = [("TEST_GLOBALS", globals), ("TEST_USERS", users)];
        let finished = run_child("cases::set_up::child_uses_the_globals", &variables);
        let said = finished.stdout.lines().find_map(|line| line.strip_prefix("global spans: "));
        let expected = match (globals, users) {
            ("no", _) => "ours 0, the user's 0, header false",
            (_, "no") => "ours 1, the user's 0, header true",
            _ => "ours 0, the user's 1, header true",
        };
        assert_eq!(said, Some(expected), "B47 {variables:?}: {finished:#?}");
    }
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_uses_the_globals() {
    let is_set = |variable| std::env::var(variable).is_ok_and(|value| value == "yes");
    // They keep their spans when the provider ends.
    let exporter = || InMemorySpanExporterBuilder::new().build();
    let (ours, users) = (exporter(), exporter());
    let users_provider = SdkTracerProvider::builder().with_simple_exporter(users.clone()).build();
    if is_set("TEST_USERS") {
        global::set_tracer_provider(users_provider);
    }
    let builder = Telemetry::builder("test").with_span_exporter(ours.clone());
    let builder = if is_set("TEST_GLOBALS") { builder.with_opentelemetry_globals() } else { builder };
    let telemetry = builder.build().unwrap().install().unwrap();
    let span = global::tracer("a library").start("theirs");
    let context = Context::new().with_span(span);
    let mut headers = std::collections::HashMap::new();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut headers));
    drop(context);
    telemetry.tracer_provider().force_flush().unwrap();
    let [ours, users] = [ours, users].map(|exporter| exporter.get_finished_spans().unwrap().len());
    let has_header = headers.contains_key("traceparent");
    println!("\nglobal spans: ours {ours}, the user's {users}, header {has_header}");
}

#[tokio::test]
async fn a_flush_sends_all_three_signals_and_goes_on() {
    let (spans, metrics, logs) =
        (InMemorySpanExporter::default(), InMemoryMetricExporter::default(), InMemoryLogExporter::default());
    let telemetry = Telemetry::builder("test")
        .with_span_exporter(spans.clone())
        .with_metric_exporter(metrics.clone())
        .with_log_exporter(logs.clone())
        .with_content_capture(ContentCapture::EventOnly)
        .build()
        .unwrap();
    let _subscriber = set_default(registry().with(telemetry.layer()));
    let stream = EventStream::new();
    for round in 1..=2 {
        for event in [
            Event::llm_started("writer:llm:0", None, None, json!({"model": "m"})),
            Event::llm_completed("writer:llm:0", None, None, json!({})),
        ] {
            stream.append(event).unwrap();
        }
        let report = telemetry.flush().unwrap();
        assert_eq!((report.spans.delivery.exported, report.logs.delivery.exported), (round, round), "C77");
        assert_eq!(spans.get_finished_spans().unwrap().len() as u64, round);
        assert_eq!(logs.get_emitted_logs().unwrap().len() as u64, round);
        assert!(metrics.get_finished_metrics().unwrap().len() as u64 >= round);
    }
    telemetry.shutdown().unwrap();
}

#[test]
fn clones_share_one_export_which_ends_once_and_with_the_last() {
    let exporter = InMemorySpanExporter::default();
    let telemetry = Telemetry::builder("test").with_span_exporter(exporter).build().unwrap();
    let _subscriber = set_default(registry().with(telemetry.layer()));
    let health = telemetry.clone();
    one_agent(&EventStream::new());
    assert_eq!(health.report().spans.delivery.ended, 1, "F20");
    let report = telemetry.shutdown().unwrap();
    drop(telemetry);
    assert_eq!((health.shutdown().unwrap(), health.flush().unwrap()), (report.clone(), report));
}

/// Counts what comes.
#[derive(Clone, Debug, Default)]
struct Counting(Arc<AtomicU64>);

impl SpanExporter for Counting {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn the_last_clone_sends_what_is_left() {
    let counting = Counting::default();
    let telemetry = Telemetry::builder("test").with_span_exporter(counting.clone()).build().unwrap();
    let _subscriber = set_default(registry().with(telemetry.layer()));
    let other = telemetry.clone();
    one_agent(&EventStream::new());
    drop(telemetry);
    assert_eq!(counting.0.load(Ordering::Relaxed), 0, "F20");
    drop(other);
    assert_eq!(counting.0.load(Ordering::Relaxed), 1, "F20");
}

/// Keeps what comes, once the test lets go of it.
#[derive(Clone, Debug, Default)]
struct Held(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Held {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().extend(batch);
        Ok(())
    }
}

#[test]
fn settings_count_in_whatever_order_they_are_made() {
    let metrics = InMemoryMetricExporter::default();
    let spans = Held::default();
    let held = spans.0.lock();
    let telemetry = Telemetry::builder("test")
        .with_span_exporter(spans.clone())
        .with_metric_exporter(metrics.clone())
        .with_queue_size(2)
        .with_content_capture(ContentCapture::SpanOnly)
        .with_metric_interval(Duration::from_millis(1))
        .build()
        .unwrap();
    let stream = EventStream::new();
    for _ in 0..3 {
        let input = json!({"input": "SECRET"});
        for event in
            [Event::agent_started("writer", None, None, input), Event::agent_completed("writer", None, None, json!({}))]
        {
            telemetry.mapper().observe(&stream.append(event).unwrap());
        }
    }
    telemetry.metrics().unwrap().observe(&Event::agent_started("writer", None, None, json!({})));
    assert_eq!(telemetry.report().spans.delivery.dropped, 1, "C76: the queue");
    drop(held);
    telemetry.tracer_provider().force_flush().unwrap();
    assert!(format!("{:?}", spans.0.lock()).contains("SECRET"), "C76: content");
    let began = std::time::Instant::now();
    while metrics.get_finished_metrics().unwrap().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(30), "C76: the interval");
        thread::yield_now();
    }
}

#[test]
fn nothing_is_exported_where_no_endpoint_is_set_and_all_where_one_is() {
    let sink = Sink::http();
    let (url, of_traces) = (sink.url(), format!("{}/v1/traces", sink.url()));
    assert_eq!(outcome_of("child_exports_if_an_endpoint_is_set", &[]), "all 0 spans arrived", "F9");
    for endpoint in [("OTEL_EXPORTER_OTLP_ENDPOINT", &url), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &of_traces)] {
        let variables = [(endpoint.0, endpoint.1.as_str()), ("OTEL_METRICS_EXPORTER", "none")];
        assert_eq!(outcome_of("child_exports_if_an_endpoint_is_set", &variables), "all 1 spans arrived", "F9");
    }
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_exports_if_an_endpoint_is_set() {
    let telemetry = Telemetry::builder("test").with_otlp_if_endpoint_set().build().unwrap().install().unwrap();
    one_agent(&EventStream::new());
    println!("\noutcome: {}", outcome(&telemetry));
}

#[test]
fn a_collector_that_is_silent_costs_no_more_than_the_limit_and_the_loss_is_told() {
    for (transport, protocol) in [(Transport::Http, "http/protobuf"), (Transport::Grpc, "grpc")] {
        let silent = Sink::answering(transport, |_| Answer::Hang);
        let url = silent.url();
        let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
        // The exporter would wait for ten seconds.
        let outcome = outcome_of("child_shuts_down_soon", &variables);
        let expected =
            "1 of 1 spans did not arrive (0 refused or unreachable, 1 sent and not answered in time, 0 not sent)";
        assert!(outcome.starts_with(expected), "B51 {protocol}: {outcome}");
        assert!(outcome.contains("the last metrics did not arrive"), "B51 {protocol}: {outcome}");
        assert_eq!(silent.headers(Signal::Traces).len(), 1, "it was sent");
    }
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_shuts_down_soon() {
    let telemetry = Telemetry::builder("test").with_otlp_from_env().with_shutdown_timeout(Duration::from_millis(700));
    let telemetry = telemetry.build().unwrap().install().unwrap();
    one_agent(&EventStream::new());
    println!("\noutcome: {}", outcome(&telemetry));
}

#[test]
fn a_shutdown_waits_as_long_as_a_request_may_take() {
    for (timeout, expected) in [("", "10s"), ("20000", "20s"), ("50", "5s")] {
        let sink = Sink::http();
        let url = sink.url();
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", timeout),
            ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "50"),
        ];
        let outcome = outcome_of("child_tells_its_limit", &variables);
        assert!(outcome.contains(&format!("timeout: {expected},")), "{timeout}: {outcome}");
    }
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_tells_its_limit() {
    let telemetry = Telemetry::builder("test").with_otlp_from_env().build().unwrap();
    println!("\noutcome: {telemetry:?}");
}
