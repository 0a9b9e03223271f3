//! Collectors: OTLP over HTTP and over gRPC on a port of the loopback address that the system picks.

use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

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
use parking_lot::Mutex;
use prost::Message as _;

use crate::support::Spans;

/// What a collector does with a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Accept,
    /// Refuses with an HTTP status, with `Retry-After: 0` where it may be tried again.
    Refuse(u16),
}

/// A collector, and what has arrived.
#[derive(Clone, Debug)]
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    requests: Mutex<Vec<ExportTraceServiceRequest>>,
    /// Answers to the first requests; those after them are accepted.
    answers: Mutex<VecDeque<Answer>>,
}

impl Sink {
    /// Takes OTLP/HTTP.
    pub(crate) fn http() -> Self {
        Self::http_answering([])
    }

    /// Answers the first requests as told.
    pub(crate) fn http_answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let sink = Self::at(&listener, answers);
        let state = Arc::clone(&sink.state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                thread::spawn(move || serve_http(stream, &state));
            }
        });
        sink
    }

    /// Takes OTLP/gRPC.
    pub(crate) fn grpc() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let sink = Self::at(&listener, []);
        let traces = TraceServiceServer::new(Grpc(Arc::clone(&sink.state)));
        let metrics = MetricsServiceServer::new(Grpc(Arc::clone(&sink.state)));
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
            runtime.block_on(async {
                listener.set_nonblocking(true).expect("the socket takes it");
                let listener = tokio::net::TcpListener::from_std(listener).expect("the socket takes it");
                let incoming = tonic::transport::server::TcpIncoming::from(listener);
                tonic::transport::Server::builder()
                    .add_service(traces)
                    .add_service(metrics)
                    .serve_with_incoming(incoming)
                    .await
                    .expect("the server runs");
            });
        });
        sink
    }

    /// Takes connections and never says a word.
    pub(crate) fn black_hole() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let sink = Self::at(&listener, []);
        thread::spawn(move || {
            let held: Vec<_> = listener.incoming().collect();
            drop(held);
        });
        sink
    }

    /// An address at which nothing listens.
    pub(crate) fn closed() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        listener.local_addr().expect("it is bound")
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        self.state.requests.lock().clone()
    }

    /// All spans that have arrived.
    pub(crate) fn spans(&self) -> Spans {
        spans_of(self.requests())
    }

    fn at(listener: &TcpListener, answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers = Mutex::new(answers.into_iter().collect());
        let state = Arc::new(State { requests: Mutex::default(), answers });
        Self { address: listener.local_addr().expect("it is bound"), state }
    }
}

/// The spans of requests, whatever resource and scope they are grouped under.
pub(crate) fn spans_of(requests: impl IntoIterator<Item = ExportTraceServiceRequest>) -> Spans {
    let resources = requests.into_iter().flat_map(|request| request.resource_spans);
    Spans(resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect())
}

struct Grpc(Arc<State>);

#[tonic::async_trait]
impl TraceService for Grpc {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        self.0.requests.lock().push(request.into_inner());
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Grpc {
    async fn export(
        &self,
        _: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, tonic::Status> {
        Ok(tonic::Response::new(ExportMetricsServiceResponse::default()))
    }
}

/// Serves the requests of one connection until it is closed.
fn serve_http(stream: TcpStream, state: &State) {
    let mut writer = stream.try_clone().expect("a socket can be cloned");
    let mut reader = BufReader::new(stream);
    while let Some((path, body)) = read_request(&mut reader) {
        let answer = state.answers.lock().pop_front().unwrap_or(Answer::Accept);
        let reply = match answer {
            Answer::Accept => {
                if path == "/v1/traces" {
                    let request = ExportTraceServiceRequest::decode(&*body).expect("it is protobuf");
                    state.requests.lock().push(request);
                }
                "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n".to_owned()
            }
            Answer::Refuse(status) => {
                format!("HTTP/1.1 {status} Refused\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n")
            }
        };
        if writer.write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

/// Reads a request with a length; the exporter sends no other.
fn read_request(reader: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let path = line.split_whitespace().nth(1)?.to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok().filter(|read| *read > 0)?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, body))
}
