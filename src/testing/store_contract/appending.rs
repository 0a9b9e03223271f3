//! What is stored, and what is refused.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::fixture::{Stores, at, batch, events, filled, read_all};
use crate::{
    event::Event,
    store::{Batch, EventStore, GapReason, Position, StoreError},
    stream::Epoch,
};

pub(super) async fn check<F: AsyncFn(u32) -> Arc<dyn EventStore>>(stores: &Stores<F>) {
    events_come_back_as_they_were(&*stores.empty().await).await;
    extreme_values_come_back_too(&*stores.empty().await).await;
    a_batch_may_be_appended_again(&*stores.empty().await).await;
    a_position_is_never_taken_twice(&*stores.empty().await).await;
    gaps_are_named(&*stores.empty().await).await;
}

async fn events_come_back_as_they_were(store: &dyn EventStore) {
    assert_eq!(store.latest().await.expect("an empty store has no latest event"), None);
    assert_eq!(read_all(store).await, []);
    let events = events(0..50);
    let epoch = filled(store, &events).await;
    assert_eq!(read_all(store).await, at(epoch, &events));
    assert_eq!(store.latest().await.expect("it can be read"), Some(Position::new(epoch, 49)));
}

async fn extreme_values_come_back_too(store: &dyn EventStore) {
    let times = [DateTime::<Utc>::MIN_UTC, DateTime::UNIX_EPOCH, DateTime::<Utc>::MAX_UTC];
    let mut extreme = Vec::new();
    for (time, offset) in times.into_iter().zip([0, 1 << 33, 1 << 62]) {
        let mut event = Event::clone(&events(0..1)[0]);
        (event.timestamp, event.offset) = (time, Some(offset));
        event.message = Some("☃".repeat(50_000));
        extreme.push(Arc::new(event));
    }
    let epoch = filled(store, &extreme).await;
    assert_eq!(read_all(store).await, at(epoch, &extreme));
}

async fn a_batch_may_be_appended_again(store: &dyn EventStore) {
    let events = events(0..20);
    let epoch = filled(store, &events[..10]).await;
    store.append(&batch(epoch, &events[..10])).await.expect("it is stored already");
    store.append(&batch(epoch, &events[5..])).await.expect("a part of it is stored already");
    assert_eq!(read_all(store).await, at(epoch, &events));
    store.append(&Batch::new(epoch)).await.expect("an empty batch changes nothing");
    assert_eq!(read_all(store).await.len(), 20);
}

async fn a_position_is_never_taken_twice(store: &dyn EventStore) {
    let first: Vec<_> = events(0..10).into_iter().filter(|event| event.offset != Some(4)).collect();
    let epoch = filled(store, &first).await;
    let others = events(3..12);
    for (events, conflict) in [(&others[..1], 3), (&others[1..2], 4), (&others[..], 3)] {
        let refused = store.append(&batch(epoch, events)).await.expect_err("another event is there, or one behind it");
        let position = Position::new(epoch, conflict);
        assert!(
            matches!(refused, StoreError::Conflict { position: at, .. } if at == position),
            "{refused} is not a conflict at {position}"
        );
    }
    assert_eq!(read_all(store).await, at(epoch, &first), "nothing of a refused batch is stored");
}

async fn gaps_are_named(store: &dyn EventStore) {
    let epoch = filled(store, &events(0..1)).await;
    let mut with_gap = Batch::new(epoch);
    with_gap.push_gap(7..9, GapReason::Overrun);
    with_gap.push(Arc::clone(&events(9..10)[0])).expect("it is in order");
    with_gap.push_gap(1..5, GapReason::Interrupted);
    for _ in 0..2 {
        store.append(&with_gap).await.expect("a batch with gaps is stored");
    }
    let gaps = store.gaps(epoch).await.expect("the epoch is known");
    let found: Vec<_> = gaps.into_iter().map(|gap| (gap.epoch, gap.offsets, gap.reason)).collect();
    assert_eq!(found, [(epoch, 1..5, GapReason::Interrupted), (epoch, 7..9, GapReason::Overrun)]);
    let unknown = Epoch::new();
    let refused = store.gaps(unknown).await.expect_err("an epoch that was never opened is unknown");
    assert!(matches!(refused, StoreError::UnknownEpoch { epoch } if epoch == unknown), "{refused}");
}
