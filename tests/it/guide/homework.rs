//! A workflow that does a bit of everything: a request that is turned away and sent again, a tool that reports progress, one
//! that fails, and an answer that comes in pieces.

use std::{sync::Arc, time::Duration};

use agent_runtime::{event::Usage, llm::StatusError, prelude::*};

/// What is asked.
pub(super) const QUESTION: &str = "What is 42 times 137?";

/// The pieces of the answer.
pub(super) const CHUNKS: [&str; 3] = ["42 × 137", " is ", "5754."];

/// How many events a run has.
pub(super) const EVENTS: usize = 21;

/// The workflow, with a pause before each piece of an answer.
pub(super) fn slow_homework(pause: Duration) -> Workflow {
    let calculator =
        FnTool::new("calculator", "Multiplies.", json!({"type": "object"}), async |args: JsonValue, progress| {
            progress("carrying the one".to_owned(), Some(1));
            let product = args["a"].as_i64().zip(args["b"].as_i64()).map(|(a, b)| a * b);
            Ok(json!(product.ok_or("`a` and `b` must be whole numbers")?))
        });
    let search = FnTool::new("search", "Searches the web.", json!({"type": "object"}), async |_args, _progress| {
        Err(ToolError::with_code("no network", "offline").into())
    });
    let calls = [("calculator", json!({"a": 42, "b": 137})), ("search", json!({"query": "products"}))];
    let busy = || StatusError::new(429, "Slow down.").with_retry_after(Duration::ZERO).into();
    let model = ScriptedModel::new("gpt-4")
        .with_reply(ScriptedReply::error(busy))
        .with_reply(ScriptedReply::tool_calls(calls).with_usage(Usage::new(100, 20)).with_delay(pause))
        .with_reply(ScriptedReply::default().with_chunks(CHUNKS).with_usage(Usage::new(120, 80)).with_delay(pause));
    let pupil = Agent::builder("pupil", Arc::new(model))
        .with_system_prompt("You do homework.")
        .with_tool(calculator)
        .with_tool(search)
        .build();
    Workflow::new("homework").add_step(AgentStep::new(pupil).with_name("solve")).build()
}

pub(super) fn homework() -> Workflow {
    slow_homework(Duration::ZERO)
}

/// The channel of a run that is over, with all of its events in it.
pub(super) async fn done_to_a_channel() -> mpsc::Receiver<Event> {
    let (tx, rx) = mpsc::channel(100);
    homework().execute(QUESTION, &tx).await.expect("the homework is done");
    rx
}

/// Runs the workflow on a stream.
pub(super) async fn do_on(stream: &EventStream) -> RunOutput {
    let runtime = Runtime::with_event_stream(stream.clone());
    runtime.execute(&homework(), QUESTION).await.expect("the homework is done")
}
