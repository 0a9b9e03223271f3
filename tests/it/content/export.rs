//! Log events on their way over OTLP, to a server on this machine.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::Arc,
    thread,
};

use agent_runtime::{
    otel::{ContentCapture, Telemetry},
    prelude::*,
};
use opentelemetry::logs::AnyValue;
use opentelemetry_proto::tonic::collector::{
    logs::v1::{
        ExportLogsServiceRequest, ExportLogsServiceResponse,
        logs_service_server::{LogsService, LogsServiceServer},
    },
    trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
};
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLoggerProvider, SimpleLogProcessor};
use parking_lot::Mutex;
use prost::Message as _;

use super::content_events;

/// Says that the process is the one that the test started, and what it is to capture.
const CHILD: &str = "AGENT_RUNTIME_TEST_CAPTURE";

/// An OTLP server: what was posted, by path.
struct Sink {
    port: u16,
    posts: Arc<Posts>,
}

type Posts = Mutex<Vec<(String, Vec<u8>)>>;

impl Sink {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let posts = Arc::<Posts>::default();
        let seen = Arc::clone(&posts);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let seen = Arc::clone(&seen);
                thread::spawn(move || serve(connection, &seen));
            }
        });
        Self { port, posts }
    }

    /// The same over gRPC, with the paths of HTTP.
    fn start_grpc() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let posts = Arc::<Posts>::default();
        let (traces, logs) = (Grpc(Arc::clone(&posts)), Grpc(Arc::clone(&posts)));
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
            runtime.block_on(async {
                listener.set_nonblocking(true).expect("the socket takes it");
                let listener = tokio::net::TcpListener::from_std(listener).expect("the socket takes it");
                let served = tonic::transport::Server::builder()
                    .add_service(TraceServiceServer::new(traces))
                    .add_service(LogsServiceServer::new(logs))
                    .serve_with_incoming(tonic::transport::server::TcpIncoming::from(listener));
                served.await.expect("the server runs");
            });
        });
        Self { port, posts }
    }

    fn posted<M: prost::Message + Default>(&self, path: &str) -> Vec<M> {
        let posts = self.posts.lock();
        let to_path = posts.iter().filter(|(target, _)| target == path);
        to_path.map(|(_, body)| M::decode(body.as_slice()).expect("the body is protobuf")).collect()
    }
}

struct Grpc(Arc<Posts>);

#[tonic::async_trait]
impl TraceService for Grpc {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        self.0.lock().push(("/v1/traces".to_owned(), request.into_inner().encode_to_vec()));
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Grpc {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, tonic::Status> {
        self.0.lock().push(("/v1/logs".to_owned(), request.into_inner().encode_to_vec()));
        Ok(tonic::Response::new(ExportLogsServiceResponse::default()))
    }
}

fn serve(mut connection: TcpStream, seen: &Posts) -> Option<()> {
    let mut received = Vec::new();
    loop {
        let head_end = loop {
            if let Some(at) = received.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            read_more(&mut connection, &mut received)?;
        };
        let head = String::from_utf8_lossy(&received[..head_end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok())?;
        while received.len() < head_end + length {
            read_more(&mut connection, &mut received)?;
        }
        let path = head.split(' ').nth(1)?.to_owned();
        let body: Vec<u8> = received.drain(..head_end + length).skip(head_end).collect();
        seen.lock().push((path, body));
        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        connection.write_all(answer).ok()?;
    }
}

fn read_more(connection: &mut TcpStream, received: &mut Vec<u8>) -> Option<()> {
    let mut buffer = [0; 8192];
    let count = connection.read(&mut buffer).ok().filter(|count| *count > 0)?;
    received.extend_from_slice(&buffer[..count]);
    Some(())
}

/// Runs the child against the sink and says what it printed.
fn run_child(sink: &Sink, capture: ContentCapture, variables: &[(&str, &str)]) -> String {
    let mut child = Command::new(std::env::current_exe().expect("the test has a file"));
    child.args(["--exact", "content::export::child", "--nocapture"]).env(CHILD, capture.as_str());
    child.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{}", sink.port));
    child.env("OTEL_METRICS_EXPORTER", "none");
    let output = child.envs(variables.iter().copied()).output().expect("the test can be started again");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    printed
}

#[test]
fn child() {
    let Ok(capture) = std::env::var(CHILD) else { return };
    let capture = capture.parse().expect("the parent knows the values");
    let telemetry = Telemetry::builder("child").with_content_capture(capture).with_otlp_from_env().unwrap().build();
    telemetry.install().unwrap();
    let runtime = Runtime::new();
    content_events().into_iter().for_each(|event| drop(runtime.event_stream().append(event)));
    let unfinished = Event::llm_started("helper:llm:1", None, None, json!({"model": "m"}));
    runtime.event_stream().append(unfinished).unwrap();
    println!("log events: {}", telemetry.logger_provider().is_some());
    telemetry.shutdown().unwrap();
}

#[test]
fn log_events_arrive_with_their_span_and_their_content() {
    check(&Sink::start(), &[]);
}

#[test]
fn log_events_arrive_over_grpc() {
    check(&Sink::start_grpc(), &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
}

fn check(sink: &Sink, variables: &[(&str, &str)]) {
    run_child(sink, ContentCapture::EventOnly, variables);
    let traces: Vec<ExportTraceServiceRequest> = sink.posted("/v1/traces");
    let spans: Vec<_> = traces
        .into_iter()
        .flat_map(|request| request.resource_spans)
        .flat_map(|spans| spans.scope_spans)
        .flat_map(|spans| spans.spans)
        .collect();
    let chat = spans.iter().find(|span| span.name == "chat m").expect("the span of the request");
    assert!(!format!("{spans:?}").contains("ANSWER"), "content is in events only");

    let logs: Vec<ExportLogsServiceRequest> = sink.posted("/v1/logs");
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
        let sink = Sink::start();
        let printed = run_child(&sink, capture, variables);
        assert!(printed.contains(&format!("log events: {expected}")), "{capture} {variables:?}: {printed}");
        let has_logs = !sink.posted::<ExportLogsServiceRequest>("/v1/logs").is_empty();
        assert_eq!(has_logs, expected, "{capture} {variables:?}");
        assert!(!sink.posted::<ExportTraceServiceRequest>("/v1/traces").is_empty());
    }
}

#[test]
fn a_provider_and_processors_of_the_users_get_the_log_events() {
    let (of_provider, of_processor) = (InMemoryLogExporter::default(), InMemoryLogExporter::default());
    let provider = SdkLoggerProvider::builder().with_simple_exporter(of_provider.clone()).build();
    let capturing = || Telemetry::builder("test").with_content_capture(ContentCapture::EventOnly);
    let with_provider = capturing().with_logger_provider(provider.clone()).build();
    let with_processor = capturing().with_log_processor(SimpleLogProcessor::new(of_processor.clone())).build();
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
