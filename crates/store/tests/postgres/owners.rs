//! Several writers at once, and owners that die.

use std::{
    env,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    sync::Arc,
};

use agent_runtime::{
    store::{Cursor, EpochState, EventStore as _, Follow, Query, StoreError, recover},
    stream::{Epoch, EventStream},
};
use agent_runtime_store::PostgresStore;
use tokio::{task::JoinSet, time::timeout};

use crate::server::{PATIENCE, Server, append, events, read_all, until};

/// Where a child finds the store.
const STORE: &str = "AGENT_RUNTIME_TEST_STORE";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_misses_nothing_of_many_that_write_at_once() {
    const WRITERS: usize = 6;
    const EVENTS: usize = 400;
    let Some(server) = Server::up("a_follower_misses_nothing_of_many_that_write_at_once") else { return };
    let mut writers = JoinSet::new();
    let mut follow = Follow::new(Arc::new(server.open().await), Cursor::Beginning, Query::default());
    for _ in 0..WRITERS {
        let store = server.open().await;
        writers.spawn(async move {
            let stream = EventStream::new();
            store.open_epoch(stream.epoch()).await.expect("it is new");
            for part in events(&stream, EVENTS).chunks(5) {
                append(&store, stream.epoch(), part).await.expect("it owns the epoch");
            }
        });
    }
    let mut followed = Vec::new();
    while followed.len() < WRITERS * EVENTS {
        followed.push(timeout(PATIENCE, follow.recv()).await.expect("it is woken").expect("the store can be read"));
    }
    while let Some(done) = writers.join_next().await {
        done.expect("no writer panics");
    }
    assert_eq!(followed, read_all(&server.open().await).await, "what was followed is what is stored, in its order");
}

/// The child: opens an epoch, stores, and stays.
#[tokio::test]
#[ignore = "run by its parent, which kills it"]
async fn child_stores_and_stays() {
    let store = PostgresStore::open(env::var(STORE).expect("its parent sets it")).await.unwrap();
    let stream = EventStream::new();
    store.open_epoch(stream.epoch()).await.unwrap();
    append(&store, stream.epoch(), &events(&stream, 7)).await.unwrap();
    println!("\nstored {}", stream.epoch());
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_owner_is_known_at_once_and_recovered() {
    let Some(server) = Server::up("a_killed_owner_is_known_at_once_and_recovered") else { return };
    let mut child = Command::new(env::current_exe().expect("the test is set up"))
        .args(["--exact", "owners::child_stores_and_stays", "--ignored", "--nocapture"])
        .env(STORE, server.url())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a test binary can be run again");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
    let stored = lines.find_map(|line| line.strip_prefix("stored ").map(str::to_owned)).expect("it stores");
    let epoch: Epoch = stored.parse().expect("it is the name of an epoch");
    let store = server.open().await;
    until(&store, epoch, EpochState::Open).await;
    assert!(!store.adopt_epoch(epoch).await.unwrap(), "its owner is alive");
    assert_eq!(recover(&store).await.unwrap(), []);
    child.kill().expect("it runs");
    child.wait().expect("it was killed");
    until(&store, epoch, EpochState::Abandoned).await;
    assert_eq!(recover(&store).await.unwrap().len(), 1);
    assert_eq!(read_all(&store).await.len(), 7);
    until(&store, epoch, EpochState::Closed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_whose_epoch_was_adopted_is_refused_when_it_comes_back() {
    let Some(server) = Server::up("an_owner_whose_epoch_was_adopted_is_refused_when_it_comes_back") else { return };
    let (first, other) = (server.open().await, server.open().await);
    let stream = EventStream::new();
    let (epoch, all) = (stream.epoch(), events(&stream, 20));
    first.open_epoch(epoch).await.unwrap();
    append(&first, epoch, &all[..10]).await.unwrap();
    // Its sessions are ended over and over, as a network that fails does, until the other one is quicker than it.
    let (admin, connection) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let end = "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN agent_runtime.epochs e \
               ON l.objid = (e.owner_lock & 4294967295)::oid WHERE l.locktype = 'advisory'";
    let adopted = async {
        loop {
            admin.simple_query(end).await.unwrap();
            if other.adopt_epoch(epoch).await.unwrap() {
                return;
            }
        }
    };
    timeout(PATIENCE, adopted).await.expect("the other is quicker now and again");
    append(&other, epoch, &all[10..15]).await.unwrap();
    for _ in 0..2 {
        let refused = loop {
            match append(&first, epoch, &all[10..]).await {
                Err(error) if error.is_retryable() => {}
                done => break done,
            }
        };
        assert!(matches!(refused, Err(StoreError::NotOwner { epoch: of, .. }) if of == epoch), "{refused:?}");
    }
    assert!(!first.adopt_epoch(epoch).await.unwrap(), "the other one is alive");
    append(&other, epoch, &all[15..]).await.unwrap();
    assert_eq!(read_all(&other).await.len(), 20);
}
