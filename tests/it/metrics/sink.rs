//! A backend on a loopback port that takes OTLP over HTTP and over gRPC and keeps what comes.

use std::{net::SocketAddr, sync::Arc, thread};

use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    metrics::v1::Metric,
    resource::v1::Resource,
};
use parking_lot::Mutex;
use prost::Message;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};
use tonic::{Request, Response, Status, transport::server::TcpIncoming};

/// The backend; it ends when dropped.
pub(super) struct Sink {
    address: SocketAddr,
    seen: Arc<Seen>,
    runtime: Option<Runtime>,
}

/// What a backend answers to requests for a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Take,
    Refuse,
    /// It reads and says nothing.
    Hang,
}

/// How the requests come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Transport {
    Http,
    Grpc,
}

struct Seen {
    traces: Answer,
    metrics: Answer,
    requests: Mutex<Vec<(String, Vec<u8>)>>,
}

impl Sink {
    pub(super) fn start(transport: Transport, traces: Answer, metrics: Answer) -> Self {
        let runtime = Runtime::new().expect("threads can be started");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        listener.set_nonblocking(true).expect("a socket can be");
        let seen = Arc::new(Seen { traces, metrics, requests: Mutex::default() });
        let accepting = Arc::clone(&seen);
        runtime.spawn(async move {
            serve(TcpListener::from_std(listener).expect("this is within a runtime"), transport, accepting).await;
        });
        Self { address, seen, runtime: Some(runtime) }
    }

    /// A backend that takes everything.
    pub(super) fn taking(transport: Transport) -> Self {
        Self::start(transport, Answer::Take, Answer::Take)
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The exports of metrics, in their order.
    pub(super) fn metrics(&self) -> Vec<ExportMetricsServiceRequest> {
        self.decode(is_metrics)
    }

    /// The exports of spans, in their order.
    pub(super) fn traces(&self) -> Vec<ExportTraceServiceRequest> {
        self.decode(|path| !is_metrics(path))
    }

    /// The metrics of the last export.
    pub(super) fn last_metrics(&self) -> Vec<Metric> {
        let last = self.metrics().pop().expect("metrics have come");
        let scopes = last.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
        scopes.flat_map(|scope| scope.metrics).collect()
    }

    pub(super) fn span_count(&self) -> usize {
        let scopes = self.traces().into_iter().flat_map(|request| request.resource_spans);
        scopes.flat_map(|resource| resource.scope_spans).map(|scope| scope.spans.len()).sum()
    }

    fn decode<M: Message + Default>(&self, is_it: impl Fn(&str) -> bool) -> Vec<M> {
        let requests = self.seen.requests.lock();
        let bodies = requests.iter().filter(|(path, _)| is_it(path)).map(|(_, body)| body.as_slice());
        bodies.map(|body| M::decode(body).expect("an OTLP request")).collect()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A runtime may not be dropped within another, where async tests end.
            thread::spawn(|| drop(runtime)).join().expect("the sink ends");
        }
    }
}

pub(super) fn service_name(resource: Option<Resource>) -> Option<String> {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let name = resource?.attributes.into_iter().find(|attribute| attribute.key == "service.name")?;
    match name.value?.value? {
        Value::StringValue(name) => Some(name),
        other => panic!("{other:?} is no name"),
    }
}

fn is_metrics(path: &str) -> bool {
    path == "/v1/metrics"
}

impl Seen {
    fn take(&self, path: &str, body: Vec<u8>) -> Answer {
        let answer = if is_metrics(path) { self.metrics } else { self.traces };
        self.requests.lock().push((path.to_owned(), body));
        answer
    }
}

async fn serve(listener: TcpListener, transport: Transport, seen: Arc<Seen>) {
    match transport {
        Transport::Http => {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve_http(socket, Arc::clone(&seen)));
            }
        }
        Transport::Grpc => {
            let server = tonic::transport::Server::builder()
                .add_service(MetricsServiceServer::from_arc(Arc::clone(&seen)))
                .add_service(TraceServiceServer::from_arc(seen));
            server.serve_with_incoming(TcpIncoming::from(listener)).await.expect("the server runs");
        }
    }
}

async fn serve_http(mut socket: TcpStream, seen: Arc<Seen>) {
    let mut buffer = Vec::new();
    loop {
        let head_end = loop {
            if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if socket.read_buf(&mut buffer).await.unwrap_or_default() == 0 {
                return;
            }
        };
        let head = String::from_utf8_lossy(&buffer[..head_end]).to_ascii_lowercase();
        let path = head.split(' ').nth(1).expect("a request line").to_owned();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
        let length: usize = length.and_then(|length| length.parse().ok()).expect("a length");
        while buffer.len() < head_end + length {
            if socket.read_buf(&mut buffer).await.unwrap_or_default() == 0 {
                return;
            }
        }
        let body = buffer[head_end..head_end + length].to_vec();
        buffer.drain(..head_end + length);
        let status = match seen.take(&path, body) {
            Answer::Take => "200 OK",
            Answer::Refuse => "400 Bad Request",
            Answer::Hang => std::future::pending().await,
        };
        let reply = format!("HTTP/1.1 {status}\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n");
        if socket.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

impl Seen {
    async fn answer_grpc<M: Message, R: Default>(
        &self,
        path: &str,
        request: Request<M>,
    ) -> Result<Response<R>, Status> {
        match self.take(path, request.into_inner().encode_to_vec()) {
            Answer::Take => Ok(Response::new(R::default())),
            Answer::Refuse => Err(Status::invalid_argument("refused")),
            Answer::Hang => std::future::pending().await,
        }
    }
}

#[tonic::async_trait]
impl MetricsService for Seen {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.answer_grpc("/v1/metrics", request).await
    }
}

#[tonic::async_trait]
impl TraceService for Seen {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.answer_grpc("/v1/traces", request).await
    }
}
