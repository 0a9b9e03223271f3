//! Collectors: OTLP over HTTP or over gRPC, for all signals, on a port of the loopback address that the system picks.

use std::{
    collections::{HashMap, VecDeque},
    io::Read as _,
    net::{SocketAddr, TcpListener},
    ptr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::{
    logs::v1::{
        ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
        logs_service_server::{LogsService, LogsServiceServer},
    },
    metrics::v1::{
        ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
        metrics_service_server::{MetricsService, MetricsServiceServer},
    },
    trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
};
use parking_lot::Mutex;
use prost::Message;
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    runtime::Runtime,
    time::sleep,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        server::WebPkiClientVerifier,
    },
};
use tonic::{
    Code, Request, Response, Status,
    codec::CompressionEncoding,
    metadata::KeyAndValueRef,
    transport::{Certificate, Identity, ServerTlsConfig, server::TcpIncoming},
};

use crate::support::{Spans, spans};

/// How requests come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Http,
    Grpc,
}

/// What requests carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Metrics,
    Logs,
}

/// What a collector does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Accept,
    /// Takes the request, and says so once the gate is open.
    AcceptBehind(&'static Gate),
    /// Takes the request, but for so many of its items.
    AcceptPartly {
        rejected: i64,
        message: &'static str,
    },
    /// Refuses with an HTTP status, or what gRPC has for it, with `Retry-After: 0` where it may be tried again.
    Refuse(u16),
    /// Reads the request and says nothing.
    Hang,
    /// Reads the request and closes the connection; over gRPC, says that it is not available.
    HangUp,
}

/// What holds answers back until a test opens it.
#[derive(Debug)]
pub(crate) struct Gate(AtomicBool);

/// How a collector shows who it is, in PEM.
#[derive(Clone, Debug)]
pub(crate) struct ServerTls {
    pub(crate) certificate: String,
    pub(crate) key: String,
    /// Whose certificates it asks of its clients; it asks for none if there is no such authority.
    pub(crate) client_authority: Option<String>,
}

/// A collector, and what has arrived. It ends when dropped.
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    scheme: &'static str,
    state: Arc<State>,
    runtime: Option<Runtime>,
}

struct State {
    answer: Box<dyn Fn(Signal) -> Answer + Send + Sync>,
    arrivals: Mutex<Vec<Arrival>>,
}

struct Arrival {
    signal: Signal,
    headers: HashMap<String, String>,
    body: Vec<u8>,
    is_accepted: bool,
}

/// How many items a request that was taken was taken without, and why.
struct Taken {
    rejected: i64,
    message: String,
}

impl Gate {
    pub(crate) const fn closed() -> Self {
        Self(AtomicBool::new(false))
    }

    pub(crate) fn set_open(&self, is_open: bool) {
        self.0.store(is_open, Ordering::SeqCst);
    }

    fn is_open(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl PartialEq for Gate {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self, other)
    }
}

impl Eq for Gate {}

impl Sink {
    /// Takes everything that comes over HTTP.
    pub(crate) fn http() -> Self {
        Self::taking(Transport::Http)
    }

    /// Takes everything that comes over gRPC.
    pub(crate) fn grpc() -> Self {
        Self::taking(Transport::Grpc)
    }

    pub(crate) fn taking(transport: Transport) -> Self {
        Self::answering(transport, |_| Answer::Accept)
    }

    /// Answers the first requests over HTTP as given, and takes those after them.
    pub(crate) fn http_answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers: Mutex<VecDeque<_>> = Mutex::new(answers.into_iter().collect());
        Self::answering(Transport::Http, move |_| answers.lock().pop_front().unwrap_or(Answer::Accept))
    }

    pub(crate) fn answering(transport: Transport, answer: impl Fn(Signal) -> Answer + Send + Sync + 'static) -> Self {
        Self::serving("http", answer, |listener, state| serve(listener, transport, None, state))
    }

    /// Takes everything that comes over TLS.
    pub(crate) fn with_tls(transport: Transport, tls: &ServerTls) -> Self {
        let tls = tls.clone();
        Self::serving("https", |_| Answer::Accept, |listener, state| serve(listener, transport, Some(tls), state))
    }

    /// Takes connections and never says a word.
    pub(crate) fn black_hole() -> Self {
        let answer = |_| Answer::Hang;
        Self::serving("http", answer, |listener, _| async move {
            let mut held = Vec::new();
            while let Ok(connection) = listener.accept().await {
                held.push(connection);
            }
        })
    }

    fn serving<F: Future<Output = ()> + Send + 'static>(
        scheme: &'static str,
        answer: impl Fn(Signal) -> Answer + Send + Sync + 'static,
        serve: impl FnOnce(tokio::net::TcpListener, Arc<State>) -> F,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        listener.set_nonblocking(true).expect("the socket takes it");
        let state = Arc::new(State { answer: Box::new(answer), arrivals: Mutex::default() });
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime starts");
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener).expect("the socket takes it")
        };
        runtime.spawn(serve(listener, Arc::clone(&state)));
        Self { address, scheme, state, runtime: Some(runtime) }
    }

    /// An address at which nothing listens.
    pub(crate) fn closed() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        listener.local_addr().expect("it is bound")
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// The exports of spans that were taken, in their order.
    pub(crate) fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        self.taken(Signal::Traces)
    }

    /// The exports of metrics that were taken, in their order.
    pub(crate) fn metrics(&self) -> Vec<ExportMetricsServiceRequest> {
        self.taken(Signal::Metrics)
    }

    /// The exports of log events that were taken, in their order.
    pub(crate) fn logs(&self) -> Vec<ExportLogsServiceRequest> {
        self.taken(Signal::Logs)
    }

    /// All spans that have arrived.
    pub(crate) fn spans(&self) -> Spans {
        spans_of(self.requests())
    }

    /// The headers, or the metadata, of every request for a signal, taken or not; the names are in lower case.
    pub(crate) fn headers(&self, signal: Signal) -> Vec<HashMap<String, String>> {
        let arrivals = self.state.arrivals.lock();
        arrivals.iter().filter(|arrival| arrival.signal == signal).map(|arrival| arrival.headers.clone()).collect()
    }

    fn taken<M: Message + Default>(&self, signal: Signal) -> Vec<M> {
        let arrivals = self.state.arrivals.lock();
        let taken = arrivals.iter().filter(|arrival| arrival.signal == signal && arrival.is_accepted);
        taken.map(|arrival| M::decode(&*arrival.body).expect("it is protobuf")).collect()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A runtime's own drop blocks, which Tokio forbids where async tests end.
            runtime.shutdown_background();
        }
    }
}

/// The spans of requests, whatever resource and scope they are grouped under.
pub(crate) fn spans_of(requests: impl IntoIterator<Item = ExportTraceServiceRequest>) -> Spans {
    let resources = requests.into_iter().flat_map(|request| request.resource_spans);
    spans::placed(resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect())
}

impl State {
    /// Keeps a request. Returns the HTTP status if it is refused, and `None` if the connection just closes.
    async fn take(
        &self,
        signal: Signal,
        headers: HashMap<String, String>,
        body: Vec<u8>,
    ) -> Result<Taken, Option<u16>> {
        let answer = (self.answer)(signal);
        let is_accepted = !matches!(answer, Answer::Refuse(_) | Answer::Hang | Answer::HangUp);
        self.arrivals.lock().push(Arrival { signal, headers, body, is_accepted });
        let entirely = Taken { rejected: 0, message: String::new() };
        match answer {
            Answer::Accept => Ok(entirely),
            Answer::AcceptBehind(gate) => {
                while !gate.is_open() {
                    sleep(Duration::from_millis(5)).await;
                }
                Ok(entirely)
            }
            Answer::AcceptPartly { rejected, message } => Ok(Taken { rejected, message: message.to_owned() }),
            Answer::Refuse(status) => Err(Some(status)),
            Answer::HangUp => Err(None),
            Answer::Hang => std::future::pending().await,
        }
    }

    async fn take_grpc<M: Message>(&self, signal: Signal, request: Request<M>) -> Result<Taken, Status> {
        let metadata = request.metadata().iter().filter_map(|entry| match entry {
            KeyAndValueRef::Ascii(key, value) => Some((key.to_string(), value.to_str().ok()?.to_owned())),
            KeyAndValueRef::Binary(..) => None,
        });
        let metadata = metadata.collect();
        let taken = self.take(signal, metadata, request.into_inner().encode_to_vec()).await;
        taken.map_err(|status| {
            let code = match status {
                Some(400) => Code::InvalidArgument,
                Some(401) => Code::Unauthenticated,
                Some(403) => Code::PermissionDenied,
                Some(503) | None => Code::Unavailable,
                Some(other) => panic!("no code for {other}"),
            };
            Status::new(code, "refused")
        })
    }
}

#[tonic::async_trait]
impl TraceService for State {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let Taken { rejected, message } = self.take_grpc(Signal::Traces, request).await?;
        let partial_success = ExportTracePartialSuccess { rejected_spans: rejected, error_message: message };
        Ok(Response::new(ExportTraceServiceResponse { partial_success: Some(partial_success) }))
    }
}

#[tonic::async_trait]
impl MetricsService for State {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let Taken { rejected, message } = self.take_grpc(Signal::Metrics, request).await?;
        let partial_success = ExportMetricsPartialSuccess { rejected_data_points: rejected, error_message: message };
        Ok(Response::new(ExportMetricsServiceResponse { partial_success: Some(partial_success) }))
    }
}

#[tonic::async_trait]
impl LogsService for State {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let Taken { rejected, message } = self.take_grpc(Signal::Logs, request).await?;
        let partial_success = ExportLogsPartialSuccess { rejected_log_records: rejected, error_message: message };
        Ok(Response::new(ExportLogsServiceResponse { partial_success: Some(partial_success) }))
    }
}

async fn serve(listener: tokio::net::TcpListener, transport: Transport, tls: Option<ServerTls>, state: Arc<State>) {
    match transport {
        Transport::Http => {
            let tls = tls.map(|tls| TlsAcceptor::from(Arc::new(tls.for_http())));
            while let Ok((socket, _)) = listener.accept().await {
                let (tls, state) = (tls.clone(), Arc::clone(&state));
                tokio::spawn(async move {
                    match tls {
                        None => serve_http(socket, state).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(socket).await {
                                serve_http(stream, state).await;
                            }
                        }
                    }
                });
            }
        }
        Transport::Grpc => {
            let server = tonic::transport::Server::builder();
            let mut server = match tls {
                None => server,
                Some(tls) => server.tls_config(tls.for_grpc()).expect("it is a certificate"),
            };
            let gzip = CompressionEncoding::Gzip;
            server
                .add_service(TraceServiceServer::from_arc(Arc::clone(&state)).accept_compressed(gzip))
                .add_service(MetricsServiceServer::from_arc(Arc::clone(&state)).accept_compressed(gzip))
                .add_service(LogsServiceServer::from_arc(state).accept_compressed(gzip))
                .serve_with_incoming(TcpIncoming::from(listener))
                .await
                .expect("the server runs");
        }
    }
}

impl ServerTls {
    fn for_http(self) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let config = config.with_safe_default_protocol_versions().expect("the provider has them");
        let config = match self.client_authority {
            None => config.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                let authority = CertificateDer::from_pem_slice(authority.as_bytes()).expect("it is PEM");
                roots.add(authority).expect("it is an authority");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                config.with_client_cert_verifier(verifier.expect("there is an authority"))
            }
        };
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("it is PEM");
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("it is PEM");
        config.with_single_cert(vec![certificate], key).expect("they belong together")
    }

    fn for_grpc(self) -> ServerTlsConfig {
        // A server of tonic takes the process's, which is not clear where another crate of the workspace brings a second one.
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let config = ServerTlsConfig::new().identity(Identity::from_pem(self.certificate, self.key));
        match self.client_authority {
            None => config,
            Some(authority) => config.client_ca_root(Certificate::from_pem(authority)),
        }
    }
}

/// Serves the requests of one connection until it is closed.
async fn serve_http(stream: impl AsyncRead + AsyncWrite + Unpin, state: Arc<State>) {
    let mut stream = BufReader::new(stream);
    while let Some((path, headers, body)) = read_request(&mut stream).await {
        let signal = match path.as_str() {
            "/v1/traces" => Signal::Traces,
            "/v1/metrics" => Signal::Metrics,
            "/v1/logs" => Signal::Logs,
            other => panic!("no signal goes to {other}"),
        };
        let (head, body) = match state.take(signal, headers, body).await {
            Ok(Taken { rejected, message }) => {
                // In bytes, the responses of all signals are alike.
                let partial_success = ExportTracePartialSuccess { rejected_spans: rejected, error_message: message };
                let response = ExportTraceServiceResponse { partial_success: Some(partial_success) };
                ("200 OK\r\ncontent-type: application/x-protobuf".to_owned(), response.encode_to_vec())
            }
            Err(Some(status)) => (format!("{status} Refused\r\nretry-after: 0"), Vec::new()),
            Err(None) => return,
        };
        let mut reply = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
        reply.extend(body);
        if stream.write_all(&reply).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

/// Reads a request with a length; the exporter sends no other.
async fn read_request(reader: &mut (impl AsyncBufRead + Unpin)) -> Option<(String, HashMap<String, String>, Vec<u8>)> {
    let mut line = String::new();
    reader.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let path = line.split_whitespace().nth(1)?.to_owned();
    let mut headers = HashMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).await.ok().filter(|read| *read > 0)?;
        let Some((name, value)) = header.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).await.ok()?;
    if headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip") {
        let mut decoded = Vec::new();
        GzDecoder::new(&*body).read_to_end(&mut decoded).expect("it is compressed");
        body = decoded;
    }
    Some((path, headers, body))
}
