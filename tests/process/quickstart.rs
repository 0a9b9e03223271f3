//! The quickstart against collectors over HTTP and gRPC: the example as a program, and its scenario with every chunk
//! counted. What it exports depends on its environment, so both run in processes of their own.

use std::{collections::BTreeMap, env, path::PathBuf};

use agent_runtime::{llm::ChatModel, otel::Telemetry, prelude::*};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

use crate::support::process::{Finished, run_child, run_example};
use crate::support::sink::{Sink, spans_of};
use crate::support::{Spans, assert_balanced, history, spans};

#[path = "../../examples/quickstart/scenario.rs"]
mod scenario;
const TREE: &str = include_str!("../support/quickstart.tree");

fn quickstart(arguments: &[&str], variables: &[(&str, &str)]) -> Finished {
    run_example("quickstart", arguments, variables)
}

/// The variables that send the trace to a collector, which takes no metrics.
fn variables<'a>(protocol: &'a str, url: &'a str) -> [(&'a str, &'a str); 3] {
    [("OTEL_EXPORTER_OTLP_PROTOCOL", protocol), ("OTEL_EXPORTER_OTLP_ENDPOINT", url), ("OTEL_METRICS_EXPORTER", "none")]
}

fn collectors() -> [(&'static str, Sink); 2] {
    [("http/protobuf", Sink::http()), ("grpc", Sink::grpc())]
}

/// Checks that there is one trace with one root and everything in its place. Returns the chunks by request.
#[track_caller]
fn check_trace(spans: &Spans) -> BTreeMap<String, i64> {
    assert_eq!(spans.tree(), TREE);
    assert_eq!((spans.trace_ids().len(), spans.roots().len()), (1, 1));
    spans.assert_well_formed();
    assert!(spans.iter().all(|span| spans::outcome(span) == "unset"));
    let of_request = |span| {
        let (on_span, sum) = spans::chunk_counts(span);
        assert_eq!(on_span, sum, "the span's attribute and the sum over its events");
        let id = spans::attribute(span, "agent_runtime.component.id");
        (id.as_str().expect("every span has one").to_owned(), sum)
    };
    spans.all("chat scripted-demo").into_iter().map(of_request).collect()
}

/// What the script says, in words, which are its chunks.
fn scripted_chunks() -> BTreeMap<String, i64> {
    let expected = [
        ("researcher:llm:0", 0),
        ("researcher:llm:1", 18),
        ("checker:llm:0", 0),
        ("checker:llm:1", 12),
        ("writer:llm:0", 21),
    ];
    expected.into_iter().map(|(id, chunks)| (id.to_owned(), chunks)).collect()
}

#[test]
fn the_quickstart_sends_one_trace_with_every_span_in_its_place() {
    for (protocol, sink) in collectors() {
        let finished = quickstart(&[], &variables(protocol, &sink.url()));
        assert!(finished.success, "{protocol}: {finished:#?}");
        assert_eq!(check_trace(&sink.spans()), scripted_chunks(), "{protocol}");
        let exported = format!("{} spans exported over OTLP", TREE.lines().count());
        assert!(finished.stdout.contains(&exported), "{protocol}: {}", finished.stdout);
        let resource = sink.requests()[0].resource_spans[0].resource.clone().expect("there is one");
        assert!(format!("{resource:?}").contains("quickstart"), "{resource:?}");
    }
}

#[test]
fn every_chunk_that_a_subscriber_saw_is_counted_in_what_the_collector_got() {
    for (protocol, sink) in collectors() {
        let finished = run_child("child_runs_the_scenario_and_reports_its_chunks", &variables(protocol, &sink.url()));
        let reported = finished.stdout.lines().find_map(|line| line.strip_prefix("chunks: ")).expect("it reports");
        let reported: BTreeMap<String, i64> = serde_json::from_str(reported).expect("it is JSON");
        let mut counted = check_trace(&sink.spans());
        assert_eq!(counted, scripted_chunks(), "{protocol}");
        counted.retain(|_, chunks| *chunks > 0);
        assert_eq!(counted, reported, "{protocol}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs in a process of its own"]
async fn child_runs_the_scenario_and_reports_its_chunks() {
    let telemetry = Telemetry::from_env("quickstart").expect("the variables are right");
    let telemetry = telemetry.install().expect("nothing else is installed");
    let runtime = Runtime::new();
    let model: std::sync::Arc<dyn ChatModel> = std::sync::Arc::new(scenario::scripted_model());
    runtime.execute(&scenario::workflow(model), "How did it go?").await.expect("the run succeeds");
    let events = history(&runtime).await;
    assert_balanced(&events);
    let mut chunks = BTreeMap::<_, i64>::new();
    for event in events {
        if (event.scope, event.event_type) == (EventScope::LlmRequest, EventType::Progress) {
            *chunks.entry(event.component_id).or_default() += 1;
        }
    }
    println!("\nchunks: {}", serde_json::to_string(&chunks).expect("it has a JSON form"));
    telemetry.shutdown().expect("all spans arrive");
}

/// A file in a directory that goes away with the process's own temporary files.
fn temporary(name: &str) -> PathBuf {
    env::temp_dir().join(format!("agent-runtime-{}-{name}", std::process::id()))
}

#[test]
fn the_trace_is_written_as_otlp_json_too() {
    let sink = Sink::http();
    let path = temporary("trace.json");
    let finished =
        quickstart(&["--trace-out", path.to_str().expect("it is UTF-8")], &variables("http/protobuf", &sink.url()));
    assert!(finished.success, "{finished:#?}");
    let text = std::fs::read_to_string(&path).expect("it was written");
    std::fs::remove_file(&path).expect("it was written");
    let request: ExportTraceServiceRequest = serde_json::from_str(&text).expect("it is OTLP JSON");
    let written = spans_of([request]);
    assert_eq!(check_trace(&written), scripted_chunks());
    let by_id =
        |spans: Spans| -> BTreeMap<_, _> { spans.into_iter().map(|span| (span.span_id.clone(), span)).collect() };
    assert_eq!(by_id(written), by_id(sink.spans()), "the file and the collector have the same spans");

    // The JSON encoding of OTLP has ids in hex, times as text and kinds as numbers.
    let json: JsonValue = serde_json::from_str(&text).expect("it is JSON");
    let span = &json["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    let is_hex = |value: &JsonValue, digits: usize| {
        value.as_str().is_some_and(|id| id.len() == digits && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    assert!(is_hex(&span["traceId"], 32) && is_hex(&span["spanId"], 16), "{span:#}");
    assert!(span["startTimeUnixNano"].as_str().is_some_and(|time| time.parse::<u64>().is_ok()), "{span:#}");
    assert!(span["kind"].is_u64(), "{span:#}");
}

#[test]
fn without_a_collector_it_draws_the_tree_and_says_how_to_export() {
    let finished = quickstart(&[], &[]);
    assert!(finished.success, "{finished:#?}");
    for line in TREE.lines() {
        assert!(finished.stdout.contains(line.trim()), "{line} in {}", finished.stdout);
    }
    assert!(finished.stdout.contains("Set OTEL_EXPORTER_OTLP_ENDPOINT to export this trace"), "{}", finished.stdout);
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
}

#[test]
fn with_a_dead_collector_the_run_is_shown_and_the_loss_reported() {
    let url = format!("http://{}", Sink::closed());
    for protocol in ["http/protobuf", "grpc"] {
        let finished = quickstart(&[], &variables(protocol, &url));
        assert!(finished.success && !finished.stderr.contains("panicked"), "{protocol}: {finished:#?}");
        let lost = format!("Not everything was exported: {0} of {0} spans did not arrive", TREE.lines().count());
        assert!(finished.stdout.contains(&lost), "{protocol}: {}", finished.stdout);
        assert!(finished.stdout.contains("Connection refused"), "{protocol}: {}", finished.stdout);
    }
}

#[test]
fn bad_arguments_and_variables_are_refused_with_what_would_be_right() {
    let usage = "usage: quickstart [--trace-out FILE]";
    let cases = [
        (vec!["--trace-out"], vec![], usage),
        (vec!["--help"], vec![], usage),
        (vec!["trace.json"], vec![], usage),
        (vec!["--trace-out", "a", "b"], vec![], usage),
        (vec![], variables("http/json", "http://127.0.0.1:4318").to_vec(), "OTEL_EXPORTER_OTLP_PROTOCOL"),
        (vec![], vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "not a URL")], "OTEL_EXPORTER_OTLP"),
        (vec![], variables("grpc", "not a URL").to_vec(), "OTEL_EXPORTER_OTLP"),
    ];
    for (arguments, variables, expected) in &cases {
        let finished = quickstart(arguments, variables);
        assert!(!finished.success, "{arguments:?} {variables:?}: {finished:#?}");
        assert!(finished.stderr.contains(expected), "{arguments:?} {variables:?}: {}", finished.stderr);
        assert!(!finished.stderr.contains("panicked"), "{arguments:?} {variables:?}: {}", finished.stderr);
    }
}
