//! No request is larger than a collector takes by default, whatever fills it.

use agent_runtime::{
    llm::{ModelError, StatusError},
    otel::{ContentCapture, PriceTable, Telemetry},
    prelude::*,
};
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_proto::tonic::metrics::v1::metric;
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
    // How much is there when an export begins depends on the machine's speed.
    assert!(sizes.iter().sum::<usize>() > WORTH_SPLITTING, "{case}: {sizes:?} would have fitted anyway");
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

/// The longest value that a label takes, another one for each number.
fn longest(kind: &str, number: u64) -> String {
    format!("{:a<256}", format!("{kind}-{number}-"))
}

#[tokio::test]
async fn metrics_fit_into_one_request_however_long_names_are_and_however_they_mix() {
    let sink = Sink::http();
    let exporter = MetricExporter::builder().with_http().with_endpoint(format!("{}/v1/metrics", sink.url()));
    let telemetry = Telemetry::builder("test")
        .with_metric_exporter(exporter.build().unwrap())
        .with_legacy_metrics(true)
        .with_prices(PriceTable::new("USD").unwrap())
        .build()
        .unwrap();
    let stream = EventStream::new();
    let _subscriber = set_default(registry().with(telemetry.layer()));
    const MIXES: u64 = 3_000;
    for number in 0..MIXES {
        // Each takes its hundred values, and no two of them run in step.
        let [model, provider, host, code] = [100, 99, 97, 89].map(|values| number % values);
        let id = format!("{}:llm:{number}", longest("agent", number % 83).split_at(200).0);
        let start = json!({
            "model": longest("model", model), "provider": longest("provider", provider), "stream": true,
            "server_address": longest("host", host), "server_port": 1 + host,
        });
        let usage = json!({"prompt_tokens": 3, "completion_tokens": 2, "cached_tokens": 1, "reasoning_tokens": 1});
        let end = json!({"response_model": longest("answered", model), "usage": usage, "response": "hi"});
        let started = Event::llm_started(&id, None, None, start);
        let chunk = || Event::llm_progress(&id, None, None, None, json!({"chunk": "hi"}));
        let ended = Event::llm_completed(&id, None, None, end);
        let tool = format!("{}:{number}", longest("tool", code).split_at(200).0);
        let failed = json!({"error_code": longest("code", provider)});
        let tool_started = Event::tool_started(&tool, None, None, json!({"agent": longest("agent", host)}));
        let tool_failed = Event::tool_failed(&tool, "no", None, None, failed);
        for event in [started, chunk(), chunk(), ended, tool_started, tool_failed] {
            stream.append(event).unwrap();
        }
    }
    telemetry.shutdown().expect("all arrive");
    let requests = sink.metrics();
    assert_sizes("metrics", &requests.iter().map(prost::Message::encoded_len).collect::<Vec<_>>());
    let counted = requests.last().unwrap().resource_metrics[0].scope_metrics[0].metrics.iter();
    let counted: u64 = counted
        .filter(|metric| metric.name == "gen_ai.client.inference.duration")
        .filter_map(|metric| match metric.data.as_ref()? {
            metric::Data::Histogram(histogram) => {
                Some(histogram.data_points.iter().map(|point| point.count).sum::<u64>())
            }
            _ => None,
        })
        .sum();
    assert_eq!(counted, MIXES, "labels are merged, measurements are not lost");
}
