//! An HTTP server on a loopback port that answers from a script, byte for byte, and remembers what it was asked.
//!
//! It exists for what a web framework would not let a test do: cut an answer anywhere, fall silent, break off.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use serde_json::{Value as JsonValue, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::{AbortHandle, JoinSet},
    time::{sleep, timeout},
};

/// What a test waits for at most; long, because machines that run tests are slow at times.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that sends its replies in the order in which requests come; it ends when dropped.
#[derive(Debug)]
pub(crate) struct ScriptedServer {
    port: u16,
    seen: Arc<Seen>,
    accepting: AbortHandle,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct RecordedRequest {
    /// `POST /v1/chat/completions`
    pub(crate) target: String,
    /// By name in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// `null` if it is not JSON.
    pub(crate) body: JsonValue,
}

/// An answer, sent in chunked encoding, so that the client sees the cuts that the script makes.
#[derive(Clone, Debug)]
pub(crate) struct HttpReply {
    status: u16,
    headers: Vec<(String, String)>,
    is_chunked: bool,
    keeps_alive: bool,
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    Send(Vec<u8>),
    Pause(Duration),
    /// Nothing more, until the client hangs up.
    Hang,
    /// The connection closes during the answer.
    BreakOff,
}

#[derive(Debug)]
struct Seen {
    requests: Mutex<Vec<RecordedRequest>>,
    connections: AtomicUsize,
    /// One permit for each client that hung up while it was kept waiting.
    hang_ups: Semaphore,
}

type ReplyFn = Box<dyn Fn(usize, &RecordedRequest) -> HttpReply + Send + Sync>;

impl ScriptedServer {
    /// Starts a server that sends each reply once.
    pub(crate) async fn start(replies: impl IntoIterator<Item = HttpReply>) -> Self {
        let replies: Vec<_> = replies.into_iter().collect();
        Self::answering(move |number, _| {
            let used_up = json!({"error": {"message": "the script is used up", "code": "script_used_up"}});
            replies.get(number).cloned().unwrap_or_else(|| HttpReply::json(400, &used_up))
        })
        .await
    }

    /// Starts a server whose replies are a function of the request and its number, from 0.
    pub(crate) async fn answering(
        reply: impl Fn(usize, &RecordedRequest) -> HttpReply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let seen = Arc::new(Seen {
            requests: Mutex::default(),
            connections: AtomicUsize::new(0),
            hang_ups: Semaphore::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Box::new(reply), Arc::clone(&seen))).abort_handle();
        Self { port, seen, accepting }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<RecordedRequest> {
        self.seen.requests.lock().clone()
    }

    /// How many connections there were so far.
    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// Waits until one more client has hung up while it was kept waiting.
    pub(crate) async fn hung_up(&self) {
        let permit = timeout(PATIENCE, self.seen.hang_ups.acquire()).await.expect("the client did not hang up");
        permit.expect("the semaphore is never closed").forget();
    }

    /// Waits until so many requests have come.
    pub(crate) async fn requested(&self, count: usize) {
        let come = async {
            while self.seen.requests.lock().len() < count {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, come).await.expect("the requests did not come");
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl HttpReply {
    /// A reply without a body.
    pub(crate) const fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), is_chunked: true, keeps_alive: false, steps: Vec::new() }
    }

    /// Server-sent events, still to be written.
    pub(crate) fn events() -> Self {
        Self::status(200).with_header("content-type", "text/event-stream; charset=utf-8")
    }

    pub(crate) fn json(status: u16, body: &JsonValue) -> Self {
        Self::status(status).with_header("content-type", "application/json").then(body.to_string())
    }

    /// Nothing at all, until the client hangs up.
    pub(crate) fn silence() -> Self {
        // No status: not even the head is sent.
        Self::status(0).then_hang()
    }

    /// A chat completion with a text in these pieces, with usage.
    pub(crate) fn chat(pieces: &[&str]) -> Self {
        let deltas = pieces.iter().map(|piece| json!({"content": piece}));
        Self::events().then(chat_events(deltas, "stop"))
    }

    /// A chat completion that asks for tools, each an id, a name and arguments, which come in two pieces, with usage.
    pub(crate) fn tool_calls(calls: &[(&str, &str, JsonValue)]) -> Self {
        let call = |index, call: JsonValue| {
            let mut call = call;
            call["index"] = index;
            json!({"tool_calls": [call]})
        };
        let deltas = calls.iter().enumerate().flat_map(|(index, (id, name, arguments))| {
            let arguments = arguments.to_string();
            let (first, second) = arguments.split_at(1);
            let opening = json!({"id": id, "type": "function", "function": {"name": name, "arguments": first}});
            [call(index.into(), opening), call(index.into(), json!({"function": {"arguments": second}}))]
        });
        Self::events().then(chat_events(deltas, "tool_calls"))
    }

    pub(crate) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The body ends where the connection does.
    pub(crate) const fn without_framing(mut self) -> Self {
        self.is_chunked = false;
        self
    }

    /// The connection may be used for the next request.
    pub(crate) const fn with_keep_alive(mut self) -> Self {
        self.keeps_alive = true;
        self
    }

    /// Sends bytes, which the client reads in one piece.
    pub(crate) fn then(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.step(Step::Send(bytes.into()))
    }

    pub(crate) fn then_pause(self, pause: Duration) -> Self {
        self.step(Step::Pause(pause))
    }

    pub(crate) fn then_hang(self) -> Self {
        self.step(Step::Hang)
    }

    pub(crate) fn then_break_off(self) -> Self {
        self.step(Step::BreakOff)
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

/// The events of a chat completion, up to and with `[DONE]`.
pub(crate) fn chat_events(deltas: impl IntoIterator<Item = JsonValue>, finish_reason: &str) -> String {
    let choice = |delta, reason| json!([{"index": 0, "delta": delta, "finish_reason": reason}]);
    let usage = json!({"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12});
    let pieces = deltas.into_iter().map(|delta| json!({"choices": choice(delta, JsonValue::Null)}));
    let end = [json!({"choices": choice(json!({}), finish_reason.into())}), json!({"choices": [], "usage": usage})];
    let mut events = String::new();
    for mut chunk in pieces.chain(end) {
        chunk["id"] = "chatcmpl-1".into();
        chunk["model"] = "scripted-model".into();
        events += &format!("data: {chunk}\n\n");
    }
    events + "data: [DONE]\n\n"
}

async fn accept(listener: TcpListener, reply: ReplyFn, seen: Arc<Seen>) {
    let reply = Arc::new(reply);
    // Aborts the connections with the server.
    let mut connections = JoinSet::new();
    loop {
        let (connection, _) = listener.accept().await.expect("a listening socket accepts");
        let (reply, seen) = (Arc::clone(&reply), Arc::clone(&seen));
        connections.spawn(async move {
            // A client may hang up whenever it likes.
            serve(connection, &reply, &seen).await.ok();
        });
    }
}

async fn serve(mut connection: TcpStream, reply: &ReplyFn, seen: &Seen) -> io::Result<()> {
    connection.set_nodelay(true)?;
    seen.connections.fetch_add(1, Ordering::Relaxed);
    while answer(&mut connection, reply, seen).await? {}
    Ok(())
}

/// Answers one request; true if another may follow.
async fn answer(connection: &mut TcpStream, reply: &ReplyFn, seen: &Seen) -> io::Result<bool> {
    let request = read_request(connection).await?;
    let number = {
        let mut requests = seen.requests.lock();
        requests.push(request.clone());
        requests.len() - 1
    };
    let reply = reply(number, &request);
    if reply.status != 0 {
        connection.write_all(head(&reply).as_bytes()).await?;
    }
    for step in reply.steps {
        match step {
            Step::Send(bytes) if reply.is_chunked => {
                let chunk = [format!("{:x}\r\n", bytes.len()).as_bytes(), &bytes, b"\r\n"].concat();
                // An empty chunk would be the end.
                connection.write_all(if bytes.is_empty() { b"" } else { &chunk }).await?;
            }
            Step::Send(bytes) => connection.write_all(&bytes).await?,
            Step::Pause(pause) => sleep(pause).await,
            Step::Hang => {
                while connection.read(&mut [0; 64]).await.is_ok_and(|count| count > 0) {}
                seen.hang_ups.add_permits(1);
                return Ok(false);
            }
            Step::BreakOff => return Ok(false),
        }
    }
    if reply.is_chunked {
        connection.write_all(b"0\r\n\r\n").await?;
    }
    Ok(reply.keeps_alive)
}

fn head(reply: &HttpReply) -> String {
    let mut head = format!("HTTP/1.1 {} Scripted\r\n", reply.status);
    if !reply.keeps_alive {
        head += "connection: close\r\n";
    }
    if reply.is_chunked {
        head += "transfer-encoding: chunked\r\n";
    }
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head + "\r\n"
}

async fn read_request(connection: &mut TcpStream) -> io::Result<RecordedRequest> {
    let mut received = Vec::new();
    let body_start = loop {
        if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if connection.read_buf(&mut received).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8_lossy(&received[..body_start]).into_owned();
    let mut lines = head.lines();
    let target = lines.next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
    let headers: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or_default();
    while received.len() < body_start + length {
        if connection.read_buf(&mut received).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let body = serde_json::from_slice(&received[body_start..]).unwrap_or_default();
    Ok(RecordedRequest { target, headers, body })
}
