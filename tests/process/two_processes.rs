//! A workflow that goes on in another process, over an HTTP call that is traced by the user: one trace.

use std::{collections::HashMap, env, error::Error, sync::Arc};

use agent_runtime::{
    component::{RunOptions, trace_headers},
    otel::{EventIdGenerator, OtelLayer, SpanMapper, Telemetry, extract_context},
    prelude::*,
};
use opentelemetry::trace::{FutureExt as _, TracerProvider as _};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};
use tracing::Instrument as _;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::support::process::run_child;
use crate::support::sink::Sink;
use crate::support::spans;

/// Tells the caller's process where the service is.
const SERVICE: &str = "AGENT_RUNTIME_TEST_SERVICE";

/// The header in which the caller names its run.
const RUN_HEADER: &str = "x-workflow-id";

#[test]
fn a_workflow_that_goes_on_in_another_process_is_one_trace() {
    run_child("child_serves_what_another_process_calls", &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs in a process of its own"]
async fn child_serves_what_another_process_calls() {
    let collector = Sink::http();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let service = format!("http://{}/", listener.local_addr().unwrap());
    let exporter = SpanExporter::builder().with_http().with_endpoint(format!("{}/v1/traces", collector.url()));
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter.build().unwrap())
        .with_id_generator(EventIdGenerator::default())
        .build();
    let mapper = Arc::new(SpanMapper::new(provider.tracer("service")));
    let registry = tracing_subscriber::registry().with(OtelLayer::new(mapper));
    tracing::subscriber::set_global_default(registry).unwrap();
    let serving = tokio::spawn(serve_once(listener));

    let endpoint = collector.url();
    let caller = tokio::task::spawn_blocking(move || {
        let variables =
            [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_METRICS_EXPORTER", "none"), (SERVICE, &*service)];
        run_child("child_calls_the_service", &variables)
    });
    caller.await.unwrap();
    serving.await.unwrap();
    tokio::task::spawn_blocking(move || provider.shutdown()).await.unwrap().unwrap();

    let spans = collector.spans();
    let expected = "\
invoke_workflow caller
  workflow_step ask_service
    GET service
      invoke_workflow service
        workflow_step answer
";
    assert_eq!(spans.tree(), expected);
    assert_eq!((spans.trace_ids().len(), spans.roots().len()), (1, 1));
    let of = |name: &str, key: &str| spans::attribute(spans.one(name), key);
    assert_eq!(
        of("invoke_workflow service", "agent_runtime.workflow.parent_id"),
        of("invoke_workflow caller", "agent_runtime.workflow.id")
    );
}

#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn child_calls_the_service() {
    let service = env::var(SERVICE).unwrap();
    let telemetry = Telemetry::from_env("caller").unwrap();
    let users_layer = tracing_opentelemetry::layer().with_tracer(telemetry.tracer_provider().tracer("the user's own"));
    let registry = tracing_subscriber::registry().with(telemetry.layer()).with(users_layer);
    tracing::subscriber::set_global_default(registry).unwrap();

    let step = TransformStep::new("ask_service", move |_input: JsonValue| {
        let call = call(service.clone());
        call.instrument(tracing::info_span!("GET service"))
    });
    let workflow = Workflow::new("caller").add_step(step).build();
    let options = RunOptions::default().with_workflow_id("wf_of_the_caller");
    let run = Runtime::new().execute_with(&workflow, "x", options).await.unwrap();
    assert_eq!(run.output, "served");
    tokio::task::spawn_blocking(move || telemetry.shutdown()).await.unwrap().unwrap();
}

async fn call(service: String) -> Result<JsonValue, Box<dyn Error + Send + Sync>> {
    let mut request = reqwest::Client::new().get(service).header(RUN_HEADER, "wf_of_the_caller");
    for (name, value) in trace_headers() {
        request = request.header(name, value);
    }
    Ok(json!(request.send().await?.error_for_status()?.text().await?))
}

/// Answers one request with the output of a workflow, run in the context that the request carries.
async fn serve_once(listener: TcpListener) {
    let (mut connection, _) = listener.accept().await.expect("the caller connects");
    let headers = read_headers(&mut connection).await;
    let step = TransformStep::new("answer", |_input: JsonValue| async { Ok::<_, ToolError>(json!("served")) });
    let workflow = Workflow::new("service").add_step(step).build();
    let options = RunOptions::default().with_parent_workflow_id(headers[RUN_HEADER].as_str());
    let context = extract_context(&headers);
    let run = Runtime::new().execute_with(&workflow, "x", options).with_context(context).await.expect("it runs");
    let body = run.output.as_str().expect("a text");
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    connection.write_all(answer.as_bytes()).await.expect("the caller listens");
}

async fn read_headers(connection: &mut TcpStream) -> HashMap<String, String> {
    let mut lines = BufReader::new(connection).lines();
    let mut headers = HashMap::new();
    while let Some(line) = lines.next_line().await.expect("the request is text") {
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ") {
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
    }
    headers
}
