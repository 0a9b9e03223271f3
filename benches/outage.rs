//! What a whole workflow costs with the collector there, gone and silent: the run must not feel the difference.
//!
//! The model is a script without pauses, so that all of the time is ours. An outage is timed once it has filled the queue.

use std::{
    hint::black_box,
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread,
    time::Duration,
};

use agent_runtime::{
    llm::{ChatRequest, Role},
    otel::Telemetry,
    prelude::*,
    stream::EventStream,
};
use axum::{Router, body::Bytes, extract::DefaultBodyLimit};
use criterion::{Criterion, criterion_group, criterion_main};
use fixtures::{config, time_batches};
use opentelemetry_proto::tonic::collector::{
    metrics::v1::{
        ExportMetricsServiceRequest, ExportMetricsServiceResponse,
        metrics_service_server::{MetricsService, MetricsServiceServer},
    },
    trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::{layer::SubscriberExt as _, registry};

/// How many workflows are timed between two readings of the clock.
const RUNS: u64 = 16;

/// How many events a stream keeps here, as in the benchmark of the bridge.
const KEPT: usize = 1_024;

/// How many chunks an answer has.
const CHUNKS: usize = 200;

/// How many spans wait for the collector.
const QUEUE: usize = 2_048;

/// How long the end of a benchmark waits for a collector that is not there.
const SHUTDOWN: Duration = Duration::from_millis(50);

/// Two agents that answer at length, one of them after a tool call and one in a nested workflow: eleven spans.
fn workflow() -> Workflow {
    let answer = "word ".repeat(CHUNKS);
    let model = ScriptedModel::answering(move |request: &ChatRequest| {
        let first = request.messages.first().map_or("", |message| message.content.as_str());
        let last = request.messages.last().map(|message| message.role);
        if first.contains("tool") && last != Some(Role::Tool) {
            ScriptedReply::tool_calls([("look", json!({"at": "it"}))])
        } else {
            ScriptedReply::text(answer.clone())
        }
    });
    let model = Arc::new(model);
    let look =
        FnTool::new("look", "Looks.", json!({"type": "object"}), |_args, progress: ProgressCallback| async move {
            progress("looking".to_owned(), Some(1));
            Ok(json!("seen"))
        });
    let finder = Agent::builder("finder", model.clone()).with_system_prompt("Use the tool.").with_tool(look).build();
    let writer = Agent::builder("writer", model).with_system_prompt("Write.").build();
    let inner = Workflow::new("inner").add_step(AgentStep::new(writer)).build();
    Workflow::new("outer").add_step(AgentStep::new(finder)).add_step(SubWorkflowStep::new(inner)).build()
}

/// The same workflow without telemetry and with each kind of collector, over each protocol.
fn outages(criterion: &mut Criterion) {
    let workflow = workflow();
    let tokio = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers");
    let runtime = Runtime::with_event_stream(EventStream::builder().with_capacity(KEPT).build());
    let run = |count: u64| {
        for _ in 0..count {
            black_box(tokio.block_on(runtime.execute(&workflow, "go")).expect("the script has no failure"));
        }
    };
    let mut group = criterion.benchmark_group("workflow");
    let mut time = |name: &str| {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| time_batches(iterations, RUNS, |count| count, run, |()| ()));
        });
    };
    time("no_export");
    for (protocol, accepting) in [("http/protobuf", http_collector()), ("grpc", grpc_collector())] {
        for (name, address, is_there) in
            [("accepting", accepting, true), ("closed", closed_port(), false), ("silent", silent_collector(), false)]
        {
            let (telemetry, _subscriber) = export_to(protocol, address);
            while !is_there && telemetry.report().spans.delivery.dropped == 0 {
                run(RUNS);
            }
            time(&format!("{protocol}/{name}").replace("http/protobuf", "http"));
            // What an outage loses is another matter, which a test counts.
            drop(telemetry.shutdown());
        }
    }
    group.finish();
}

/// Telemetry of this thread as the environment sets it up, with spans and metrics.
fn export_to(protocol: &str, address: SocketAddr) -> (Telemetry, DefaultGuard) {
    let url = format!("http://{address}");
    let variables =
        [("OTEL_EXPORTER_OTLP_PROTOCOL", Some(protocol)), ("OTEL_EXPORTER_OTLP_ENDPOINT", Some(url.as_str()))];
    let telemetry = temp_env::with_vars(variables, || {
        let builder = Telemetry::builder("bench").with_queue_size(QUEUE).with_shutdown_timeout(SHUTDOWN);
        builder.with_otlp_from_env().build().expect("the variables are right")
    });
    let subscriber = tracing::subscriber::set_default(registry().with(telemetry.layer()));
    (telemetry, subscriber)
}

fn closed_port() -> SocketAddr {
    listener().1
}

/// Takes connections and never says a word.
fn silent_collector() -> SocketAddr {
    let (listener, address) = listener();
    thread::spawn(move || drop(listener.incoming().collect::<Vec<_>>()));
    address
}

/// Takes whatever comes by HTTP.
fn http_collector() -> SocketAddr {
    serve(|listener| async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let any = |_body: Bytes| async {};
        axum::serve(listener, Router::new().fallback(any).layer(DefaultBodyLimit::disable())).await
    })
}

/// Takes spans and metrics by gRPC.
fn grpc_collector() -> SocketAddr {
    serve(|listener| async {
        let incoming = TcpIncoming::from(tokio::net::TcpListener::from_std(listener)?);
        let services =
            Server::builder().add_service(TraceServiceServer::new(Taker)).add_service(MetricsServiceServer::new(Taker));
        services.serve_with_incoming(incoming).await.map_err(io::Error::other)
    })
}

/// Runs a server on a thread of its own, for the rest of the process.
fn serve<F: Future<Output = io::Result<()>>>(server: impl FnOnce(TcpListener) -> F + Send + 'static) -> SocketAddr {
    let (listener, address) = listener();
    listener.set_nonblocking(true).expect("the socket takes it");
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        runtime.block_on(server(listener)).expect("the server runs");
    });
    address
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}

struct Taker;

#[tonic::async_trait]
impl TraceService for Taker {
    async fn export(
        &self,
        _: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Taker {
    async fn export(
        &self,
        _: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

criterion_group! { name = benches; config = config(); targets = outages }
criterion_main!(benches);
