//! Events kept beyond the process, and shown again from where they are kept.

use std::sync::Arc;

use agent_runtime::{
    prelude::*,
    store::{Cursor, EventStore, MemoryStore, Query, Recorder, Replay},
};

use super::homework::{EVENTS, do_on};
use crate::support::history;

#[tokio::test]
async fn a_run_is_kept_in_a_store_and_replayed_from_it() {
    let store = Arc::new(MemoryStore::new());
    let runtime = Runtime::new();
    let recorder = Recorder::builder(store.clone()).with_content(true).start(runtime.event_stream()).await;
    let recorder = recorder.expect("the store is open");
    let run = do_on(runtime.event_stream()).await;
    assert!(recorder.stop().await.is_complete());

    let failures = Query::default().with_status(ComponentStatus::Failed).with_workflow(run.workflow_id.as_str());
    let page = store.read(Cursor::Beginning, &failures, 10).await.expect("the store is open");
    let failed: Vec<_> = page.events.iter().map(|stored| stored.event.component_id.as_str()).collect();
    assert_eq!(failed, ["pupil:llm:0", "search:0"]);

    let replayed = EventStream::new();
    let mut rx = replayed.subscribe();
    Replay::of(store).into_stream(&replayed).await.expect("the store is open");
    drop(replayed);
    let mut again = Vec::new();
    while let Ok(event) = rx.recv().await {
        again.push((event.event_id, event.timestamp, event.data));
    }
    let before = history(&runtime).await.into_iter().map(|event| (event.event_id, event.timestamp, event.data));
    assert_eq!((again.len(), again), (EVENTS, before.collect()));
}
