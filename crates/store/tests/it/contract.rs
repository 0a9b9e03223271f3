//! Each engine does what every store has to.

use std::sync::Arc;

use agent_runtime::{
    store::{EpochState, EventStore},
    stream::Epoch,
    testing::assert_store_contract,
};
use agent_runtime_store::{Durability, SqliteStore};
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_the_contract() {
    let folder = TempDir::new().unwrap();
    let path = |number| folder.path().join(format!("{number}.db"));
    assert_store_contract(async |number| Arc::new(SqliteStore::open(path(number)).await.unwrap())).await;
}

#[tokio::test]
async fn sqlite_keeps_it_on_one_thread_and_with_fsync_too() {
    let folder = TempDir::new().unwrap();
    let path = |number| folder.path().join(format!("{number}.db"));
    let open = async |number| {
        let builder = SqliteStore::builder(path(number)).with_durability(Durability::Machine);
        Arc::new(builder.open().await.unwrap())
    };
    assert_store_contract(open).await;
}

/// Of two handles in one process, which no server stands between.
async fn assert_known_at_once(owner: impl EventStore, other: impl EventStore) {
    let epoch = Epoch::new();
    owner.open_epoch(epoch).await.expect("it is new");
    assert_eq!(other.epochs().await.expect("they can be read")[0].state, EpochState::Open);
    drop(owner);
    assert_eq!(other.epochs().await.expect("they can be read")[0].state, EpochState::Abandoned);
}

#[tokio::test]
async fn an_owner_that_is_gone_is_known_at_once() {
    let folder = TempDir::new().unwrap();
    let open = async || SqliteStore::open(folder.path().join("events.db")).await.unwrap();
    assert_known_at_once(open().await, open().await).await;
    #[cfg(feature = "object-store")]
    {
        let open = async || agent_runtime_store::SegmentStore::open(folder.path().join("archive")).await.unwrap();
        assert_known_at_once(open().await, open().await).await;
    }
}

#[cfg(feature = "object-store")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_in_a_folder_keep_it() {
    use agent_runtime_store::SegmentStore;

    let folder = TempDir::new().unwrap();
    let path = |number: u32| folder.path().join(number.to_string());
    assert_store_contract(async |number| Arc::new(SegmentStore::open(path(number)).await.unwrap())).await;
}
