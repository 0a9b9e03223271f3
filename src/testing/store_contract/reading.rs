//! Where a reader begins, and what it is shown.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta};

use super::fixture::{Stores, at, batch, events, filled, read_all, read_from};
use crate::{
    event::{ComponentStatus, EventScope, EventType},
    store::{Cursor, EventStore, Position, Query, StoreError},
    stream::Epoch,
};

pub(super) async fn check<F: AsyncFn(u32) -> Arc<dyn EventStore>>(stores: &Stores<F>) {
    epochs_stand_in_the_order_in_which_they_were_stored(stores.two().await).await;
    a_position_that_is_not_stored_still_has_a_place(stores.two().await).await;
    a_filter_lets_through_what_it_says(&*stores.empty().await).await;
    a_filter_does_not_hold_the_cursor(&*stores.empty().await).await;
}

type Two = (Arc<dyn EventStore>, Arc<dyn EventStore>);

async fn epochs_stand_in_the_order_in_which_they_were_stored((one, other): Two) {
    let (ours, theirs) = (events(0..30), events(0..30));
    let (our_epoch, their_epoch) = (filled(&*one, &ours[..10]).await, filled(&*other, &theirs[..10]).await);
    let mut expected = at(our_epoch, &ours[..10]);
    expected.extend(at(their_epoch, &theirs[..10]));
    for part in [10..20, 20..30] {
        other.append(&batch(their_epoch, &theirs[part.clone()])).await.expect("it owns the epoch");
        one.append(&batch(our_epoch, &ours[part.clone()])).await.expect("it owns the epoch");
        expected.extend(at(their_epoch, &theirs[part.clone()]));
        expected.extend(at(our_epoch, &ours[part]));
    }
    for store in [&*one, &*other] {
        assert_eq!(read_all(store).await, expected);
        for (index, stored) in expected.iter().enumerate() {
            let rest = read_from(store, Cursor::After(stored.position), &Query::default()).await;
            assert_eq!(rest, expected[index + 1..], "behind {}", stored.position);
        }
        assert_eq!(store.latest().await.expect("it can be read"), expected.last().map(|stored| stored.position));
    }
}

async fn a_position_that_is_not_stored_still_has_a_place((one, other): Two) {
    let ours: Vec<_> = events(5..20).into_iter().filter(|event| event.offset != Some(10)).collect();
    let theirs = filled(&*other, &events(0..3)).await;
    let epoch = filled(&*one, &ours).await;
    let offsets = async |from: Position| -> Vec<u64> {
        let stored = read_from(&*one, Cursor::After(from), &Query::default()).await;
        assert!(
            stored.iter().all(|stored| stored.position.epoch != theirs),
            "what lies in front of an epoch was shown"
        );
        stored.iter().map(|stored| stored.position.offset).collect()
    };
    assert_eq!(offsets(Position::new(epoch, 10)).await, Vec::from_iter(11..20));
    assert_eq!(offsets(Position::new(epoch, 2)).await.len(), ours.len(), "it begins with the epoch");
    assert_eq!(offsets(Position::new(epoch, 21)).await, [0; 0]);
    one.append(&batch(epoch, &events(20..24))).await.expect("it owns the epoch");
    assert_eq!(
        offsets(Position::new(epoch, 21)).await,
        [22, 23],
        "what a reader has seen elsewhere is not shown again"
    );
    let unknown = Epoch::new();
    let cursor = Cursor::After(Position::new(unknown, 0));
    let refused = one.read(cursor, &Query::default(), 1).await.expect_err("nobody knows that epoch");
    assert!(matches!(refused, StoreError::UnknownEpoch { epoch } if epoch == unknown), "{refused}");
}

async fn a_filter_lets_through_what_it_says(store: &dyn EventStore) {
    let (first, second) = (events(0..40), events(0..25));
    let epochs = [filled(store, &first).await, filled(store, &second).await];
    let mut all = at(epochs[0], &first);
    all.extend(at(epochs[1], &second));
    let time = DateTime::UNIX_EPOCH + TimeDelta::nanoseconds(1_800_000_000_123_456_789);
    let since = time + TimeDelta::milliseconds(11);
    let any = Query::default;
    let queries = [
        any(),
        any().with_epoch(epochs[1]),
        any().with_epoch(Epoch::new()),
        any().with_scope(EventScope::Tool),
        any().with_type(EventType::Progress),
        any().with_status(ComponentStatus::Failed),
        any().with_workflow("run-1"),
        any().with_workflow("nested"),
        any().with_workflow("none of these"),
        any().with_component("search:1"),
        any().with_since(since),
        any().with_until(since),
        any().with_since(since).with_until(since + TimeDelta::milliseconds(5)).with_epoch(epochs[0]),
        any().with_workflow("run-2").with_component("search:1").with_type(EventType::Failed),
        any().with_scope(EventScope::Tool).with_scope(EventScope::Agent).with_type(EventType::Started),
        any().with_workflow("run-1").with_workflow("run-2").with_status(ComponentStatus::Failed),
        any().with_component("search:1").with_component("none of these"),
        any().with_since(time + TimeDelta::days(1)),
    ];
    for query in queries {
        let expected: Vec<_> = all.iter().filter(|stored| query.passes(stored)).cloned().collect();
        assert_eq!(read_from(store, Cursor::Beginning, &query).await, expected, "{query:?}");
        let middle = all[20].position;
        let expected: Vec<_> = all[21..].iter().filter(|stored| query.passes(stored)).cloned().collect();
        assert_eq!(read_from(store, Cursor::After(middle), &query).await, expected, "{query:?} behind {middle}");
    }
}

async fn a_filter_does_not_hold_the_cursor(store: &dyn EventStore) {
    let epoch = filled(store, &events(0..30)).await;
    let query = Query::default().with_component("none of these");
    let page = store.read(Cursor::Beginning, &query, 5).await.expect("it can be read");
    assert_eq!((page.events.len(), page.is_last), (0, true));
    assert_eq!(page.next, Cursor::After(Position::new(epoch, 29)), "a reader goes on behind what it was not shown");
    let page = store.read(page.next, &query, 5).await.expect("it can be read");
    assert_eq!((page.next, page.is_last), (Cursor::After(Position::new(epoch, 29)), true));
}
