//! `cargo run -p agent-runtime-store --example durable`: prints a run that was read back from a file, as a tree.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use agent_runtime::{
    prelude::*,
    store::{Cursor, EventStore as _, Query, Recorder, Retention},
    view::Tree,
};
use agent_runtime_store::SqliteStore;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("events.db");

    let store = Arc::new(SqliteStore::open(&path).await?);
    let runtime = Runtime::new();
    let recorder = Recorder::builder(store)
        // Without this, what was asked and answered stays in the process.
        .with_content(true)
        .with_retention(Retention::default().with_max_events(1_000_000))
        .start(runtime.event_stream())
        .await?;
    runtime.execute(&greeting(), "Hi!").await?;
    let report = recorder.stop().await;
    println!("stored {} events in {}, complete: {}", report.stored(), path.display(), report.is_complete());

    // As a later process would.
    let later = SqliteStore::open(&path).await?;
    let page = later.read(Cursor::Beginning, &Query::default(), 1_000).await?;
    let last = page.events.last().map(|stored| stored.position.to_string()).unwrap_or_default();
    let events: Vec<_> = page.events.iter().map(|stored| Event::clone(&stored.event)).collect();
    println!("{}", Tree::of(&events));
    println!("the next reader goes on behind {last}");
    Ok(())
}

fn greeting() -> Workflow {
    let model = ScriptedModel::new("script").with_reply(ScriptedReply::text("Hello there"));
    Workflow::new("greeting").add_step(AgentStep::new(Agent::builder("greeter", model).build())).build()
}
