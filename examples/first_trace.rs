//! Run `cargo run --example first_trace`: an agent with a scripted model runs, and what it did is drawn as a tree. These are the ten
//! lines of README.md.
#![expect(clippy::print_stdout, reason = "this example is about what it prints")]

use agent_runtime::{prelude::*, view::Tree};

#[tokio::main]
async fn main() -> Result<(), RunError> {
    let model = ScriptedModel::new("script").with_reply(ScriptedReply::text("Hello there"));
    let workflow = Workflow::new("greeting").add_step(AgentStep::new(Agent::builder("greeter", model).build())).build();
    let runtime = Runtime::new();
    runtime.execute(&workflow, "Hi!").await?;
    println!("{}", Tree::of(&runtime.event_stream().get_events(0).await));
    Ok(())
}
