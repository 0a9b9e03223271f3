//! From a stream into a store: everything, in order, and nothing of the stream waits.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use agent_runtime::{
    prelude::*,
    store::{
        Batch, Cursor, EpochRecord, EpochState, EventStore, Gap, GapReason, MemoryStore, Page, Position, Query,
        Recorder, Retention, StoreError, Trimmed,
    },
    stream::Epoch,
};
use tokio::sync::Semaphore;

use crate::support::{full_flow, history};

/// A store whose `append` first asks a test.
#[derive(Debug)]
struct Guarded {
    store: MemoryStore,
    /// One permit for each append that may go through.
    gate: Semaphore,
    /// How many appends fail first, so that they may be tried again.
    failures: AtomicUsize,
    appends: AtomicUsize,
}

impl Guarded {
    fn new(permits: usize, failures: usize) -> Arc<Self> {
        Arc::new(Self {
            store: MemoryStore::new(),
            gate: Semaphore::new(permits),
            failures: failures.into(),
            appends: AtomicUsize::new(0),
        })
    }
}

#[async_trait]
impl EventStore for Guarded {
    async fn append(&self, batch: &Batch) -> Result<(), StoreError> {
        self.appends.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.expect("it is never closed").forget();
        if self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            // The worst that can be said of a batch that was stored.
            self.store.append(batch).await?;
            return Err(StoreError::unavailable("a test", "no answer"));
        }
        self.store.append(batch).await
    }

    async fn open_epoch(&self, epoch: Epoch) -> Result<u64, StoreError> {
        self.store.open_epoch(epoch).await
    }

    async fn close_epoch(&self, epoch: Epoch) -> Result<(), StoreError> {
        self.store.close_epoch(epoch).await
    }

    async fn adopt_epoch(&self, epoch: Epoch) -> Result<bool, StoreError> {
        self.store.adopt_epoch(epoch).await
    }

    async fn read(&self, from: Cursor, query: &Query, limit: usize) -> Result<Page, StoreError> {
        self.store.read(from, query, limit).await
    }

    async fn latest(&self) -> Result<Option<Position>, StoreError> {
        self.store.latest().await
    }

    async fn changed(&self, since: Cursor) -> Result<(), StoreError> {
        self.store.changed(since).await
    }

    async fn epochs(&self) -> Result<Vec<EpochRecord>, StoreError> {
        self.store.epochs().await
    }

    async fn gaps(&self, epoch: Epoch) -> Result<Vec<Gap>, StoreError> {
        self.store.gaps(epoch).await
    }

    async fn trim(&self, retention: &Retention) -> Result<Trimmed, StoreError> {
        self.store.trim(retention).await
    }
}

fn event() -> Event {
    Event::system_progress("system:test", None, None, None, json!({}))
}

fn append(stream: &EventStream, count: usize) {
    for _ in 0..count {
        stream.append(event()).expect("it is valid");
    }
}

async fn offsets(store: &dyn EventStore) -> Vec<u64> {
    let page = store.read(Cursor::Beginning, &Query::default(), usize::MAX).await.expect("the store is open");
    page.events.iter().map(|stored| stored.position.offset).collect()
}

#[tokio::test]
async fn every_event_is_stored_as_it_was_once_content_is_asked_for() {
    let store = Arc::new(MemoryStore::new());
    let runtime = Runtime::new();
    let recorder = Recorder::builder(store.clone()).with_content(true).start(runtime.event_stream()).await.unwrap();
    runtime.execute(&full_flow(), "go").await.unwrap();
    assert!(recorder.flush().await);
    let events = history(&runtime).await;
    let page = store.read(Cursor::Beginning, &Query::default(), usize::MAX).await.unwrap();
    assert_eq!(page.events.into_iter().map(|stored| Event::clone(&stored.event)).collect::<Vec<_>>(), events);
    let report = recorder.stop().await;
    assert_eq!((report.stored(), report.is_complete(), report.retries()), (events.len() as u64, true, 0));
    assert_eq!(report.last().unwrap().epoch, runtime.event_stream().epoch());
    assert_eq!(store.epochs().await.unwrap()[0].state, EpochState::Closed);
}

#[tokio::test]
async fn what_the_stream_keeps_from_before_is_stored_too_and_a_closed_stream_ends_the_recorder() {
    let store = Arc::new(MemoryStore::new());
    let stream = EventStream::builder().with_capacity(4).build();
    append(&stream, 10);
    let recorder = Recorder::builder(store.clone()).start(&stream).await.unwrap();
    append(&stream, 1);
    drop(stream);
    assert!(recorder.flush().await);
    let report = recorder.stop().await;
    assert_eq!((report.stored(), report.missed(), report.unstored()), (4, 7, 0));
    assert_eq!(offsets(&*store).await, [7, 8, 9, 10]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_stands_still_costs_the_stream_nothing_and_what_is_lost_is_named() {
    let store = Guarded::new(0, 0);
    let stream = EventStream::builder().with_capacity(8).build();
    let recorder = Recorder::builder(store.clone()).start(&stream).await.unwrap();
    append(&stream, 2);
    while store.appends.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    // The recorder waits with the first two; the stream goes on and lets go of what it has no room for.
    append(&stream, 100);
    assert_eq!(stream.next_offset(), 102);
    store.gate.add_permits(1_000);
    assert!(recorder.flush().await);
    assert_eq!(offsets(&*store).await, [0, 1, 94, 95, 96, 97, 98, 99, 100, 101]);
    let gaps = store.gaps(stream.epoch()).await.unwrap();
    assert_eq!((&gaps[0].offsets, gaps[0].reason, gaps.len()), (&(2..94), GapReason::Overrun, 1));
    let report = recorder.stop().await;
    assert_eq!((report.stored(), report.missed(), report.gaps()), (10, 92, &gaps[..]));
    assert!(!report.is_complete());
}

#[tokio::test(start_paused = true)]
async fn a_batch_whose_acknowledgment_was_lost_is_tried_again_and_stored_once() {
    let store = Guarded::new(1_000, 5);
    let stream = EventStream::new();
    let recorder = Recorder::builder(store.clone()).start(&stream).await.unwrap();
    append(&stream, 3);
    assert!(recorder.flush().await);
    append(&stream, 3);
    let report = recorder.stop().await;
    assert_eq!((report.stored(), report.retries(), report.is_complete()), (6, 5, true));
    assert_eq!(offsets(&*store).await, [0, 1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_recorder_stops_in_time_also_if_the_store_does_not_answer() {
    let store = Guarded::new(0, 0);
    let stream = EventStream::new();
    let recorder = Recorder::builder(store.clone()).with_stop_timeout(Duration::from_secs(3)).start(&stream).await;
    append(&stream, 3);
    let report = recorder.unwrap().stop().await;
    assert_eq!((report.stored(), report.unstored(), report.is_complete()), (0, 3, false));
    assert_eq!(store.epochs().await.unwrap()[0].state, EpochState::Open, "it was not closed, so it can be recovered");
}

#[tokio::test]
async fn a_recorder_whose_epoch_was_taken_ends_and_says_so() {
    let store = MemoryStore::new();
    let stream = EventStream::new();
    let recorder = Recorder::builder(Arc::new(store.clone())).start(&stream).await.unwrap();
    store.close_epoch(stream.epoch()).await.unwrap();
    append(&stream, 3);
    assert!(!recorder.flush().await);
    append(&stream, 2);
    let report = recorder.stop().await;
    assert!(matches!(report.failure(), Some(StoreError::NotOwner { .. })), "{report:?}");
    assert_eq!((report.stored(), report.unstored(), report.is_complete()), (0, 5, false));
    // Under the handle that had it, the epoch goes on where it stopped.
    let again = Recorder::builder(Arc::new(store.clone())).start(&stream).await.unwrap().stop().await;
    assert_eq!((again.stored(), again.is_complete()), (5, true));
}

#[tokio::test]
async fn a_recorder_that_is_dropped_stores_what_there_is() {
    let store = Arc::new(MemoryStore::new());
    let stream = EventStream::new();
    let recorder = Recorder::builder(store.clone()).start(&stream).await.unwrap();
    append(&stream, 2_000);
    drop(recorder);
    while store.epochs().await.unwrap()[0].state != EpochState::Closed {
        tokio::task::yield_now().await;
    }
    append(&stream, 1);
    assert_eq!(offsets(&*store).await.len(), 2_000);
}

#[tokio::test]
async fn retention_is_applied_while_it_records() {
    let store = Arc::new(MemoryStore::new());
    let stream = EventStream::new();
    append(&stream, 50);
    let bound = Retention::default().with_max_events(10);
    let recorder = Recorder::builder(store.clone()).with_retention(bound).start(&stream).await.unwrap();
    assert!(recorder.stop().await.is_complete());
    assert_eq!(offsets(&*store).await, Vec::from_iter(40..50));
}

#[test]
fn outside_a_runtime_a_recorder_is_an_error_and_no_panic() {
    let store = Arc::new(MemoryStore::new());
    let started = futures_util::FutureExt::now_or_never(Recorder::builder(store).start(&EventStream::new()));
    assert!(matches!(started, Some(Err(StoreError::NoRuntime))));
}
