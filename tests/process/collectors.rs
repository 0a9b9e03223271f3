//! Collectors that are not there, never answer or refuse at first, and the variables that lead to them. No run is harmed
//! by any, a shutdown returns and reports exactly what was lost, and nothing panics, then or later.
//!
//! The exporters read their environment, so each test runs in a process of its own; see `child_…`.

use std::{
    fs, panic,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use agent_runtime::{
    otel::{ExportError, ExportReport, Telemetry, TelemetrySetupError},
    prelude::*,
};
use opentelemetry::trace::{Tracer as _, TracerProvider as _};
use tokio::runtime::{Builder, Runtime as Tokio};
use tracing_subscriber::{layer::SubscriberExt as _, registry};

use crate::support::process::run_child;
use crate::support::sink::{Answer, Sink};
use crate::support::{FULL_TREE, assert_balanced, full_flow, history};

const PROTOCOLS: [&str; 2] = ["http/protobuf", "grpc"];

/// Limits of a shutdown: to wait for a collector that is not there, and for one that is, on a busy machine.
const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(60);

/// Variables that send spans, and nothing but spans, to a collector.
fn spans_to<'a>(protocol: &'a str, url: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url),
        ("OTEL_METRICS_EXPORTER", "none"),
    ]
}

/// Where and how a telemetry lives and ends.
#[derive(Clone, Copy, Debug)]
struct Life {
    multi_thread: bool,
    built_inside: bool,
    end: End,
}

#[derive(Clone, Copy, Debug)]
enum End {
    ShutdownInside,
    ShutdownOutside,
    DropInside,
    DropOutside,
    /// With the Tokio runtime gone already.
    ShutdownAfterwards,
}

fn lives() -> impl Iterator<Item = Life> {
    let ends = [End::ShutdownInside, End::ShutdownOutside, End::DropInside, End::DropOutside, End::ShutdownAfterwards];
    let of = move |multi_thread, built_inside| ends.map(|end| Life { multi_thread, built_inside, end });
    [of(false, false), of(false, true), of(true, false), of(true, true)].into_iter().flatten()
}

impl Life {
    fn tokio(self) -> Tokio {
        let mut builder = if self.multi_thread { Builder::new_multi_thread() } else { Builder::new_current_thread() };
        builder.worker_threads(2).enable_all().build().expect("a runtime starts")
    }

    /// Runs a workflow and ends the telemetry. Returns what the shutdown reported, if it was one.
    fn live(self, shutdown_timeout: Duration) -> Option<Result<ExportReport, ExportError>> {
        let build = || {
            let builder = Telemetry::builder("test").with_otlp_from_env().with_shutdown_timeout(shutdown_timeout);
            builder.build().expect("the variables are right")
        };
        let tokio = self.tokio();
        let telemetry = if self.built_inside { tokio.block_on(async { build() }) } else { build() };
        tokio.block_on(run_with(&telemetry));
        match self.end {
            End::ShutdownInside => Some(tokio.block_on(async { telemetry.shutdown() })),
            End::ShutdownOutside => Some(telemetry.shutdown()),
            End::DropInside => {
                tokio.block_on(async { drop(telemetry) });
                None
            }
            End::DropOutside => {
                drop(telemetry);
                None
            }
            End::ShutdownAfterwards => {
                drop(tokio);
                Some(telemetry.shutdown())
            }
        }
    }
}

/// Runs the full flow, unharmed, with its spans going to a telemetry.
async fn run_with(telemetry: &Telemetry) {
    let _subscriber = tracing::subscriber::set_default(registry().with(telemetry.layer()));
    let runtime = Runtime::new();
    runtime.execute(&full_flow(), "go").await.expect("the run succeeds");
    assert_balanced(&history(&runtime).await);
    assert_eq!(telemetry.mapper().open_spans(), 0);
}

fn spans_of_a_run() -> u64 {
    FULL_TREE.lines().count() as u64
}

/// Counts the panics of all threads of this process, which must be none in the end.
fn count_panics() -> &'static AtomicUsize {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        before(info);
    }));
    &PANICS
}

/// The threads of this process that export, by name.
fn exporting_threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    // The kernel keeps 15 characters of a name.
    names.filter(|name| name.starts_with("OpenTelemetry") || name.starts_with("agent-runtime-")).collect()
}

/// Waits until no thread exports any more, so that what one does late is seen too.
fn await_exporters() {
    let began = Instant::now();
    while !exporting_threads().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "still there: {:?}", exporting_threads());
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_collector_that_is_not_there_or_never_answers_harms_nothing_and_the_loss_is_reported() {
    let (closed, silent) = (format!("http://{}", Sink::closed()), Sink::black_hole());
    for protocol in PROTOCOLS {
        for url in [&closed, &silent.url()] {
            for metrics in ["none", "otlp"] {
                let mut variables = spans_to(protocol, url);
                // An exporter stops trying long after its shutdown has returned.
                variables.extend([("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"), ("OTEL_METRICS_EXPORTER", metrics)]);
                run_child("child_loses_everything_in_every_life", &variables);
            }
        }
    }
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_loses_everything_in_every_life() {
    let panics = count_panics();
    for life in lives() {
        match life.live(SHORT) {
            None => {}
            Some(Err(error)) => {
                let (ended, delivery) = (spans_of_a_run(), error.report().spans.delivery);
                assert_eq!((delivery.ended, delivery.exported), (ended, 0), "{life:?}");
                assert_eq!(delivery.failed + delivery.unanswered + delivery.unsent(), ended, "{life:?}");
            }
            Some(Ok(report)) => panic!("{life:?}: {report:?}"),
        }
    }
    await_exporters();
    assert_eq!(panics.load(Ordering::SeqCst), 0);
}

/// The exporter's own limit is an hour here: only the shutdown's can end the wait.
#[test]
fn a_shutdown_waits_no_longer_than_its_own_limit() {
    let silent = Sink::black_hole();
    for protocol in PROTOCOLS {
        let url = silent.url();
        let mut variables = spans_to(protocol, &url);
        variables.push(("OTEL_EXPORTER_OTLP_TIMEOUT", "3600000"));
        run_child("child_shuts_down_in_time", &variables);
    }
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_shuts_down_in_time() {
    let panics = count_panics();
    for life in lives() {
        if let Some(result) = life.live(SHORT) {
            let spans = result.expect_err("nothing arrives").report().spans.delivery;
            assert_eq!((spans.exported, spans.unanswered), (0, spans_of_a_run()), "{life:?}");
        }
    }
    assert_eq!(panics.load(Ordering::SeqCst), 0);
}

#[test]
fn a_collector_that_is_there_gets_everything_in_every_life() {
    for (protocol, sink) in [("http/protobuf", Sink::http()), ("grpc", Sink::grpc())] {
        run_child("child_delivers_everything_in_every_life", &spans_to(protocol, &sink.url()));
        let spans = sink.spans();
        spans.assert_well_formed();
        let trees: Vec<_> = spans.trace_ids().iter().map(|id| spans.trace(id).tree()).collect();
        assert_eq!(trees, vec![FULL_TREE; lives().count()], "{protocol}");
    }
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_delivers_everything_in_every_life() {
    let panics = count_panics();
    for life in lives() {
        let result = life.live(LONG);
        if let Some(result) = result {
            let delivery = result.unwrap_or_else(|error| panic!("{life:?}: {error:?}")).spans.delivery;
            assert_eq!((delivery.ended, delivery.exported), (spans_of_a_run(), spans_of_a_run()), "{life:?}");
        }
    }
    await_exporters();
    assert_eq!(panics.load(Ordering::SeqCst), 0);
}

#[test]
fn what_a_collector_refuses_for_now_is_sent_again_and_what_it_refuses_for_good_is_lost() {
    let sink = Sink::http_answering([Answer::Refuse(503), Answer::Refuse(429)]);
    run_child("child_delivers_one_run", &spans_to("http/protobuf", &sink.url()));
    assert_eq!(sink.spans().tree(), FULL_TREE);

    let sink = Sink::http_answering([Answer::Refuse(400)]);
    run_child("child_loses_one_run", &spans_to("http/protobuf", &sink.url()));
    assert!(sink.spans().is_empty());
}

#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn child_delivers_one_run() {
    let telemetry = Telemetry::builder("test").with_otlp_from_env().with_shutdown_timeout(LONG);
    let telemetry = telemetry.build().expect("the variables are right");
    run_with(&telemetry).await;
    let delivery = telemetry.shutdown().expect("all spans arrive").spans.delivery;
    assert_eq!((delivery.ended, delivery.exported), (spans_of_a_run(), spans_of_a_run()));
}

#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn child_loses_one_run() {
    let telemetry = Telemetry::from_env("test").expect("the variables are right");
    run_with(&telemetry).await;
    let delivery = telemetry.shutdown().expect_err("it was refused").report().spans.delivery;
    assert_eq!((delivery.ended, delivery.failed), (spans_of_a_run(), spans_of_a_run()));
}

#[test]
fn a_protocol_that_is_not_supported_is_an_error_that_names_its_variable() {
    let cases = [
        (vec![("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")], "OTEL_EXPORTER_OTLP_PROTOCOL=http/json"),
        (vec![("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier pigeon")], "OTEL_EXPORTER_OTLP_PROTOCOL=carrier pigeon"),
        (
            vec![("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "thrift"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=thrift",
        ),
        (vec![("OTEL_EXPORTER_OTLP_PROTOCOL", "")], "ok"),
        (vec![("OTEL_EXPORTER_OTLP_PROTOCOL", " GRPC ")], "ok"),
        (vec![("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "")], "ok"),
        (vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "not a URL")], "OTEL_EXPORTER_OTLP_ENDPOINT=not a URL"),
        (
            vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "not a URL"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
            "OTEL_EXPORTER_OTLP_ENDPOINT=not a URL",
        ),
    ];
    for (variables, expected) in cases {
        let finished = run_child("child_reports_how_its_set_up_went", &variables);
        let reported = finished.stdout.lines().find_map(|line| line.strip_prefix("set up: ")).expect("it reports");
        assert_eq!(reported, expected, "{variables:?}");
    }
}

/// Inside of a runtime, where a failed set-up must not block, as the drop of a runtime would.
#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn child_reports_how_its_set_up_went() {
    let reported = match Telemetry::builder("test").with_otlp_from_env().build() {
        Ok(telemetry) => {
            drop(telemetry);
            "ok".to_owned()
        }
        Err(TelemetrySetupError::Environment(error)) => {
            let (variable, value, text) = (error.variable(), error.value(), error.to_string());
            assert!(text.contains(variable) && text.contains(&format!("{value:?}")), "{text}");
            assert!(text.contains(if variable.contains("PROTOCOL") { "\"grpc\"" } else { "http://" }), "{text}");
            format!("{variable}={value}")
        }
        Err(other) => panic!("{other:?}"),
    };
    println!("\nset up: {reported}");
}

#[test]
fn the_services_name_comes_from_the_environment_before_the_code() {
    for (variables, expected) in [
        (vec![], "the code's"),
        (vec![("OTEL_SERVICE_NAME", "the environment's")], "the environment's"),
        (vec![("OTEL_RESOURCE_ATTRIBUTES", "service.name=an attribute's,team=blue")], "an attribute's"),
    ] {
        let sink = Sink::http();
        let url = sink.url();
        let variables = [spans_to("http/protobuf", &url), variables].concat();
        run_child("child_exports_under_a_name", &variables);
        let resource = sink.requests()[0].resource_spans[0].resource.clone().expect("there is one");
        let name = resource.attributes.iter().find(|attribute| attribute.key == "service.name").expect("it has a name");
        assert!(format!("{name:?}").contains(&format!("{expected:?}")), "{name:?}");
    }
}

#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn child_exports_under_a_name() {
    let telemetry = Telemetry::from_env("the code's").expect("the variables are right");
    run_with(&telemetry).await;
    telemetry.shutdown().expect("all spans arrive");
}

/// With everything on at the lowest level, an export that was itself observed would never come to an end.
#[test]
fn the_bridge_never_observes_itself() {
    for (protocol, sink) in [("http/protobuf", Sink::http()), ("grpc", Sink::grpc())] {
        let mut variables = spans_to(protocol, "");
        let url = sink.url();
        variables[1].1 = &url;
        variables.push(("OTEL_BSP_SCHEDULE_DELAY", "20"));
        run_child("child_observes_everything", &variables);
        let spans = sink.spans();
        assert_eq!(spans.tree(), format!("{FULL_TREE}the user's\n"), "{protocol}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs in a process of its own"]
async fn child_observes_everything() {
    let telemetry = Telemetry::from_env("test").expect("the variables are right");
    let tracer = telemetry.tracer_provider().tracer("the user's");
    let users = tracing_opentelemetry::layer().with_tracer(tracer.clone());
    tracing::subscriber::set_global_default(registry().with(users).with(telemetry.layer())).expect("it is the first");
    let runtime = Runtime::new();
    runtime.execute(&full_flow(), "go").await.expect("the run succeeds");
    crate::support::eventually("the export of the run", || telemetry.report().spans.is_complete()).await;
    // What the first export caused would be exported by now, with this span.
    drop(tracer.start("the user's"));
    let report = telemetry.shutdown().expect("all spans arrive");
    assert_eq!(report.spans.delivery.ended, spans_of_a_run() + 1);
}

#[test]
fn a_second_subscriber_for_the_process_is_refused_and_the_first_goes_on() {
    let sink = Sink::http();
    run_child("child_installs_twice", &spans_to("http/protobuf", &sink.url()));
    assert_eq!(sink.spans().tree(), FULL_TREE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs in a process of its own"]
async fn child_installs_twice() {
    let first = Telemetry::from_env("test").expect("the variables are right");
    let first = first.install().expect("nothing else is installed");
    let second = Telemetry::builder("test").build().expect("the variables are right");
    for refused in [first.clone(), second] {
        let error = refused.install().expect_err("one is installed");
        assert!(matches!(error, TelemetrySetupError::SubscriberInstalled(_)), "{error:?}");
        assert!(error.to_string().contains("telemetry.layer()"), "{error}");
    }
    Runtime::new().execute(&full_flow(), "go").await.expect("the run succeeds");
    first.shutdown().expect("all spans arrive");
}

#[test]
fn the_limit_of_a_spans_events_in_the_environment_leaves_the_counts_exact() {
    let sink = Sink::http();
    let url = sink.url();
    let mut variables = spans_to("http/protobuf", &url);
    variables.push(("OTEL_SPAN_EVENT_COUNT_LIMIT", "8"));
    run_child("child_streams_a_long_answer", &variables);
    let spans = sink.spans();
    let span = spans.one("chat scripted");
    assert_eq!(crate::support::spans::chunk_counts(span), (5_000, 5_000));
    assert!(span.events.len() <= 6 && span.dropped_events_count == 0, "{} events", span.events.len());
}

#[tokio::test(start_paused = true)]
#[ignore = "runs in a process of its own"]
async fn child_streams_a_long_answer() {
    let telemetry = Telemetry::from_env("test").expect("the variables are right");
    let reply = ScriptedReply::default().with_chunks(vec!["x"; 5_000]).with_delay(Duration::from_millis(20));
    let workflow = crate::support::agent_flow(crate::support::replies([reply]), []);
    {
        let _subscriber = tracing::subscriber::set_default(registry().with(telemetry.layer()));
        Runtime::new().execute(&workflow, "go").await.expect("the run succeeds");
    }
    telemetry.shutdown().expect("all spans arrive");
}
