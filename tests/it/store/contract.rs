//! The reference store does what every store has to.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use agent_runtime::{
    store::{Batch, Cursor, EpochState, EventStore as _, MemoryStore, Query},
    stream::Epoch,
    testing::assert_store_contract,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_store_keeps_the_contract() {
    let stores = Mutex::new(HashMap::<u32, MemoryStore>::new());
    assert_store_contract(async |number| Arc::new(stores.lock().unwrap().entry(number).or_default().reopen())).await;
}

#[tokio::test]
async fn an_owner_that_is_gone_is_known_at_once() {
    let store = MemoryStore::new();
    let (owner, epoch) = (store.reopen(), Epoch::new());
    owner.open_epoch(epoch).await.unwrap();
    assert_eq!(store.epochs().await.unwrap()[0].state, EpochState::Open);
    drop(owner);
    assert_eq!(store.epochs().await.unwrap()[0].state, EpochState::Abandoned);
}

#[tokio::test]
async fn a_memory_store_keeps_no_more_than_its_capacity() {
    let store = MemoryStore::with_capacity(3);
    let epoch = Epoch::new();
    store.open_epoch(epoch).await.unwrap();
    let stream = agent_runtime::prelude::EventStream::new();
    let mut batch = Batch::new(epoch);
    for _ in 0..10 {
        let event = agent_runtime::prelude::Event::tool_started("t", None, None, serde_json::json!({}));
        batch.push(stream.append(event).unwrap()).unwrap();
    }
    store.append(&batch).await.unwrap();
    let page = store.read(Cursor::Beginning, &Query::default(), 100).await.unwrap();
    assert_eq!(page.events.iter().map(|stored| stored.position.offset).collect::<Vec<_>>(), [7, 8, 9]);
}
