//! Stores to check, and events to put into them.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta};
use serde_json::json;
use uuid::Uuid;

use crate::{
    event::{Event, SpanId, TraceContext, TraceId},
    store::{Batch, Cursor, EventStore, Position, Query, StoredEvent},
    stream::Epoch,
};

/// How long a test waits for what must come, so that it fails and does not hang.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// What opens stores.
pub(super) struct Stores<F> {
    open: F,
    next: AtomicU32,
}

impl<F: AsyncFn(u32) -> Arc<dyn EventStore>> Stores<F> {
    pub(super) const fn new(open: F) -> Self {
        Self { open, next: AtomicU32::new(0) }
    }

    /// An empty store.
    pub(super) async fn empty(&self) -> Arc<dyn EventStore> {
        self.two().await.0
    }

    /// Two handles to one empty store.
    pub(super) async fn two(&self) -> (Arc<dyn EventStore>, Arc<dyn EventStore>) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        ((self.open)(number).await, (self.open)(number).await)
    }

    /// Three handles to a new store.
    pub(super) async fn three(&self) -> [Arc<dyn EventStore>; 3] {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        [(self.open)(number).await, (self.open)(number).await, (self.open)(number).await]
    }
}

/// Events of an epoch, of all kinds, as a stream has numbered them.
pub(super) fn events(offsets: Range<u64>) -> Vec<Arc<Event>> {
    offsets.map(|offset| Arc::new(event(offset))).collect()
}

fn event(offset: u64) -> Event {
    let run = Some(format!("run-{}", offset % 3));
    let nested = || Some("nested".to_owned());
    let mut event = match offset % 7 {
        0 => Event::workflow_started(
            "flow",
            run,
            None,
            json!({ "input": { "text": "a 'quoted' \"text\" \u{0} ☃", "n": 0.1 } }),
        ),
        1 => Event::agent_progress("agent", Some("half way".to_owned()), nested(), run, json!(null)),
        2 => Event::llm_progress("agent:llm:0", None, run, None, json!({ "chunk": "piece " })),
        3 => Event::tool_started("search:1", run, None, json!([1, -2.5, "three", null, true])),
        4 => Event::tool_failed("search:1", "no\nnetwork", run, None, json!({ "error_code": "network" })),
        5 => Event::system_progress("system:memory", None, None, None, json!({ "bytes": u64::MAX })),
        _ => Event::workflow_canceled("flow", None, run, None, json!({})),
    };
    event.offset = Some(offset);
    event.timestamp =
        DateTime::UNIX_EPOCH + TimeDelta::nanoseconds(1_800_000_000_123_456_789 + 1_000_000 * offset.cast_signed());
    if offset % 2 == 1 {
        event.start_id = Some(Uuid::from_u128(u128::from(offset)));
        let trace = TraceContext::new(TraceId::from_bytes([7; 16]), SpanId::from_bytes(offset.to_be_bytes()));
        event.trace = Some(trace.with_parent(SpanId::from_bytes([9; 8])).with_sampled(offset % 4 == 1));
    }
    event
}

/// Opens an epoch and stores its first events.
pub(super) async fn filled(store: &dyn EventStore, events: &[Arc<Event>]) -> Epoch {
    let epoch = Epoch::new();
    assert_eq!(store.open_epoch(epoch).await.expect("a new epoch can be opened"), 0);
    store.append(&batch(epoch, events)).await.expect("an owner may append");
    epoch
}

pub(super) fn batch(epoch: Epoch, events: &[Arc<Event>]) -> Batch {
    let mut batch = Batch::new(epoch);
    for event in events {
        batch.push(Arc::clone(event)).expect("the events are in order");
    }
    batch
}

/// All events behind a cursor, read in small pages.
pub(super) async fn read_from(store: &dyn EventStore, from: Cursor, query: &Query) -> Vec<StoredEvent> {
    let (mut cursor, mut all) = (from, Vec::new());
    loop {
        let page = store.read(cursor, query, 5).await.expect("the store can be read");
        assert!(page.events.len() <= 5, "a page has {} events, more than asked for", page.events.len());
        assert!(page.is_last || page.next != cursor, "a reader gets no further than {cursor:?}");
        cursor = page.next;
        all.extend(page.events);
        if page.is_last {
            return all;
        }
    }
}

pub(super) async fn read_all(store: &dyn EventStore) -> Vec<StoredEvent> {
    read_from(store, Cursor::Beginning, &Query::default()).await
}

pub(super) fn at(epoch: Epoch, events: &[Arc<Event>]) -> Vec<StoredEvent> {
    let place = |event: &Arc<Event>| {
        StoredEvent::new(Position::new(epoch, event.offset.expect("it was numbered")), Arc::clone(event))
    };
    events.iter().map(place).collect()
}
