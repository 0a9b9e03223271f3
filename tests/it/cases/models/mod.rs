//! What servers that speak OpenAI's chat API send and refuse, and what an agent makes of it.
//!
//! Each file has the cases of some rules. A case is what a server answers to the requests of one run, and what must come
//! of it; [`check`] runs it. The workflow has one step with one agent, its input is `go`, and its tools return their
//! arguments. Unless a case says otherwise, the server answers every request behind the first with `Done.`.

mod answers;
mod arguments;
mod bodies;
mod bounds;
mod calls;
mod errors;
mod fields;
mod notation;
mod retries;
mod setup;

use std::{error::Error, time::Duration};

use agent_runtime::{
    llm::{OpenAiClient, OpenAiClientBuilder},
    prelude::*,
    runtime::AgentBuilder,
};
use tokio::time::timeout;
use tracing::instrument::WithSubscriber as _;

use crate::support::{HttpReply, RecordedRequest, Recording, ScriptedServer, Spans, check_over, history, spans, tool};

use notation::text;

/// What no error, event and span may show.
const SECRET: &str = "hush-hush";

/// How long a run may take; far longer than any does.
const PATIENCE: Duration = Duration::from_secs(60);

/// The tools that every agent has, each of which returns its arguments.
const TOOLS: [&str; 11] =
    ["add", "delete", "delete_all", "look", "now", "one", "read_file", "square", "sub", "t", "two"];

type ServerFn = Box<dyn Fn(usize, &RecordedRequest) -> HttpReply + Send + Sync>;

/// One case.
struct Case {
    id: &'static str,
    server: ServerFn,
    /// Behind the server's address.
    path: &'static str,
    client: fn(OpenAiClientBuilder) -> OpenAiClientBuilder,
    agent: fn(AgentBuilder) -> AgentBuilder,
    patience: Duration,
    right: Right,
    /// The tools that ended well, each with its arguments.
    runs: Option<Vec<(&'static str, JsonValue)>>,
    asks: Option<usize>,
    also: Vec<fn(&Done)>,
}

/// What must come of a run.
enum Right {
    Answer(&'static str),
    /// The end of the answer, which is long.
    End(&'static str),
    /// The error's code, and what its text has.
    Failure(&'static str, &'static str),
    /// The run is dropped while it waits.
    Canceled,
}

/// What came of a run.
struct Done {
    id: &'static str,
    error: Option<RunError>,
    events: Vec<Event>,
    spans: Spans,
    requests: Vec<RecordedRequest>,
    connections: usize,
}

impl Case {
    fn new(id: &'static str, first: impl Into<Vec<u8>>) -> Self {
        Self::replying(id, vec![HttpReply::events().then(first.into())])
    }

    /// A case whose server gives these replies and then says `Done.`.
    fn replying(id: &'static str, replies: Vec<HttpReply>) -> Self {
        Self::serving(id, move |number, _| replies.get(number).cloned().unwrap_or_else(done))
    }

    /// A case whose server's replies are a function of the request and its number, from 0.
    fn serving(
        id: &'static str,
        server: impl Fn(usize, &RecordedRequest) -> HttpReply + Send + Sync + 'static,
    ) -> Self {
        Self {
            id,
            server: Box::new(server),
            path: "/v1",
            client: |client| client,
            agent: |agent| agent,
            patience: PATIENCE,
            right: Right::Answer("Done."),
            runs: None,
            asks: None,
            also: Vec::new(),
        }
    }

    fn at(mut self, path: &'static str) -> Self {
        self.path = path;
        self
    }

    fn client(mut self, set_up: fn(OpenAiClientBuilder) -> OpenAiClientBuilder) -> Self {
        self.client = set_up;
        self
    }

    fn agent(mut self, set_up: fn(AgentBuilder) -> AgentBuilder) -> Self {
        self.agent = set_up;
        self
    }

    fn answers(mut self, answer: &'static str) -> Self {
        self.right = Right::Answer(answer);
        self
    }

    fn ends_with(mut self, end: &'static str) -> Self {
        self.right = Right::End(end);
        self
    }

    fn fails(mut self, code: &'static str, says: &'static str) -> Self {
        self.right = Right::Failure(code, says);
        self
    }

    fn canceled_after(mut self, patience: Duration) -> Self {
        (self.right, self.patience) = (Right::Canceled, patience);
        self
    }

    fn runs(mut self, tools: &[(&'static str, JsonValue)]) -> Self {
        self.runs = Some(tools.to_vec());
        self
    }

    fn asks(mut self, count: usize) -> Self {
        self.asks = Some(count);
        self
    }

    fn also(mut self, check: fn(&Done)) -> Self {
        self.also.push(check);
        self
    }
}

impl Done {
    /// The events of a scope and a type.
    fn events(&self, scope: EventScope, event_type: EventType) -> Vec<&Event> {
        self.events.iter().filter(|event| (event.scope, event.event_type) == (scope, event_type)).collect()
    }

    /// The spans of the model's requests.
    fn request_attribute(&self, number: usize, name: &str) -> JsonValue {
        crate::support::spans::attribute(self.spans.all("chat m")[number], name)
    }

    /// The messages of a request.
    fn messages(&self, request: usize) -> &Vec<JsonValue> {
        self.requests[request].body["messages"].as_array().expect("a request has messages")
    }
}

fn done() -> HttpReply {
    HttpReply::events().then(text("Done."))
}

/// Runs each case and checks what must come of it.
async fn check(cases: impl IntoIterator<Item = Case>) {
    for case in cases {
        run_case(case).await;
    }
}

async fn run_case(case: Case) -> Done {
    let Case { id, server, path, client, agent, patience, right, runs, asks, also } = case;
    let server = ScriptedServer::answering(server).await;
    let builder = OpenAiClient::builder("m").with_base_url(format!("http://127.0.0.1:{}{path}", server.port()));
    let model = client(builder).build().expect("the client's settings are right");
    let echoes = TOOLS.map(|name| tool(name, |args, _| async { Ok(args) }));
    let agent = agent(Agent::builder("agent", model).with_tools(echoes)).build();
    let workflow = Workflow::new("flow").add_step(AgentStep::new(agent)).build();

    let (recording, runtime) = (Recording::new(), Runtime::new());
    // Dropped where it was polled, in the sight of its subscriber.
    let run = async { timeout(patience, runtime.execute(&workflow, "go")).await };
    let run = run.with_subscriber(recording.dispatch()).await;
    let events = history(&runtime).await;
    let spans = check_over(&recording, &events);
    assert!(spans.trace_ids().len() <= 1, "{id}: {}", spans.tree());
    let error = check_outcome(id, &right, run.ok());
    let (requests, connections) = (server.requests(), server.connections());
    let done = Done { id, error, events, spans, requests, connections };
    check_secrecy(&done);
    if let Some(runs) = runs {
        let ran: Vec<_> = done.events(EventScope::Tool, EventType::Completed).into_iter().map(ran).collect();
        let expected: Vec<_> = runs.into_iter().map(|(name, args)| (name.to_owned(), args)).collect();
        assert_eq!(ran, expected, "{id}");
    }
    if let Some(asks) = asks {
        assert_eq!(done.requests.len(), asks, "{id}");
    }
    also.iter().for_each(|check| check(&done));
    done
}

fn check_outcome(id: &str, right: &Right, run: Option<Result<RunOutput, RunError>>) -> Option<RunError> {
    match (right, run) {
        (Right::Answer(answer), Some(Ok(run))) => {
            assert_eq!(run.output, *answer, "{id}");
            None
        }
        (Right::End(end), Some(Ok(run))) => {
            assert!(run.output.as_str().is_some_and(|output| output.ends_with(end)), "{id}");
            None
        }
        (Right::Failure(code, says), Some(Err(error))) => {
            let told = told(&error);
            assert_eq!(error.code(), *code, "{id}: {told}");
            assert!(told.contains(says), "{id}: {told}");
            Some(error)
        }
        (Right::Canceled, None) => None,
        (_, None) => panic!("{id}: the run does not end"),
        (_, Some(run)) => panic!("{id}: {run:?}"),
    }
}

fn check_secrecy(done: &Done) {
    let error = done.error.as_ref().map(|error| format!("{} {error:?}", told(error))).unwrap_or_default();
    let events = done.events.iter().map(|event| serde_json::to_string(event).expect("an event is JSON"));
    for shown in events.chain([error, spans::text(&done.spans)]) {
        assert!(!shown.contains(SECRET), "{}: {shown}", done.id);
    }
}

/// An error with what is behind it.
fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

/// A tool's name and its result, which is its arguments.
fn ran(event: &Event) -> (String, JsonValue) {
    let name = event.data.tool_name().expect("a tool has a name").to_owned();
    (name, event.data.result().expect("a tool that ended well has a result").clone())
}
