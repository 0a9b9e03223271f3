//! A store read while it is written.

use std::sync::Arc;

use futures_util::future::join;
use tokio::{task::yield_now, time::timeout};

use super::fixture::{PATIENCE, Stores, at, batch, events, filled};
use crate::store::{Cursor, EventStore, Follow, Position, Query};

pub(super) async fn check<F: AsyncFn(u32) -> Arc<dyn EventStore>>(stores: &Stores<F>) {
    a_follower_gets_each_event_once_while_another_handle_writes(stores.two().await).await;
    a_follower_from_now_gets_what_comes(stores.two().await).await;
    what_is_there_is_not_waited_for(stores.two().await).await;
}

type Two = (Arc<dyn EventStore>, Arc<dyn EventStore>);

async fn a_follower_gets_each_event_once_while_another_handle_writes((reader, writer): Two) {
    let all = events(0..600);
    let epoch = filled(&*writer, &all[..100]).await;
    let write = async {
        for part in all[100..].chunks(7) {
            writer.append(&batch(epoch, part)).await.expect("it owns the epoch");
            yield_now().await;
        }
    };
    let mut follow = Follow::new(reader, Cursor::Beginning, Query::default());
    let read = async {
        let mut read = Vec::new();
        while read.len() < all.len() {
            read.push(follow.recv().await.expect("the store can be read"));
        }
        read
    };
    let (read, ()) = timeout(PATIENCE, join(read, write)).await.expect("a follower is woken");
    assert_eq!(read, at(epoch, &all));
    assert_eq!(follow.cursor(), Cursor::After(Position::new(epoch, 599)));
}

async fn a_follower_from_now_gets_what_comes((reader, writer): Two) {
    let all = events(0..20);
    let epoch = filled(&*writer, &all[..10]).await;
    let query = Query::default().with_component("flow");
    let mut follow = Follow::from_now(reader, query.clone()).await.expect("the store can be read");
    let write = async { writer.append(&batch(epoch, &all[10..])).await.expect("it owns the epoch") };
    let (first, ()) = timeout(PATIENCE, join(follow.recv(), write)).await.expect("a follower is woken");
    let expected = at(epoch, &all[10..]).into_iter().find(|stored| query.passes(stored));
    assert_eq!(Some(first.expect("the store can be read")), expected);
}

async fn what_is_there_is_not_waited_for((reader, writer): Two) {
    let epoch = filled(&*writer, &events(0..2)).await;
    for cursor in [Cursor::Beginning, Cursor::After(Position::new(epoch, 0))] {
        timeout(PATIENCE, reader.changed(cursor)).await.expect("it is there").expect("the store can be read");
    }
}
