//! Runs that between them emit every field that there is, and leave out every field that may be absent.

use std::{sync::Arc, time::Duration};

use agent_runtime::{
    component::{RunOptions, Seed},
    event::{TraceContext, Usage},
    llm::{
        ChatDelta, ChatModel, ChatRequest, ChatStream, GenerationOptions, ModelError, ServerAddress, StatusError,
        ToolCallDelta,
    },
    prelude::*,
};
use futures_util::{StreamExt as _, stream};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::support::{agent_flow, calling, full_flow, history, replies, tool};

type Piece = Result<ChatDelta, ModelError>;

/// A model that sends given pieces, or panics where it has none.
#[derive(Clone, Debug)]
struct Pieces {
    pieces: Option<fn() -> Vec<Piece>>,
    server: Option<ServerAddress>,
}

#[async_trait]
impl ChatModel for Pieces {
    fn provider(&self) -> &str {
        "pieces"
    }

    fn model(&self) -> &str {
        "pieces"
    }

    fn server(&self) -> Option<ServerAddress> {
        self.server.clone()
    }

    async fn stream(&self, _request: ChatRequest) -> Result<ChatStream, ModelError> {
        let pieces = self.pieces.expect("this model panics");
        Ok(stream::iter(pieces()).boxed())
    }
}

fn pieces(pieces: fn() -> Vec<Piece>) -> Arc<dyn ChatModel> {
    Arc::new(Pieces { pieces: Some(pieces), server: None })
}

/// The events of all runs.
pub(super) async fn events() -> Vec<Event> {
    let mut events = in_a_conversation().await;
    events.extend(ended(options_and_usage()).await);
    for model in [silent(), interrupted()] {
        events.extend(ended(agent_flow(model, [])).await);
    }
    for error in ERRORS {
        events.extend(ended(agent_flow(replies([ScriptedReply::error(error)]), [])).await);
    }
    let chosen = ConditionalStep::new("choose", |_| true).then(failing_transform());
    let failing = [Workflow::new("flow").add_step(failing_transform()), Workflow::new("flow").add_step(chosen)];
    let failing = failing.map(|workflow| workflow.build());
    for workflow in [tools(), endless(), repeating()].into_iter().chain(failing) {
        events.extend(ended(workflow).await);
    }
    for workflow in [panicking_transform(), panicking_model()] {
        events.extend(ended(workflow).await);
    }
    let stuck_tool = tool("stuck", |_, _| std::future::pending());
    let stuck = agent_flow(calling(vec![("stuck", json!({}))], "Never said."), [stuck_tool]);
    events.extend(dropped(stuck, EventScope::Tool, EventType::Started).await);
    let stuck = agent_flow(replies([ScriptedReply::text("Well now").then_pending(1)]), []);
    events.extend(dropped(stuck, EventScope::LlmRequest, EventType::Progress).await);
    events.push(gap().await);
    events
}

/// Merged progress of a run's model requests and tools.
pub(super) async fn merged_events() -> Vec<Event> {
    let runtime = Runtime::new();
    let events = runtime.event_stream().subscribe().batched(Duration::from_hours(1));
    runtime.execute(&full_flow(), "go").await.expect("the run succeeds");
    drop(runtime);
    let events = events.map(|event| event.expect("the log is large enough"));
    events.filter(|event| std::future::ready(event.data.merged().is_some())).collect().await
}

/// A run with tags and one without.
pub(super) async fn tagged_and_untagged() -> Vec<Event> {
    let runtime = Runtime::new();
    for options in [RunOptions::default().with_tag("production"), RunOptions::default()] {
        runtime.execute_with(&full_flow(), "go", options).await.expect("the run succeeds");
    }
    history(&runtime).await
}

async fn in_a_conversation() -> Vec<Event> {
    let other: TraceContext = read(json!({
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": "b7ad6b7169203331",
        "parent_span_id": "00f067aa0ba902b7",
        "sampled": true,
    }));
    let root: TraceContext = read(json!({
        "trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "00f067aa0ba902b7", "sampled": true,
    }));
    let runtime = Runtime::new();
    let options = RunOptions::default().with_conversation_id("c1").with_link(other).with_link(root);
    let options = options.with_seed(Seed::new("job", 1));
    runtime.execute_with(&full_flow(), "go", options).await.expect("the run succeeds");
    history(&runtime).await
}

/// An agent with a description and all options, asking a server that reports all that a usage can hold.
fn options_and_usage() -> Workflow {
    let server = Some(ServerAddress::new("127.0.0.1", 8080));
    let answer = || {
        let usage: Usage = read(json!({
            "prompt_tokens": 5, "completion_tokens": 4, "total_tokens": 9,
            "cached_tokens": 1, "cache_write_tokens": 2, "reasoning_tokens": 3,
        }));
        vec![
            Ok(ChatDelta::Reasoning("Well.".to_owned())),
            Ok(ChatDelta::Text("Yes.".to_owned())),
            Ok(ChatDelta::Usage(usage)),
        ]
    };
    let options = GenerationOptions::default().with_temperature(0.5).with_top_p(0.9).with_max_tokens(64);
    let agent = Agent::builder("agent", Arc::new(Pieces { pieces: Some(answer), server }))
        .with_description("Says yes")
        .with_generation_options(options)
        .build();
    Workflow::new("flow").add_step(AgentStep::new(agent)).build()
}

/// A model whose answer is empty.
fn silent() -> Arc<dyn ChatModel> {
    pieces(Vec::new)
}

/// A model whose answer ends in an error that comes after everything else.
fn interrupted() -> Arc<dyn ChatModel> {
    pieces(|| {
        let usage: Usage = read(json!({"prompt_tokens": 5}));
        vec![
            Ok(ChatDelta::Id("r1".to_owned())),
            Ok(ChatDelta::Model("pieces-1".to_owned())),
            Ok(ChatDelta::Text("Well".to_owned())),
            Ok(ChatDelta::Usage(usage)),
            Err(refusal(429)),
        ]
    })
}

fn refusal(status: u16) -> ModelError {
    let refusal = StatusError::new(status, "no");
    ModelError::Status(if status == 429 { refusal.with_retry_after(Duration::from_secs(7)) } else { refusal })
}

/// One error for each code of [`ModelError::code`].
const ERRORS: [fn() -> ModelError; 18] = [
    || ModelError::Configuration("no model is set".to_owned()),
    || ModelError::connection("host:1", "refused"),
    || ModelError::timeout("host:1", Duration::from_secs(1)),
    || ModelError::protocol("not JSON"),
    || ModelError::StreamInterrupted,
    || ModelError::unfinished("length"),
    || ModelError::unfinished("content_filter"),
    || ModelError::unfinished("abort"),
    || ModelError::refused("No."),
    || ModelError::empty(None),
    || ModelError::too_large(1, "bytes"),
    || refusal(401),
    || refusal(403),
    || refusal(404),
    || refusal(408),
    || refusal(429),
    || refusal(422),
    || refusal(500),
];

/// Tools that fail in every way, one of them called again with the same arguments.
fn tools() -> Workflow {
    let divide = tool("divide", |_, progress| async move {
        progress("at work".to_owned(), None);
        progress("half".to_owned(), Some(50));
        Err(ToolError::with_code("division by zero", "DIV_BY_ZERO").into())
    });
    let refuse = tool("refuse", |_, _| async { Err(ToolError::new("not today").into()) });
    let panic = tool("panic", |_, _| async { panic!("a panic of the test") });
    let unreadable = || {
        let call =
            ToolCallDelta::new(0).with_name("divide").with_arguments("{not JSON").with_extra("signature", json!("s1"));
        vec![Ok(call.into())]
    };
    let calls = [("divide", json!({})), ("refuse", json!({})), ("panic", json!({})), ("missing", json!({}))];
    let worker = Agent::builder(
        "worker",
        replies([
            ScriptedReply::tool_calls(calls),
            ScriptedReply::tool_calls([("divide", json!({})), ("missing", json!({}))]),
            ScriptedReply::text("None of it can be done."),
        ]),
    );
    let sloppy = Agent::builder("sloppy", pieces(unreadable)).with_max_iterations(1);
    let step = |agent: agent_runtime::runtime::AgentBuilder| {
        AgentStep::new(agent.with_tool(divide.clone()).with_tool(refuse.clone()).with_tool(panic.clone()).build())
    };
    Workflow::new("flow").add_step(step(worker)).add_step(step(sloppy)).build()
}

/// An agent that never comes to an answer.
fn endless() -> Workflow {
    let model = ScriptedModel::answering(|_| ScriptedReply::tool_calls([("again", json!({}))]));
    let again = tool("again", |_, _| async { Ok(json!(null)) });
    let agent = Agent::builder("agent", Arc::new(model)).with_tool(again).with_max_iterations(2).build();
    Workflow::new("flow").add_step(AgentStep::new(agent)).build()
}

/// An agent whose model makes one call again and again.
fn repeating() -> Workflow {
    let model = ScriptedModel::answering(|_| ScriptedReply::tool_calls([("again", json!({}))]));
    let again = tool("again", |_, _| async { Ok(json!(null)) });
    let agent = Agent::builder("agent", Arc::new(model)).with_tool(again).with_max_repetitions(1).build();
    Workflow::new("flow").add_step(AgentStep::new(agent)).build()
}

fn failing_transform() -> TransformStep {
    TransformStep::new("save", |_| async { Err::<JsonValue, _>("the disk is full") })
}

fn panicking_transform() -> Workflow {
    let panic = |_| async { panic!("a panic of the test") };
    Workflow::new("flow").add_step(TransformStep::new::<_, _, ToolError>("save", panic)).build()
}

fn panicking_model() -> Workflow {
    agent_flow(Arc::new(Pieces { pieces: None, server: None }), [])
}

/// Runs a workflow to its end, whichever that is.
async fn ended(workflow: Workflow) -> Vec<Event> {
    let runtime = Runtime::new();
    let run = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.execute(&workflow, "go").await.map(|_| ()) }
    });
    // Failures and panics are what some of these runs are for.
    drop(run.await);
    history(&runtime).await
}

/// Runs a workflow until it emits an event of a scope and a type, and drops it there.
async fn dropped(workflow: Workflow, scope: EventScope, event_type: EventType) -> Vec<Event> {
    let runtime = Runtime::new();
    let mut awaited = runtime.event_stream().subscribe().filter(scope).filter_type(event_type);
    tokio::select! {
        ended = runtime.execute(&workflow, "go") => panic!("it is stuck: {ended:?}"),
        event = awaited.recv() => drop(event.expect("the stream is open")),
    }
    history(&runtime).await
}

/// The event that stands for what a slow receiver missed.
async fn gap() -> Event {
    let long = ScriptedReply::text("a ".repeat(2 * EventStream::DEFAULT_CAPACITY));
    let (tx, mut rx) = mpsc::channel(1);
    let chat = agent_flow(replies([long]), []);
    chat.execute("go", &tx).await.expect("the run succeeds");
    drop(tx);
    loop {
        let event = rx.recv().await.expect("the gap is reported");
        if event.component_id == "system:event_stream" {
            return event;
        }
    }
}

fn read<T: DeserializeOwned>(json: JsonValue) -> T {
    serde_json::from_value(json).expect("it has the right form")
}
