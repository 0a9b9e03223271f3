//! What a dead process left open, ended.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Batch, Cursor, EpochState, EventStore, GapReason, Query, StoreError, backoff::Backoff};
use crate::{
    event::{Event, EventScope, EventType, Failure, Open, OpenComponents, TraceContext},
    stream::Epoch,
};

/// How far behind the last event of an abandoned epoch its recovered ends begin: the dead process may have numbered events
/// that it did not live to store, and no position may name two events.
pub const RECOVERY_STRIDE: u64 = 1 << 32;

/// How many components of an epoch are kept track of at once; the oldest ones beyond it stay without an end.
const MAX_OPEN: usize = 1_048_576;

/// How many events are read, and how many ends are stored, at once.
const AT_ONCE: usize = 1_024;

/// How often the recovery of an epoch is tried while the store is not available: for half a minute.
const MAX_TRIES: u32 = 12;

/// The `error_code` of an end that the process did not live to report.
const INTERRUPTED: &str = "interrupted";

/// An abandoned epoch that was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// The life of the stream.
    pub epoch: Epoch,
    /// How many components were open and are now ended as interrupted.
    pub interrupted: u64,
}

/// What a component's end needs of its start.
#[derive(Debug)]
struct Kept {
    parent_workflow_id: Option<String>,
    trace: Option<TraceContext>,
}

/// Ends what dead processes left open, each component once: it failed with `error_code` `interrupted`, under the ids that it
/// had, at the time of the last event that its process stored. Epochs whose process is alive are left alone.
///
/// The ends stand [`RECOVERY_STRIDE`] behind the last event of their epoch, and the offsets between are named as a gap. Call it
/// when a program starts. It may be called by several processes at once, and again after it was interrupted itself.
///
/// # Errors
///
/// What the store meets, after some tries if it is not available. What was recovered until then stays so; an epoch in the middle
/// of its recovery is left to the process that starts after this one.
pub async fn recover(store: &dyn EventStore) -> Result<Vec<Recovered>, StoreError> {
    let mut recovered = Vec::new();
    for record in store.epochs().await?.into_iter().filter(|record| record.state == EpochState::Abandoned) {
        let (mut backoff, mut tries) = (Backoff::new(), 1);
        let outcome = loop {
            match adopt_and_end(store, record.epoch).await {
                Err(error) if error.is_retryable() && tries < MAX_TRIES => backoff.pause().await,
                outcome => break outcome?,
            }
            tries += 1;
        };
        recovered.extend(outcome);
    }
    Ok(recovered)
}

/// `None` if another process was quicker. It may be called again after it failed.
async fn adopt_and_end(store: &dyn EventStore, epoch: Epoch) -> Result<Option<Recovered>, StoreError> {
    if store.adopt_epoch(epoch).await? { end(store, epoch).await.map(Some) } else { Ok(None) }
}

async fn end(store: &dyn EventStore, epoch: Epoch) -> Result<Recovered, StoreError> {
    let mut open = OpenComponents::default();
    let (mut last, mut next_offset) = (DateTime::<Utc>::MIN_UTC, 0);
    let (mut cursor, query) = (Cursor::Beginning, Query::default().with_epoch(epoch));
    loop {
        let page = store.read(cursor, &query, AT_ONCE).await?;
        for stored in &page.events {
            last = last.max(stored.event.timestamp);
            next_offset = stored.position.offset + 1;
            observe(&mut open, &stored.event);
        }
        cursor = page.next;
        if page.is_last {
            break;
        }
    }
    // A recovery that was interrupted has made its jump already.
    let has_jumped = store.gaps(epoch).await?.iter().any(|gap| gap.reason == GapReason::Interrupted);
    let first = if has_jumped { next_offset } else { next_offset + RECOVERY_STRIDE };
    let (mut interrupted, mut batch) = (0, Batch::new(epoch));
    // Inner ones first, as a living process would have ended them.
    while let Some(component) = open.take_newest() {
        if interrupted == 0 && !has_jumped {
            batch.push_gap(next_offset..first, GapReason::Interrupted);
        }
        batch.push(Arc::new(interrupted_end(&component, first + interrupted, last)))?;
        interrupted += 1;
        if batch.events().len() == AT_ONCE {
            store.append(&std::mem::replace(&mut batch, Batch::new(epoch))).await?;
        }
    }
    if !batch.is_empty() {
        store.append(&batch).await?;
    }
    store.close_epoch(epoch).await?;
    Ok(Recovered { epoch, interrupted })
}

fn observe(open: &mut OpenComponents<Kept>, event: &Event) {
    match event.event_type {
        _ if event.scope == EventScope::System => {}
        EventType::Started => {
            open.take_beyond(MAX_OPEN);
            let kept = Kept { parent_workflow_id: event.parent_workflow_id.clone(), trace: event.trace };
            open.insert(event, event.workflow_id.as_deref().map(Arc::from), kept);
        }
        EventType::Progress => {}
        EventType::Completed | EventType::Failed | EventType::Canceled => drop(open.take(event)),
    }
}

fn interrupted_end(component: &Open<Kept>, offset: u64, last: DateTime<Utc>) -> Event {
    let duration = (last - component.started).to_std().unwrap_or_default();
    let message = "the process ended before the component did".to_owned();
    let failure = Failure::new(INTERRUPTED, duration);
    let mut end = Event::new(component.scope, EventType::Failed, &**component.component_id(), Some(message), failure)
        .in_workflow(component.workflow_id.as_deref().map(str::to_owned), component.kept.parent_workflow_id.clone());
    end.event_id = id_of_end(component.start_id);
    end.offset = Some(offset);
    end.timestamp = last;
    end.trace = component.kept.trace;
    end.start_id = Some(component.start_id);
    end
}

/// The id of the end follows from that of the start, so that whoever recovers the component makes the same event.
const fn id_of_end(start_id: Uuid) -> Uuid {
    // The last bits are random in every version of a UUID.
    Uuid::from_u128(start_id.as_u128() ^ 0x656e_6465_6421)
}
