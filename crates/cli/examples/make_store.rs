//! `cargo run -p agent-runtime-cli --example make_store events.db`: runs two scripted workflows into a store, to look at with
//! `agent-runtime --store events.db show`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::{sync::Arc, time::Duration};

use agent_runtime::{prelude::*, store::Recorder};
use agent_runtime_store::SqliteStore;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let path = std::env::args().nth(1).ok_or("name the file of the store")?;
    let store = Arc::new(SqliteStore::open(&path).await?);
    let runtime = Runtime::new();
    let recorder = Recorder::builder(store).with_content(true).start(runtime.event_stream()).await?;
    for question in ["How long does an otter live?", "How old is nobody?"] {
        runtime.execute(&research(), question).await?;
    }
    let report = recorder.stop().await;
    println!("stored {} events in {path}", report.stored());
    Ok(())
}

/// An agent that looks something up, and one that checks what it found.
fn research() -> Workflow {
    let look_up = FnTool::new("look_up", "Looks up.", json!({"type": "object"}), |arguments, progress| async move {
        progress("looking".to_owned(), Some(50));
        tokio::time::sleep(Duration::from_millis(120)).await;
        match arguments["of"].as_str() {
            Some("otter") => Ok(json!("10 to 16 years")),
            _ => Err("there is no page of nobody".into()),
        }
    });
    let model = Arc::new(ScriptedModel::answering(|request| {
        let asked_of = |name: &str| format!("{:?}", request.messages).contains(name);
        let of = if asked_of("otter") { "otter" } else { "nobody" };
        match request.messages.len() {
            0..3 => ScriptedReply::tool_calls([("look_up", json!({"of": of})), ("look_up", json!({"of": "otter"}))]),
            _ => ScriptedReply::text("It lives for ten to sixteen years, by what I found."),
        }
    }));
    let checked = Arc::new(ScriptedModel::answering(|_| ScriptedReply::text("That agrees with what I know.")));
    let checker = Agent::builder("checker", checked).build();
    Workflow::new("research")
        .add_step(AgentStep::new(Agent::builder("researcher", model).with_tool(look_up).build()))
        .add_step(AgentStep::new(checker))
        .build()
}
