//! Whose an epoch is, and what becomes of it when its owner is gone.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::time::{sleep, timeout};

use super::fixture::{PATIENCE, Stores, batch, events, filled, read_all};
use crate::{
    event::{Event, EventType},
    store::{EpochState, EventStore, GapReason, RECOVERY_STRIDE, StoreError, recover},
    stream::Epoch,
};

pub(super) async fn check<F: AsyncFn(u32) -> Arc<dyn EventStore>>(stores: &Stores<F>) {
    an_epoch_is_written_by_its_owner_alone(stores.two().await).await;
    an_epoch_that_was_closed_may_be_opened_again(stores.two().await).await;
    an_abandoned_epoch_is_adopted_once(stores).await;
    recovery_ends_what_the_dead_left_open_and_nothing_else(stores).await;
}

type Two = (Arc<dyn EventStore>, Arc<dyn EventStore>);

async fn state(store: &dyn EventStore, epoch: Epoch) -> EpochState {
    let records = store.epochs().await.expect("the epochs can be read");
    records.iter().find(|record| record.epoch == epoch).expect("the epoch is known").state
}

/// Waits until it is known that the owner of an epoch is gone, which the server of a store may be the first to learn.
async fn wait_until_abandoned(store: &dyn EventStore, epoch: Epoch) {
    let abandoned = async {
        while state(store, epoch).await != EpochState::Abandoned {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, abandoned).await.expect("an epoch is abandoned when its owner is gone");
}

fn assert_not_owner<T>(outcome: Result<T, StoreError>, epoch: Epoch) {
    match outcome {
        Err(StoreError::NotOwner { epoch: found }) => assert_eq!(found, epoch),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("epoch {epoch} was written by one that does not own it"),
    }
}

async fn an_epoch_is_written_by_its_owner_alone((one, other): Two) {
    let unopened = Epoch::new();
    assert_not_owner(one.append(&batch(unopened, &events(0..1))).await, unopened);
    let epoch = filled(&*one, &events(0..3)).await;
    assert_not_owner(other.append(&batch(epoch, &events(3..4))).await, epoch);
    assert_not_owner(other.open_epoch(epoch).await, epoch);
    assert_not_owner(other.close_epoch(epoch).await, epoch);
    assert!(!other.adopt_epoch(epoch).await.expect("it is known"), "its owner is alive");
    assert_eq!(state(&*other, epoch).await, EpochState::Open);
    assert_eq!(read_all(&*one).await.len(), 3);
}

async fn an_epoch_that_was_closed_may_be_opened_again((one, other): Two) {
    let epoch = filled(&*one, &events(0..3)).await;
    one.close_epoch(epoch).await.expect("it owns the epoch");
    one.close_epoch(epoch).await.expect("whoever has not heard the answer asks again");
    assert_not_owner(other.close_epoch(epoch).await, epoch);
    assert_eq!(state(&*other, epoch).await, EpochState::Closed);
    assert_not_owner(one.append(&batch(epoch, &events(3..4))).await, epoch);
    assert!(!other.adopt_epoch(epoch).await.expect("it is known"), "it is closed");
    assert_eq!(one.open_epoch(epoch).await.expect("it was its own"), 3);
    one.append(&batch(epoch, &events(3..4))).await.expect("it is open again");
    let record = &other.epochs().await.expect("they can be read")[0];
    assert_eq!((record.epoch, record.next_offset), (epoch, 4));
}

async fn an_abandoned_epoch_is_adopted_once<F: AsyncFn(u32) -> Arc<dyn EventStore>>(stores: &Stores<F>) {
    let [dead, alive, late] = stores.three().await;
    let epoch = filled(&*dead, &events(0..3)).await;
    assert_eq!(state(&*alive, epoch).await, EpochState::Open);
    drop(dead);
    wait_until_abandoned(&*alive, epoch).await;
    assert!(alive.adopt_epoch(epoch).await.expect("it is known"));
    assert_eq!(state(&*alive, epoch).await, EpochState::Open);
    assert!(alive.adopt_epoch(epoch).await.expect("it is known"), "whoever has not heard the answer asks again");
    assert!(!late.adopt_epoch(epoch).await.expect("it is known"), "it has an owner again");
    alive.append(&batch(epoch, &events(3..4))).await.expect("it owns the epoch now");
    alive.close_epoch(epoch).await.expect("it owns the epoch now");
    assert!(!alive.adopt_epoch(epoch).await.expect("it is known"), "it is closed");
    let unknown = Epoch::new();
    let refused = alive.adopt_epoch(unknown).await.expect_err("nobody knows that epoch");
    assert!(matches!(refused, StoreError::UnknownEpoch { epoch } if epoch == unknown), "{refused}");
}

async fn recovery_ends_what_the_dead_left_open_and_nothing_else<F: AsyncFn(u32) -> Arc<dyn EventStore>>(
    stores: &Stores<F>,
) {
    let (dead, alive) = stores.two().await;
    let run = || Some("run".to_owned());
    let numbered = |events: [Event; 4]| -> Vec<Arc<Event>> {
        let events = events.into_iter().zip(0..);
        events.map(|(event, offset)| Arc::new(Event { offset: Some(offset), ..event })).collect()
    };
    let life = || {
        numbered([
            Event::workflow_started("flow", run(), Some("outer".to_owned()), json!({})),
            Event::tool_started("done", run(), None, json!({})),
            Event::tool_completed("done", run(), None, json!({})),
            Event::tool_started("open", run(), None, json!({})),
        ])
    };
    let (lost, kept) = (life(), life());
    let (dead_epoch, live_epoch) = (filled(&*dead, &lost).await, filled(&*alive, &kept).await);
    drop(dead);
    wait_until_abandoned(&*alive, dead_epoch).await;
    let recovered = recover(&*alive).await.expect("the store is well");
    assert_eq!(recovered.iter().map(|one| (one.epoch, one.interrupted)).collect::<Vec<_>>(), [(dead_epoch, 2)]);
    assert_eq!(recover(&*alive).await.expect("the store is well"), [], "there is nothing left to do");

    let stored = read_all(&*alive).await;
    let ends: Vec<_> = stored.iter().filter(|stored| stored.position.offset > 3).collect();
    assert_eq!(stored.len(), 4 + 4 + 2);
    for (end, (start, offset)) in ends.iter().zip([(&lost[3], 4), (&lost[0], 5)]) {
        assert_eq!((end.position.epoch, end.position.offset), (dead_epoch, RECOVERY_STRIDE + offset));
        let event = &end.event;
        assert_eq!((event.event_type, event.data["error_code"].as_str()), (EventType::Failed, Some("interrupted")));
        assert_eq!((event.scope, &event.component_id), (start.scope, &start.component_id));
        assert_eq!(
            (&event.workflow_id, &event.parent_workflow_id, event.start_id),
            (&start.workflow_id, &start.parent_workflow_id, Some(start.event_id))
        );
        assert_eq!(event.timestamp, lost[3].timestamp, "its process was last heard of then");
    }
    assert_eq!(
        (state(&*alive, dead_epoch).await, state(&*alive, live_epoch).await),
        (EpochState::Closed, EpochState::Open)
    );
    let gaps = alive.gaps(dead_epoch).await.expect("it is known");
    assert_eq!((&gaps[0].offsets, gaps[0].reason), (&(4..RECOVERY_STRIDE + 4), GapReason::Interrupted));
}
