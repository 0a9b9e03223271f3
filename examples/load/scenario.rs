//! Ten kinds of runs: most succeed, some do so after a tool failed, and in some a model fails or somebody loses patience.

use std::{sync::Arc, time::Duration};

use agent_runtime::{
    event::Usage,
    llm::{ChatRequest, ModelError, Role, StatusError},
    otel::{Price, PriceError, PriceTable},
    prelude::*,
};

const CHUNK_DELAY: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_millis(60);

/// One kind of run.
#[derive(Clone)]
pub(crate) struct Case {
    workflow: Workflow,
    /// How long its caller waits.
    patience: Option<Duration>,
}

impl Case {
    /// Runs it and returns how its workflow ended.
    pub(crate) async fn run(&self, runtime: &Runtime) -> EventType {
        let run = runtime.execute(&self.workflow, "What is new?");
        let result = match self.patience {
            Some(patience) => match tokio::time::timeout(patience, run).await {
                Ok(result) => result,
                Err(_elapsed) => return EventType::Canceled,
            },
            None => run.await,
        };
        if result.is_ok() { EventType::Completed } else { EventType::Failed }
    }
}

/// The kinds, in the order in which they take turns.
pub(crate) fn cases(runtime: &Runtime) -> Vec<Case> {
    let done = |workflow: Workflow| Case { workflow, patience: None };
    let given_up = |workflow: Workflow| Case { workflow, patience: Some(PATIENCE) };
    let small = |calls| Agent::builder("researcher", Arc::new(asks_for("search", calls, "small-model")));
    vec![
        done(research(small(1).with_tool(search()).build())),
        done(answer(ScriptedReply::text("Nothing new today."))),
        done(nested()),
        done(research(small(2).with_tool(failing_search()).build())),
        done(answer(ScriptedReply::text("As before.").with_usage(cached_usage()))),
        done(answer(ScriptedReply::error(rate_limited))),
        done(answer(ScriptedReply::text("It is all going").then_error(2, overloaded))),
        given_up(answer(ScriptedReply::text("Let me think").then_pending(2))),
        given_up(research(small(1).with_tool(endless_search()).build())),
        done(in_a_transform(runtime.clone())),
    ]
}

/// An agent with a tool, between two transforms.
fn research(agent: Agent) -> Workflow {
    Workflow::new("research")
        .add_step(TransformStep::new("prepare", |question: JsonValue| async move { Ok::<_, ToolError>(question) }))
        .add_step(AgentStep::new(agent))
        .add_step(TransformStep::new("store", |answer: JsonValue| async move { Ok::<_, ToolError>(answer) }))
        .build()
}

/// One agent, one request, also where it fails.
fn answer(reply: ScriptedReply) -> Workflow {
    let model =
        ScriptedModel::answering(move |_request| reply.clone().with_delay(CHUNK_DELAY)).with_name("large-model");
    Workflow::new("answer")
        .add_step(AgentStep::new(Agent::builder("writer", model).with_max_retries(0).build()))
        .build()
}

/// A workflow in a workflow, with two tools at once in the inner one.
fn nested() -> Workflow {
    let reply = |request: &ChatRequest| match request.messages.last().map(|message| message.role) {
        Some(Role::Tool) => ScriptedReply::text("Both agree."),
        _ => ScriptedReply::tool_calls([("search", json!({"for": "one"})), ("calculate", json!({"what": "two"}))]),
    };
    let model = ScriptedModel::answering(reply).with_name("local-model");
    let checker = Agent::builder("checker", Arc::new(model)).with_tool(search()).with_tool(calculate()).build();
    let check = Workflow::new("check").add_step(AgentStep::new(checker)).build();
    Workflow::new("report").add_step(SubWorkflowStep::new(check)).build()
}

/// A run that the user's own code starts inside a step.
fn in_a_transform(runtime: Runtime) -> Workflow {
    let inner = answer(ScriptedReply::text("From within."));
    let step = TransformStep::new("ask_within", move |question: JsonValue| {
        let (runtime, inner) = (runtime.clone(), inner.clone());
        async move { runtime.execute(&inner, question).await.map(|run| run.output) }
    });
    Workflow::new("outer").add_step(step).build()
}

/// A model that makes the same tool call so often and then answers.
fn asks_for(tool: &'static str, calls: usize, model: &str) -> ScriptedModel {
    let reply = move |request: &ChatRequest| {
        let results = request.messages.iter().filter(|message| message.role == Role::Tool).count();
        let reply = if results >= calls {
            ScriptedReply::text("This is what there is to know about it.")
        } else {
            ScriptedReply::tool_calls([(tool, json!({"for": "news"}))])
        };
        reply.with_delay(CHUNK_DELAY)
    };
    ScriptedModel::answering(reply).with_name(model)
}

fn search() -> FnTool {
    tool("search", |progress| async move {
        for page in 1..=3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            progress(format!("page {page}"), Some(page));
        }
        Ok(json!({"found": 3}))
    })
}

fn calculate() -> FnTool {
    tool("calculate", |_progress| async move {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(json!(42))
    })
}

fn failing_search() -> FnTool {
    tool("search", |_progress| async move {
        Err(ToolError::with_code("the index is being rebuilt", "INDEX_OFFLINE").into())
    })
}

fn endless_search() -> FnTool {
    tool("search", |_progress| std::future::pending())
}

fn tool<F, Fut>(name: &str, work: F) -> FnTool
where
    F: Fn(ProgressCallback) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<JsonValue, BoxError>> + Send + 'static,
{
    FnTool::new(name, "Part of an example.", json!({"type": "object"}), move |_args, progress| work(progress))
}

/// What the models cost; nobody knows a price for the local one.
pub(crate) fn prices() -> Result<PriceTable, PriceError> {
    let small = Price::per_million(0.15, 0.6)?;
    let large = Price::per_million(2.5, 10.0)?.with_cache_read(1.25)?;
    Ok(PriceTable::new("USD")?.with_price("small-model", small).with_price("large-model", large))
}

fn cached_usage() -> Usage {
    Usage::new(1_000, 200).with_cached_tokens(900).with_reasoning_tokens(150)
}

fn rate_limited() -> ModelError {
    StatusError::new(429, "too many requests").with_retry_after(Duration::from_secs(1)).into()
}

fn overloaded() -> ModelError {
    StatusError::new(503, "overloaded").into()
}
