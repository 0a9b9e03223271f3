//! The events of a run, wherever in the store they are.

use std::collections::{HashMap, HashSet, VecDeque};

use agent_runtime::{
    event::{EventScope, EventType},
    store::{Cursor, EventStore, Position, Query, StoreError, StoredEvent},
};
use chrono::TimeDelta;

use crate::pages;

/// The most runs that are shown together: one and those inside it.
const MAX_RUNS: usize = 1_000;

/// How far back the last run is looked for, in seconds before the last event; then in all.
const WINDOWS: [i64; 4] = [60, 3_600, 86_400, 30 * 86_400];

/// The run that began last and is inside no other.
pub(super) async fn last_run(store: &dyn EventStore) -> Result<Option<String>, StoreError> {
    let started = Query::default().with_scope(EventScope::Workflow).with_type(EventType::Started);
    let latest = match store.latest().await? {
        Some(position) => at(store, position).await?,
        None => return Ok(None),
    };
    let since = |seconds| latest.as_ref()?.event.timestamp.checked_sub_signed(TimeDelta::seconds(seconds));
    let windows = WINDOWS.into_iter().filter_map(since).map(|since| started.clone().with_since(since));
    for query in windows.chain([started.clone()]) {
        let mut last = None;
        pages::each(store, Cursor::Beginning, &query, |stored| {
            if stored.event.parent_workflow_id.is_none() {
                last = stored.event.workflow_id.clone().or(last.take());
            }
        })
        .await?;
        if last.is_some() {
            return Ok(last);
        }
    }
    Ok(None)
}

/// The event at a position.
async fn at(store: &dyn EventStore, position: Position) -> Result<Option<StoredEvent>, StoreError> {
    let in_front = match position.offset.checked_sub(1) {
        Some(offset) => Cursor::After(Position::new(position.epoch, offset)),
        None => Cursor::Beginning,
    };
    let page = store.read(in_front, &Query::default().with_epoch(position.epoch), 1).await?;
    Ok(page.events.into_iter().next())
}

/// What began and ended in a run and in the runs inside it, in the order in which it happened. Progress is left out.
pub(super) async fn events_of(store: &dyn EventStore, workflow: &str) -> Result<Vec<StoredEvent>, StoreError> {
    let (mut events, mut seen) = (Vec::new(), HashSet::new());
    let (mut runs, mut next) = (HashSet::from([workflow.to_owned()]), VecDeque::from([workflow.to_owned()]));
    while let Some(run) = next.pop_front() {
        pages::each(store, Cursor::Beginning, &Query::default().with_workflow(run), |stored| {
            let event = &stored.event;
            if event.event_type == EventType::Progress || event.scope == EventScope::System {
                return;
            }
            if let Some(inner) = event.workflow_id.as_ref().filter(|_| runs.len() < MAX_RUNS)
                && runs.insert(inner.clone())
            {
                next.push_back(inner.clone());
            }
            if seen.insert(event.event_id) {
                events.push(stored);
            }
        })
        .await?;
    }
    // A run that was taken up again is in several epochs, the later part in the one that was opened later.
    let epochs = store.epochs().await?.into_iter().map(|record| record.epoch);
    let order: HashMap<_, _> = epochs.zip(0_usize..).collect();
    events.sort_by_key(|StoredEvent { position, .. }| (order.get(&position.epoch).copied(), position.offset));
    Ok(events)
}
