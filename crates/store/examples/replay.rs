//! `cargo run -p agent-runtime-store --example replay`: prints a stored run again as it happened, and its spans, twice the same.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::{sync::Arc, time::Duration};

use agent_runtime::{
    prelude::*,
    store::{Recorder, Replay, Speed},
    testing::Recording,
};
use agent_runtime_store::SqliteStore;
use tracing::instrument::WithSubscriber as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let store = Arc::new(SqliteStore::open(folder.path().join("events.db")).await?);
    let live = Recording::new();
    record(store.clone(), &live).await?;

    println!("the show again, five times as slow:");
    let replay = Replay::of(store.clone()).with_speed(Speed::times(0.2));
    let report = replay
        .run(|stored| {
            let event = &stored.event;
            println!("{} {:9} {}", event.timestamp.format("%H:%M:%S%.3f"), event.event_type, event.component_id);
        })
        .await?;
    println!("{} events", report.events);

    // In place of the recording, `SpanMapper::new(provider.tracer(..))` with the provider of an exporter.
    let again = Recording::new();
    Replay::of(store).run(|stored| drop(again.mapper().observe(&stored.event))).await?;
    println!("the trace again:\n{}", again.span_tree(&[]));
    let ids = |recording: &Recording| -> Vec<_> {
        recording.spans().into_vec().iter().map(|span| span.span_context.span_id()).collect()
    };
    println!("the same span ids: {}", ids(&again) == ids(&live));
    Ok(())
}

async fn record(store: Arc<SqliteStore>, live: &Recording) -> anyhow::Result<()> {
    let runtime = Runtime::new();
    let recorder = Recorder::builder(store).start(runtime.event_stream()).await?;
    let reply = ScriptedReply::text("one two three four").with_delay(Duration::from_millis(20));
    let agent = Agent::builder("writer", ScriptedModel::new("script").with_reply(reply)).build();
    let workflow = Workflow::new("story").add_step(AgentStep::new(agent)).build();
    runtime.execute(&workflow, "go").with_subscriber(live.dispatch()).await?;
    anyhow::ensure!(recorder.stop().await.is_complete(), "not everything was stored");
    Ok(())
}
