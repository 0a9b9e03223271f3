//! Run `cargo run --example watch`: one subscriber prints a line for each event of a run as it happens: when, what, and of which
//! component, the words of the answer a tenth of a second apart.
#![expect(clippy::print_stdout, reason = "this example is about what it prints")]

use std::time::Duration;

use agent_runtime::prelude::*;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let reply = ScriptedReply::text("One word after the other.").with_delay(Duration::from_millis(100));
    let writer = Agent::builder("writer", ScriptedModel::new("script").with_reply(reply)).build();
    let workflow = Workflow::new("letter").add_step(AgentStep::new(writer)).build();

    let (mut events, run) = Runtime::new().start(&workflow, "Write.");
    let run = tokio::spawn(run);
    while let Ok(event) = events.recv().await {
        let (time, kind) = (event.timestamp.format("%H:%M:%S%.3f"), event.event_type);
        println!("{time} {kind:<9} {} {}", event.component_id, event.message.unwrap_or_default());
    }
    println!("{}", run.await??.output);
    Ok(())
}
