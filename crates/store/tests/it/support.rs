//! Events in stores.

use std::{path::Path, sync::Arc, time::Duration};

use agent_runtime::{
    event::Event,
    prelude::json,
    store::{EventStore as _, StoredEvent},
    stream::EventStream,
};
use agent_runtime_store::SqliteStore;
use rusqlite::Connection;

pub(crate) use crate::events::{append, read_all};

/// Events as a stream has numbered them.
pub(crate) fn events(stream: &EventStream, count: usize) -> Vec<Arc<Event>> {
    let run = |index: usize| Some(format!("run-{}", index / 40));
    let event = |index: usize| {
        let data = json!({ "chunk": format!("piece {index} ").repeat(1 + index % 50) });
        let event = Event::llm_progress(format!("agent:llm:{}", index % 5), None, run(index), None, data);
        stream.append(event).expect("the test is set up")
    };
    (0..count).map(event).collect()
}

/// Makes a store of some epochs, closes it and returns what is in it.
pub(crate) async fn closed_store(path: &Path, count: usize) -> Vec<StoredEvent> {
    let store = SqliteStore::open(path).await.expect("the test is set up");
    for _ in 0..3 {
        let stream = EventStream::new();
        store.open_epoch(stream.epoch()).await.expect("the test is set up");
        for part in events(&stream, count / 3).chunks(37) {
            append(&store, stream.epoch(), part).await.expect("the test is set up");
        }
        store.close_epoch(stream.epoch()).await.expect("the test is set up");
    }
    let all = read_all(&store).await.expect("the test is set up");
    drop(store);
    // Its threads end when they have nothing more to do; the last connection removes what SQLite writes beside the file.
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    while Path::new(&log).exists() {
        tokio::time::sleep(Duration::from_millis(1)).await;
        // Two that close at once each take the other for the last one.
        drop(Connection::open(path).and_then(|last| last.pragma_query_value(None, "schema_version", |_| Ok(()))));
    }
    all
}
