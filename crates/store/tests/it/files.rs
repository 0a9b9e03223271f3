//! The files: whose they are, and which are no stores of ours.

use std::{fs, path::Path, sync::Arc};

use agent_runtime::{
    prelude::*,
    store::{Recorder, StoreError},
};
use agent_runtime_store::SqliteStore;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::support::{closed_store, read_all};

#[cfg(unix)]
fn modes(folder: &Path) -> Vec<(String, u32)> {
    use std::os::unix::fs::PermissionsExt as _;

    let entries = fs::read_dir(folder).expect("the test is set up").map(Result::unwrap);
    let mode = |entry: fs::DirEntry| {
        let mode = entry.metadata().expect("the test is set up").permissions().mode() & 0o777;
        (entry.file_name().to_string_lossy().into_owned(), mode)
    };
    let mut modes: Vec<_> = entries.map(mode).collect();
    modes.sort();
    modes
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = TempDir::new().unwrap();
    let path = folder.path().join("events.db");
    // One that was open to all is taken back.
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let store = Arc::new(SqliteStore::open(&path).await.unwrap());
    let runtime = Runtime::new();
    let recorder = Recorder::builder(store.clone()).start(runtime.event_stream()).await.unwrap();
    runtime.execute(&Workflow::new("empty").build(), "input").await.unwrap();
    assert!(recorder.stop().await.is_complete());
    let found = modes(folder.path());
    let named = |name: &str, mode| (name.to_owned(), mode);
    let expected =
        [("events.db", 0o600), ("events.db-owners", 0o700), ("events.db-shm", 0o600), ("events.db-wal", 0o600)];
    assert_eq!(found, expected.map(|(name, mode)| named(name, mode)));
    assert!(modes(&folder.path().join("events.db-owners")).iter().all(|(_, mode)| *mode == 0o600));
}

#[tokio::test]
async fn a_store_is_the_same_after_it_was_closed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("events.db");
    let stored = closed_store(&path, 300).await;
    let again = SqliteStore::open(&path).await.unwrap();
    assert_eq!(read_all(&again).await.unwrap(), stored);
    let verified = again.verify().await.unwrap();
    assert_eq!((verified.events, verified.is_whole()), (300, true));
    assert_eq!(again.path(), path);
}

#[tokio::test]
async fn what_is_no_store_of_this_version_is_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let other = Connection::open(path("other.db")).unwrap();
    other.execute_batch("CREATE TABLE theirs (id INTEGER)").unwrap();
    drop(other);
    closed_store(&path("later.db"), 3).await;
    let later = Connection::open(path("later.db")).unwrap();
    later.pragma_update(None, "user_version", 1_000).unwrap();
    drop(later);
    fs::write(path("text.db"), "no database at all ".repeat(100)).unwrap();
    for (name, says) in
        [("other.db", "another program's"), ("later.db", "version 1000"), ("text.db", "SqliteStore::repair")]
    {
        let before = fs::read(path(name)).unwrap();
        let error = SqliteStore::open(path(name)).await.unwrap_err();
        assert!(error.to_string().contains(says), "{name}: {error}");
        assert!(!error.is_retryable(), "{name}");
        assert!(fs::read(path(name)).unwrap() == before, "{name} was changed");
    }
    let missing = SqliteStore::open(path("no such folder/events.db")).await.unwrap_err();
    assert!(matches!(missing, StoreError::Unavailable { .. }), "{missing}");
    for name in ["other.db", "text.db"] {
        let before = fs::read(path(name)).unwrap();
        let refused = SqliteStore::repair(path(name)).await.unwrap_err();
        assert!(refused.to_string().contains("another program's"), "{refused}");
        assert!(fs::read(path(name)).unwrap() == before, "{name} was changed");
    }
}

#[test]
fn outside_a_runtime_opening_is_an_error_and_no_panic() {
    let folder = TempDir::new().unwrap();
    let opening = SqliteStore::open(folder.path().join("events.db"));
    let opened = futures_util::FutureExt::now_or_never(opening);
    assert!(matches!(opened, Some(Err(StoreError::NoRuntime))));
}

#[tokio::test]
async fn a_store_that_is_open_is_not_repaired() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("events.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let refused = SqliteStore::repair(&path).await.unwrap_err();
    assert!(refused.to_string().contains("stop it first"), "{refused}");
    drop(store);
    assert_eq!(SqliteStore::repair(&path).await.unwrap().events, 0);
}
