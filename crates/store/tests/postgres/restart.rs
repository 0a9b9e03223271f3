//! The server is killed, and starts again.

use std::sync::Arc;

use agent_runtime::{
    store::{Cursor, EpochState, EventStore as _, Follow, Position, Query, StoreError},
    stream::EventStream,
};
use tokio::time::timeout;

use crate::server::{PATIENCE, Server, append, events, or_later, read_all, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn what_was_acknowledged_outlives_a_killed_server_and_the_owner_goes_on() {
    let Some(server) = Server::up("what_was_acknowledged_outlives_a_killed_server_and_the_owner_goes_on") else {
        return;
    };
    let (writer, reader) = (server.open().await, Arc::new(server.open().await));
    let stream = EventStream::new();
    let (epoch, all) = (stream.epoch(), events(&stream, 3_000));
    writer.open_epoch(epoch).await.unwrap();
    let follower = reader.clone();
    // A follower across it all.
    let followed = tokio::spawn(async move {
        let mut follow = Follow::new(follower, Cursor::Beginning, Query::default());
        let mut positions: Vec<Position> = Vec::new();
        while positions.len() < 3_000 {
            positions.extend(or_later(follow.recv().await).await.map(|stored| stored.position));
        }
        positions
    });
    let mut parts = all.chunks(10);
    for part in parts.by_ref().take(50) {
        append(&writer, epoch, part).await.unwrap();
    }
    // Killed between batches and, by the other tasks, in the middle of some.
    let writing = tokio::spawn({
        let (writer, parts) = (writer.clone(), parts.map(<[_]>::to_vec).collect::<Vec<_>>());
        async move {
            for part in &parts {
                while or_later(append(&writer, epoch, part).await).await.is_none() {}
            }
        }
    });
    tokio::task::block_in_place(|| server.part("kill"));
    let refused = reader.latest().await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused}");
    assert!(refused.to_string().contains("look whether the server runs"), "{refused}");
    assert!(!format!("{refused:?}").contains("of-the-tests"), "{refused:?}");
    tokio::task::block_in_place(|| server.part("start"));
    timeout(PATIENCE * 2, writing).await.expect("the writer goes on").expect("it does not panic");
    until(&*reader, epoch, EpochState::Open).await;
    let stored: Vec<_> = read_all(&*reader).await.iter().map(|stored| stored.position).collect();
    assert_eq!(stored, Vec::from_iter((0..3_000).map(|offset| Position::new(epoch, offset))));
    assert_eq!(timeout(PATIENCE, followed).await.expect("a follower goes on").unwrap(), stored);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_without_work_comes_back_by_itself() {
    let Some(server) = Server::up("an_owner_without_work_comes_back_by_itself") else { return };
    let (owner, other) = (server.open().await, server.open().await);
    let stream = EventStream::new();
    owner.open_epoch(stream.epoch()).await.unwrap();
    tokio::task::block_in_place(|| {
        server.part("stop");
        server.part("start");
    });
    until(&other, stream.epoch(), EpochState::Open).await;
    append(&owner, stream.epoch(), &events(&stream, 3)).await.expect("it has come back");
}
