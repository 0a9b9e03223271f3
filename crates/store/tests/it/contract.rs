//! Each engine does what every store has to.

use std::sync::Arc;

use agent_runtime::testing::assert_store_contract;
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

#[cfg(feature = "object-store")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_in_a_folder_keep_it() {
    use agent_runtime_store::SegmentStore;

    let folder = TempDir::new().unwrap();
    let path = |number: u32| folder.path().join(number.to_string());
    assert_store_contract(async |number| Arc::new(SegmentStore::open(path(number)).await.unwrap())).await;
}
