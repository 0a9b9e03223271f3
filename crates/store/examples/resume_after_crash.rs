//! `cargo run -p agent-runtime-store --example resume_after_crash`: prints what a process that was killed had stored, and how
//! the next one ends what it left open.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::{
    env,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use agent_runtime::{
    prelude::*,
    store::{Cursor, EventStore as _, Query, Recorder, recover},
    view::Tree,
};
use agent_runtime_store::SqliteStore;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if let Some(path) = env::args_os().nth(1).map(PathBuf::from) {
        return work_for_ever(&path).await;
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("events.db");
    let mut worker = Command::new(env::current_exe()?).arg(&path).stdout(Stdio::piped()).spawn()?;
    let said = worker.stdout.take().and_then(|out| BufReader::new(out).lines().next()).transpose()?;
    worker.kill()?;
    worker.wait()?;
    println!("killed a worker that said: {}", said.unwrap_or_default());

    let store = SqliteStore::open(&path).await?;
    println!("before recovery:\n{}", Tree::of(&events(&store).await?));
    for recovered in recover(&store).await? {
        println!("epoch {}: {} components ended as interrupted", recovered.epoch, recovered.interrupted);
    }
    println!("after recovery:\n{}", Tree::of(&events(&store).await?));
    println!("a second recovery finds {} epochs", recover(&store).await?.len());
    Ok(())
}

/// A worker whose tool never returns.
async fn work_for_ever(path: &Path) -> anyhow::Result<()> {
    let store = Arc::new(SqliteStore::open(path).await?);
    let runtime = Runtime::new();
    let recorder = Arc::new(Recorder::builder(store).start(runtime.event_stream()).await?);
    let tool = FnTool::new("endless", "Never returns.", json!({"type": "object"}), move |_, _| {
        let recorder = Arc::clone(&recorder);
        async move {
            recorder.flush().await;
            println!("my tool is running, and the store has it");
            std::future::pending().await
        }
    });
    let model = ScriptedModel::new("script").with_reply(ScriptedReply::tool_calls([("endless", json!({}))]));
    let workflow =
        Workflow::new("job").add_step(AgentStep::new(Agent::builder("worker", model).with_tool(tool).build()));
    runtime.execute(&workflow.build(), "go").await?;
    Ok(())
}

async fn events(store: &SqliteStore) -> anyhow::Result<Vec<Event>> {
    let page = store.read(Cursor::Beginning, &Query::default(), 1_000).await?;
    Ok(page.events.iter().map(|stored| Event::clone(&stored.event)).collect())
}
