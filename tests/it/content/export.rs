//! Log events on their way over OTLP, to a server on this machine.

use agent_runtime::{
    otel::{ContentCapture, Telemetry},
    prelude::*,
};
use opentelemetry::logs::AnyValue;
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLoggerProvider, SimpleLogProcessor};

use super::content_events;
use crate::support::{
    process::{self, Finished},
    sink::{Sink, Transport},
    spans,
};

/// What the process that a test started is to capture.
const CAPTURE: &str = "AGENT_RUNTIME_TEST_CAPTURE";

/// Runs the child against the sink.
fn run_child(sink: &Sink, capture: ContentCapture, variables: &[(&str, &str)]) -> Finished {
    let url = sink.url();
    let mut all = vec![
        (CAPTURE, capture.as_str()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_METRICS_EXPORTER", "none"),
    ];
    all.extend_from_slice(variables);
    process::run_child("content::export::child", &all)
}

#[test]
#[ignore = "runs in a process of its own"]
fn child() {
    let capture = std::env::var(CAPTURE).expect("the parent sets it").parse().expect("the parent knows the values");
    let telemetry = Telemetry::builder("child").with_content_capture(capture).with_otlp_from_env().build().unwrap();
    let telemetry = telemetry.install().unwrap();
    let runtime = Runtime::new();
    content_events().into_iter().for_each(|event| drop(runtime.event_stream().append(event)));
    let unfinished = Event::llm_started("helper:llm:1", None, None, json!({"model": "m"}));
    runtime.event_stream().append(unfinished).unwrap();
    println!("log events: {}", telemetry.logger_provider().is_some());
    telemetry.shutdown().unwrap();
}

#[test]
fn log_events_arrive_with_their_span_and_their_content() {
    for (transport, protocol) in [(Transport::Http, "http/protobuf"), (Transport::Grpc, "grpc")] {
        let sink = Sink::taking(transport);
        run_child(&sink, ContentCapture::EventOnly, &[("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)]);
        check(&sink);
    }
}

fn check(sink: &Sink) {
    let spans = sink.spans();
    // The one that ended before the shutdown.
    let chat = spans.all("chat m")[0];
    assert!(!spans::text(&spans).contains("ANSWER"), "content is in events only");

    let logs = sink.logs();
    let resource = logs[0].resource_logs[0].resource.clone().unwrap_or_default();
    assert!(format!("{resource:?}").contains("child"), "the service's name: {resource:?}");
    let records: Vec<_> = logs
        .into_iter()
        .flat_map(|request| request.resource_logs)
        .flat_map(|logs| logs.scope_logs)
        .flat_map(|logs| logs.log_records)
        .collect();
    assert_eq!(records.len(), 2, "the request that ended, and the one that shutdown interrupted");
    let record = records.iter().find(|record| record.span_id == chat.span_id).expect("the log event of the span");
    assert_eq!(record.event_name, "gen_ai.client.inference.operation.details");
    assert_eq!((&record.trace_id, record.flags & 1), (&chat.trace_id, 1));
    assert_eq!(record.time_unix_nano, chat.end_time_unix_nano);
    let text = format!("{:?}", record.attributes);
    for content in ["SYSTEM PROMPT", "PROMPT", "ANSWER", "ARGUMENT", "KvlistValue", "tool_call_response"] {
        assert!(text.contains(content), "{content}: {text}");
    }
}

#[test]
fn log_events_are_only_exported_where_they_are_asked_for() {
    for (capture, variables, expected) in [
        (ContentCapture::NoContent, &[][..], false),
        (ContentCapture::SpanOnly, &[], false),
        (ContentCapture::SpanAndEvent, &[], true),
        (ContentCapture::SpanAndEvent, &[("OTEL_LOGS_EXPORTER", "none")], false),
    ] {
        let sink = Sink::http();
        let printed = run_child(&sink, capture, variables).stdout;
        assert!(printed.contains(&format!("log events: {expected}")), "{capture} {variables:?}: {printed}");
        assert_eq!(!sink.logs().is_empty(), expected, "{capture} {variables:?}");
        assert!(!sink.requests().is_empty());
    }
}

#[test]
fn a_provider_and_processors_of_the_users_get_the_log_events() {
    let (of_provider, of_processor) = (InMemoryLogExporter::default(), InMemoryLogExporter::default());
    let provider = SdkLoggerProvider::builder().with_simple_exporter(of_provider.clone()).build();
    let capturing = || Telemetry::builder("test").with_content_capture(ContentCapture::EventOnly);
    let with_provider = capturing().with_logger_provider(provider.clone()).build().unwrap();
    let with_processor = capturing().with_log_processor(SimpleLogProcessor::new(of_processor.clone())).build().unwrap();
    for (telemetry, exporter) in [(with_provider, &of_provider), (with_processor, &of_processor)] {
        let registry =
            tracing_subscriber::layer::SubscriberExt::with(tracing_subscriber::registry(), telemetry.layer());
        let subscriber = tracing::subscriber::set_default(registry);
        let runtime = Runtime::new();
        content_events().into_iter().for_each(|event| drop(runtime.event_stream().append(event)));
        drop(subscriber);
        let logs = exporter.get_emitted_logs().unwrap();
        assert_eq!(logs.len(), 1);
        let is_structured = |value: &AnyValue| matches!(value, AnyValue::ListAny(_));
        assert!(logs[0].record.attributes_iter().any(|(_, value)| is_structured(value)));
        telemetry.shutdown().unwrap();
    }
    // The user's own provider still runs.
    assert!(!of_provider.is_shutdown_called());
}
