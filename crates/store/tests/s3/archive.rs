//! What an archive has to do, on a server.

use std::{fs, sync::Arc};

use agent_runtime::{
    event::Event,
    prelude::json,
    store::{Batch, Cursor, EventStore as _, Query, StoreError, StoredEvent},
    stream::EventStream,
    testing::assert_store_contract,
};
use agent_runtime_store::SegmentStore;

use crate::server::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_in_a_bucket_keeps_the_contract() {
    let Some(server) = Server::up("an_archive_in_a_bucket_keeps_the_contract") else { return };
    assert_store_contract(async |number: u32| {
        Arc::new(server.archive(&format!("stores/{number}")).open().await.expect("the server takes the key"))
    })
    .await;
}

async fn read_all(store: &SegmentStore) -> Vec<StoredEvent> {
    let page = store.read(Cursor::Beginning, &Query::default(), 1_000).await.expect("the archive can be read");
    assert!(page.is_last);
    page.events
}

async fn write(store: &SegmentStore, count: usize) {
    let stream = EventStream::new();
    store.open_epoch(stream.epoch()).await.expect("it is new");
    for index in 0..count {
        let event = Event::llm_progress("agent:llm:0", None, None, None, json!({ "chunk": format!("piece {index}") }));
        let mut batch = Batch::new(stream.epoch());
        batch.push(stream.append(event).expect("it is valid")).expect("it is numbered");
        store.append(&batch).await.expect("it owns the epoch");
    }
    store.close_epoch(stream.epoch()).await.expect("it owns the epoch");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_that_race_for_a_number_lose_nothing() {
    let Some(server) = Server::up("writers_that_race_for_a_number_lose_nothing") else { return };
    let writers = [(); 3].map(|()| {
        let archive = server.archive("raced/for");
        tokio::spawn(async move {
            let store = archive.open().await.expect("the server takes the key");
            write(&store, 30).await;
            store
        })
    });
    let mut seen = Vec::new();
    for writer in writers {
        let store = writer.await.expect("a writer ends");
        let stored = read_all(&store).await;
        assert!(stored.starts_with(&seen), "what was in order is in another one");
        seen = stored;
    }
    let store = server.archive("raced/for").open().await.expect("the server takes the key");
    assert_eq!(read_all(&store).await.len(), 90);
    let verified = store.verify().await.expect("the server answers");
    assert!(verified.is_whole() && verified.events == 90, "{verified:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_object_in_a_bucket_is_repaired() {
    let Some(server) = Server::up("a_damaged_object_in_a_bucket_is_repaired") else { return };
    let store = server.archive("damaged").open().await.expect("the server takes the key");
    write(&store, 5).await;
    let stored = read_all(&store).await;
    drop(store);
    // The third event: the first segment says nothing, the second opens the epoch.
    fs::write(server.file("damaged/log/00000000000000000004.jsonl.zst"), "no segment").expect("the server keeps files");
    let refused = server.archive("damaged").open().await.expect_err("a header cannot be read");
    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
    let repaired = server.archive("damaged").repair().await.expect("nobody has it open");
    assert_eq!((repaired.events, &repaired.segments), (4, &vec![4]), "{repaired:?}");
    let lost: Vec<_> = repaired.lost.iter().map(|gap| (gap.offsets.start, gap.offsets.end)).collect();
    assert_eq!(lost, [(2, 3)]);
    let left = read_all(&server.archive("damaged").open().await.expect("it is whole")).await;
    assert_eq!(left, [&stored[..2], &stored[3..]].concat());
}

#[tokio::test]
async fn a_wrong_key_is_an_error_that_says_so() {
    let Some(server) = Server::up("a_wrong_key_is_an_error_that_says_so") else { return };
    let opened = server.archive("x").with_option("aws_secret_access_key", "another").open().await;
    let error = opened.expect_err("the server knows another key");
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    let error = server.archive("x").with_option("no_such_option", "1").open().await.expect_err("nobody knows it");
    assert!(matches!(error, StoreError::Incompatible { .. }), "{error}");
}
