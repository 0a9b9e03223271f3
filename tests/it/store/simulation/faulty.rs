//! A store as a process reaches it: by a line that may be slow, dead, or lose the answer.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use agent_runtime::{
    prelude::*,
    store::{
        Batch, Cursor, EpochRecord, EventStore, Gap, MemoryStore, Page, Position, Query, Retention, StoreError, Trimmed,
    },
    stream::Epoch,
};
use parking_lot::Mutex;
use rand::{RngExt as _, rngs::StdRng};

use crate::support::history::History;

/// The handle of one process, which dies with it.
pub(super) struct Faulty {
    /// `None` once the process is dead.
    store: Mutex<Option<MemoryStore>>,
    random: Mutex<StdRng>,
    history: Arc<Mutex<History>>,
    /// How many answers were lost after the batch was stored.
    pub(super) lost_answers: AtomicU64,
    /// How many calls failed before anything was stored.
    pub(super) failures: AtomicU64,
}

impl Faulty {
    pub(super) fn new(store: MemoryStore, random: StdRng, history: Arc<Mutex<History>>) -> Self {
        let (lost_answers, failures) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { store: Mutex::new(Some(store)), random: Mutex::new(random), history, lost_answers, failures }
    }

    /// The process is dead: its handle is gone, and nothing that it still asks is ever answered.
    pub(super) fn kill(&self) {
        self.store.lock().take();
    }

    async fn reach(&self) -> MemoryStore {
        let store = self.store.lock().clone();
        match store {
            Some(store) => store,
            None => std::future::pending().await,
        }
    }

    fn is(&self, probability: f64) -> bool {
        self.random.lock().random_bool(probability)
    }

    /// The time that a call takes; now and then so long that everybody else goes on meanwhile.
    async fn on_the_way(&self) {
        let millis = if self.is(0.02) { 10_000 } else { self.random.lock().random_range(0..6) };
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    /// Fails now and then, before the store has heard of it.
    async fn call(&self) -> Result<MemoryStore, StoreError> {
        self.on_the_way().await;
        let store = self.reach().await;
        if self.is(0.1) {
            self.failures.fetch_add(1, Ordering::Relaxed);
            return Err(StoreError::unavailable("a simulated store", "no space left on device"));
        }
        Ok(store)
    }

    /// Hands an answer on, unless it is lost. One to a dead process is heard by nobody.
    async fn answer<T>(&self, answer: T) -> Result<T, StoreError> {
        self.on_the_way().await;
        if self.is(0.1) {
            self.lost_answers.fetch_add(1, Ordering::Relaxed);
            return Err(StoreError::unavailable("a simulated store", "no answer"));
        }
        drop(self.reach().await);
        Ok(answer)
    }
}

#[async_trait]
impl EventStore for Faulty {
    async fn append(&self, batch: &Batch) -> Result<(), StoreError> {
        let position = |event: &Event| Position::new(batch.epoch(), event.offset.expect("it is numbered")).to_string();
        for event in batch.events() {
            self.history.lock().sent.insert(position(event), event.event_id);
        }
        let store = self.call().await?;
        store.append(batch).await?;
        drop(store);
        self.answer(()).await?;
        self.history.lock().acknowledged.extend(batch.events().iter().map(|event| position(event)));
        Ok(())
    }

    async fn open_epoch(&self, epoch: Epoch) -> Result<u64, StoreError> {
        let answer = self.call().await?.open_epoch(epoch).await?;
        self.answer(answer).await
    }

    async fn close_epoch(&self, epoch: Epoch) -> Result<(), StoreError> {
        let answer = self.call().await?.close_epoch(epoch).await?;
        self.answer(answer).await
    }

    async fn adopt_epoch(&self, epoch: Epoch) -> Result<bool, StoreError> {
        let answer = self.call().await?.adopt_epoch(epoch).await?;
        self.answer(answer).await
    }

    async fn read(&self, from: Cursor, query: &Query, limit: usize) -> Result<Page, StoreError> {
        let answer = self.call().await?.read(from, query, limit).await?;
        self.answer(answer).await
    }

    async fn latest(&self) -> Result<Option<Position>, StoreError> {
        let answer = self.call().await?.latest().await?;
        self.answer(answer).await
    }

    async fn changed(&self, since: Cursor) -> Result<(), StoreError> {
        self.call().await?.changed(since).await
    }

    async fn epochs(&self) -> Result<Vec<EpochRecord>, StoreError> {
        let answer = self.call().await?.epochs().await?;
        self.answer(answer).await
    }

    async fn gaps(&self, epoch: Epoch) -> Result<Vec<Gap>, StoreError> {
        let answer = self.call().await?.gaps(epoch).await?;
        self.answer(answer).await
    }

    async fn trim(&self, retention: &Retention) -> Result<Trimmed, StoreError> {
        let answer = self.call().await?.trim(retention).await?;
        self.answer(answer).await
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").finish_non_exhaustive()
    }
}
