//! No request is larger than a collector takes by default, whatever fills it.

use agent_runtime::{
    llm::{ModelError, StatusError},
    otel::{ContentCapture, Telemetry},
    prelude::*,
};
use opentelemetry_otlp::{LogExporter, SpanExporter, WithExportConfig as _};
use tracing_subscriber::{layer::SubscriberExt as _, registry};

use crate::support::{set_default, sink::Sink};

/// What a collector's gRPC receiver takes by default.
const COLLECTORS_LIMIT: usize = 4 * 1024 * 1024;

/// What would go into one request if items alone were counted.
const WORTH_SPLITTING: usize = 2 * 1024 * 1024;

fn spans_to(sink: &Sink) -> SpanExporter {
    let exporter = SpanExporter::builder().with_http().with_endpoint(format!("{}/v1/traces", sink.url()));
    exporter.build().expect("it is a valid endpoint")
}

#[track_caller]
fn assert_sizes(case: &str, sizes: &[usize]) {
    assert!(sizes.iter().all(|size| *size < COLLECTORS_LIMIT), "{case}: {sizes:?}");
    assert!(sizes.iter().any(|size| *size > WORTH_SPLITTING), "{case}: {sizes:?} would have fitted anyway");
}

#[tokio::test]
async fn a_batch_of_long_errors_is_split_and_nothing_is_lost() {
    let sink = Sink::http();
    let telemetry = Telemetry::builder("test").with_span_exporter(spans_to(&sink)).build().unwrap();
    let _subscriber = set_default(registry().with(telemetry.layer()));
    let page = format!("<html>{}</html>", "<p>Bad gateway, says the proxy.</p>".repeat(330));
    let fail = TransformStep::new("call", move |_: JsonValue| {
        let page = page.clone();
        async move { Err::<JsonValue, _>(ToolError::new(page)) }
    });
    let inner = Workflow::new("inner").add_step(fail).build();
    let outer = Workflow::new("outer").add_step(SubWorkflowStep::new(inner)).build();
    let runtime = Runtime::new();
    for _ in 0..200 {
        runtime.execute(&outer, "x").await.expect_err("its step fails");
    }
    let report = telemetry.shutdown().expect("all arrive");
    assert_eq!(report.spans.delivery.exported, 800, "B23");
    let sizes: Vec<_> = sink.requests().iter().map(prost::Message::encoded_len).collect();
    assert_sizes("B23", &sizes);
}

#[tokio::test]
async fn captured_content_is_split_too_on_spans_and_in_log_events() {
    let sink = Sink::http();
    let logs = LogExporter::builder().with_http().with_endpoint(format!("{}/v1/logs", sink.url())).build().unwrap();
    let telemetry = Telemetry::builder("test")
        .with_span_exporter(spans_to(&sink))
        .with_log_exporter(logs)
        .with_content_capture(ContentCapture::SpanAndEvent)
        .with_max_content_bytes(1024 * 1024)
        .build()
        .unwrap();
    let stream = EventStream::new();
    let _subscriber = set_default(registry().with(telemetry.layer()));
    for number in 0..12 {
        let id = format!("writer:llm:{number}");
        let messages = json!([{"role": "user", "content": "a".repeat(900_000)}]);
        let started = Event::llm_started(&id, None, None, json!({"model": "m", "messages": messages}));
        for event in [started, Event::llm_completed(&id, None, None, json!({"response": "done"}))] {
            stream.append(event).unwrap();
        }
    }
    let report = telemetry.shutdown().expect("all arrive");
    assert_eq!((report.spans.delivery.exported, report.logs.delivery.exported), (12, 12));
    assert_sizes("spans", &sink.requests().iter().map(prost::Message::encoded_len).collect::<Vec<_>>());
    assert_sizes("log events", &sink.logs().iter().map(prost::Message::encoded_len).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_error_of_some_hundred_bytes_goes_whole() {
    let sink = Sink::http();
    let telemetry = Telemetry::builder("test").with_span_exporter(spans_to(&sink)).build().unwrap();
    let _subscriber = set_default(registry().with(telemetry.layer()));
    let message = "the model's server is overloaded; try again later; ".repeat(8);
    let told = message.clone();
    let model = ScriptedModel::new("m").with_reply(
        ScriptedReply::default().then_error(0, move || ModelError::Status(StatusError::new(400, message.clone()))),
    );
    let agent = Agent::builder("writer", std::sync::Arc::new(model)).build();
    let workflow = Workflow::new("flow").add_step(AgentStep::new(agent)).build();
    Runtime::new().execute(&workflow, "x").await.expect_err("the model fails");
    telemetry.shutdown().expect("all arrive");
    let spans = sink.spans();
    let status = spans.one("chat m").status.clone().unwrap_or_default();
    assert!(status.message.contains(told.trim_end()), "B24: {}", status.message);
}
