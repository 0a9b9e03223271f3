//! What a store lets go of.

use std::{sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};

use super::fixture::{Stores, batch, events, filled, read_all, read_from};
use crate::{
    event::Event,
    store::{Cursor, EventStore, Position, Query, Retention},
};

pub(super) async fn check<F: AsyncFn(u32) -> Arc<dyn EventStore>>(stores: &Stores<F>) {
    the_oldest_go_first(&*stores.empty().await).await;
    old_ones_go(&*stores.empty().await).await;
    large_ones_go(&*stores.empty().await).await;
    a_store_that_is_empty_again_goes_on(&*stores.empty().await).await;
}

async fn offsets(store: &dyn EventStore) -> Vec<u64> {
    read_all(store).await.iter().map(|stored| stored.position.offset).collect()
}

async fn trim(store: &dyn EventStore, retention: Retention) -> u64 {
    store.trim(&retention).await.expect("the store can be trimmed").events
}

async fn the_oldest_go_first(store: &dyn EventStore) {
    let epoch = filled(store, &events(0..50)).await;
    assert_eq!(trim(store, Retention::default()).await, 0);
    assert_eq!(trim(store, Retention::default().with_max_events(50)).await, 0);
    assert_eq!(trim(store, Retention::default().with_max_events(20)).await, 30);
    assert_eq!(offsets(store).await, Vec::from_iter(30..50));
    for gone in [0, 29] {
        let rest = read_from(store, Cursor::After(Position::new(epoch, gone)), &Query::default()).await;
        assert_eq!(rest.len(), 20, "a reader whose place is gone goes on with the oldest event kept");
    }
}

async fn old_ones_go(store: &dyn EventStore) {
    let aged = |event: &Arc<Event>| {
        let age = TimeDelta::hours(if event.offset < Some(6) { 3 } else { 1 });
        Arc::new(Event { timestamp: Utc::now() - age, ..Event::clone(event) })
    };
    filled(store, &events(0..10).iter().map(aged).collect::<Vec<_>>()).await;
    assert_eq!(trim(store, Retention::default().with_max_age(Duration::from_secs(2 * 60 * 60))).await, 6);
    assert_eq!(offsets(store).await, Vec::from_iter(6..10));
    assert_eq!(trim(store, Retention::default().with_max_age(Duration::MAX)).await, 0);
}

async fn large_ones_go(store: &dyn EventStore) {
    let large = |event: &Arc<Event>| Arc::new(Event { message: Some("x".repeat(10_000)), ..Event::clone(event) });
    filled(store, &events(0..400).iter().map(large).collect::<Vec<_>>()).await;
    let bound = Retention::default().with_max_bytes(2_000_000);
    let trimmed = trim(store, bound).await;
    assert!((200..=399).contains(&trimmed), "{trimmed} events of 400 × 10 kB went to keep 2 MB");
    assert_eq!(offsets(store).await, Vec::from_iter(trimmed..400));
    assert_eq!(trim(store, bound).await, 0, "the bound holds already");
}

async fn a_store_that_is_empty_again_goes_on(store: &dyn EventStore) {
    let all = events(0..30);
    let epoch = filled(store, &all[..20]).await;
    assert_eq!(trim(store, Retention::default().with_max_events(0)).await, 20);
    assert_eq!(store.latest().await.expect("it can be read"), None);
    store.append(&batch(epoch, &all[..20])).await.expect("they were stored before");
    assert_eq!(offsets(store).await, [0; 0], "what was let go of does not come back");
    store.append(&batch(epoch, &all[20..])).await.expect("it owns the epoch");
    assert_eq!(offsets(store).await, Vec::from_iter(20..30));
    let rest = read_from(store, Cursor::After(Position::new(epoch, 25)), &Query::default()).await;
    assert_eq!(rest.len(), 4);
}
