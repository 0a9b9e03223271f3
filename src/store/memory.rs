//! A store in memory: the reference that engines are held against, and what tests and short-lived programs use.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Weak},
};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{
    Batch, Cursor, EpochRecord, EpochState, EventStore, Gap, Page, Position, Query, Retention, StoreError, StoredEvent,
    Trimmed,
};
use crate::{event::Event, stream::Epoch};

/// How many events are looked at for one page, so that the lock is held for a bounded time.
const MAX_LOOKED_AT: usize = 4_096;

/// Events kept in memory, as an [`EventStore`]: nothing outlives the process.
///
/// It keeps the last [`DEFAULT_CAPACITY`](Self::DEFAULT_CAPACITY) events. A clone is the same handle;
/// [`reopen`](Self::reopen) is what another process would have.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
    owner: Arc<Owner>,
}

/// What makes two handles different owners.
struct Owner;

struct Shared {
    contents: Mutex<Contents>,
    /// The place that comes next.
    changed: watch::Sender<u64>,
    capacity: usize,
}

#[derive(Default)]
struct Contents {
    /// In the store's order; the first one stands at the place `first`.
    events: VecDeque<Kept>,
    first: u64,
    bytes: u64,
    epochs: Vec<Life>,
    by_epoch: HashMap<Epoch, usize>,
}

struct Kept {
    stored: StoredEvent,
    bytes: u64,
}

struct Life {
    record: EpochRecord,
    owner: Weak<Owner>,
    /// The place that came next when it was opened: what it holds stands behind.
    opened: u64,
    /// Offsets and places of its events, lowest first.
    places: VecDeque<(u64, u64)>,
    gaps: Vec<Gap>,
}

impl MemoryStore {
    /// How many events are kept by default.
    pub const DEFAULT_CAPACITY: usize = 131_072;

    /// Makes an empty store with the default capacity.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(Self::DEFAULT_CAPACITY)
    }

    /// Makes an empty store that keeps so many events; at least 1.
    #[must_use]
    pub fn with_capacity(events: usize) -> Self {
        let shared = Shared { contents: Mutex::default(), changed: watch::Sender::new(0), capacity: events.max(1) };
        Self { shared: Arc::new(shared), owner: Arc::new(Owner) }
    }

    /// Another handle to the same events, which owns no epoch, as another process would have it.
    #[must_use]
    pub fn reopen(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), owner: Arc::new(Owner) }
    }
}

#[async_trait]
impl EventStore for MemoryStore {
    async fn open_epoch(&self, epoch: Epoch) -> Result<u64, StoreError> {
        let contents = &mut *self.shared.contents.lock();
        let Some(&index) = contents.by_epoch.get(&epoch) else {
            contents.by_epoch.insert(epoch, contents.epochs.len());
            contents.epochs.push(Life {
                record: EpochRecord::new(epoch, EpochState::Open, Utc::now(), 0),
                owner: Arc::downgrade(&self.owner),
                opened: contents.next_place(),
                places: VecDeque::new(),
                gaps: Vec::new(),
            });
            return Ok(0);
        };
        let life = &mut contents.epochs[index];
        if !life.is_of(&self.owner) {
            return Err(StoreError::NotOwner { epoch });
        }
        life.record.state = EpochState::Open;
        Ok(life.record.next_offset)
    }

    async fn append(&self, batch: &Batch) -> Result<(), StoreError> {
        let contents = &mut *self.shared.contents.lock();
        let epoch = batch.epoch();
        let index = contents.owned(epoch, &self.owner)?;
        let new = contents.epochs[index].new_of(batch, |place| contents.at(place))?;
        for event in new {
            contents.push(index, event);
        }
        contents.epochs[index].add_gaps(batch.gaps());
        contents.keep_last(self.shared.capacity);
        self.shared.changed.send_replace(contents.next_place());
        Ok(())
    }

    async fn close_epoch(&self, epoch: Epoch) -> Result<(), StoreError> {
        let contents = &mut *self.shared.contents.lock();
        let life = contents.by_epoch.get(&epoch).map(|index| &mut contents.epochs[*index]);
        let life = life.filter(|life| life.is_of(&self.owner)).ok_or(StoreError::NotOwner { epoch })?;
        life.record.state = EpochState::Closed;
        Ok(())
    }

    async fn adopt_epoch(&self, epoch: Epoch) -> Result<bool, StoreError> {
        let contents = &mut *self.shared.contents.lock();
        let life = contents.life_mut(epoch)?;
        if life.state() == EpochState::Abandoned {
            life.owner = Arc::downgrade(&self.owner);
        }
        Ok(life.state() == EpochState::Open && life.is_of(&self.owner))
    }

    async fn read(&self, from: Cursor, query: &Query, limit: usize) -> Result<Page, StoreError> {
        let contents = self.shared.contents.lock();
        let skip = contents.skip_to(from)?;
        let (mut events, mut next) = (Vec::new(), from);
        for (looked_at, kept) in contents.events.range(skip..).enumerate() {
            if events.len() >= limit.max(1) || looked_at == MAX_LOOKED_AT {
                return Ok(Page::new(events, next, false));
            }
            next = Cursor::After(kept.stored.position);
            if query.passes(&kept.stored) {
                events.push(kept.stored.clone());
            }
        }
        Ok(Page::new(events, next, true))
    }

    async fn latest(&self) -> Result<Option<Position>, StoreError> {
        Ok(self.shared.contents.lock().events.back().map(|kept| kept.stored.position))
    }

    async fn changed(&self, since: Cursor) -> Result<(), StoreError> {
        let mut changed = self.shared.changed.subscribe();
        let place = {
            let contents = self.shared.contents.lock();
            contents.first + contents.skip_to(since)? as u64
        };
        // The sender lives as long as this handle.
        drop(changed.wait_for(|next| *next > place).await);
        Ok(())
    }

    async fn epochs(&self) -> Result<Vec<EpochRecord>, StoreError> {
        let contents = self.shared.contents.lock();
        Ok(contents.epochs.iter().map(|life| EpochRecord { state: life.state(), ..life.record.clone() }).collect())
    }

    async fn gaps(&self, epoch: Epoch) -> Result<Vec<Gap>, StoreError> {
        Ok(self.shared.contents.lock().life_mut(epoch)?.gaps.clone())
    }

    async fn trim(&self, retention: &Retention) -> Result<Trimmed, StoreError> {
        let contents = &mut *self.shared.contents.lock();
        let oldest = retention.max_age.and_then(|age| Utc::now().checked_sub_signed(TimeDelta::from_std(age).ok()?));
        let before = contents.events.len();
        while let Some(kept) = contents.events.front() {
            let is_old = oldest.is_some_and(|oldest: DateTime<Utc>| kept.stored.event.timestamp < oldest);
            let are_many = retention.max_events.is_some_and(|max| contents.events.len() as u64 > max);
            let are_large = retention.max_bytes.is_some_and(|max| contents.bytes > max);
            if !(is_old || are_many || are_large) {
                break;
            }
            contents.pop();
        }
        Ok(Trimmed::new((before - contents.events.len()) as u64))
    }
}

impl Contents {
    fn next_place(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    fn life_mut(&mut self, epoch: Epoch) -> Result<&mut Life, StoreError> {
        let index = *self.by_epoch.get(&epoch).ok_or(StoreError::UnknownEpoch { epoch })?;
        Ok(&mut self.epochs[index])
    }

    /// The open epoch, if an owner has it.
    fn owned(&self, epoch: Epoch, owner: &Arc<Owner>) -> Result<usize, StoreError> {
        let index = self.by_epoch.get(&epoch).copied();
        let is_open = |index: &usize| {
            let life = &self.epochs[*index];
            life.record.state == EpochState::Open && life.is_of(owner)
        };
        index.filter(is_open).ok_or(StoreError::NotOwner { epoch })
    }

    /// How many of the events kept lie in front of a cursor.
    fn skip_to(&self, cursor: Cursor) -> Result<usize, StoreError> {
        let Cursor::After(Position { epoch, offset }) = cursor else { return Ok(0) };
        let index = *self.by_epoch.get(&epoch).ok_or(StoreError::UnknownEpoch { epoch })?;
        let life = &self.epochs[index];
        let behind = life.places.partition_point(|(stored, _)| *stored <= offset);
        // Without one in front of it: whatever was stored since the epoch began, as far as it is kept.
        let place = behind.checked_sub(1).map_or(life.opened, |last| life.places[last].1 + 1);
        Ok(usize::try_from(place.saturating_sub(self.first)).unwrap_or(usize::MAX).min(self.events.len()))
    }

    fn at(&self, place: u64) -> Option<&StoredEvent> {
        let index = usize::try_from(place.checked_sub(self.first)?).ok()?;
        self.events.get(index).map(|kept| &kept.stored)
    }

    fn push(&mut self, index: usize, event: &Arc<Event>) {
        let place = self.next_place();
        let life = &mut self.epochs[index];
        let offset = event.offset.unwrap_or_default();
        life.places.push_back((offset, place));
        life.record.next_offset = offset + 1;
        let stored = StoredEvent::new(Position::new(life.record.epoch, offset), Arc::clone(event));
        let bytes = event.size() as u64;
        self.bytes += bytes;
        self.events.push_back(Kept { stored, bytes });
    }

    fn keep_last(&mut self, capacity: usize) {
        while self.events.len() > capacity {
            self.pop();
        }
    }

    fn pop(&mut self) {
        let Some(kept) = self.events.pop_front() else { return };
        self.first += 1;
        self.bytes -= kept.bytes;
        if let Some(&index) = self.by_epoch.get(&kept.stored.position.epoch) {
            self.epochs[index].places.pop_front();
        }
    }
}

impl Life {
    fn is_of(&self, owner: &Arc<Owner>) -> bool {
        std::ptr::eq(self.owner.as_ptr(), Arc::as_ptr(owner))
    }

    fn state(&self) -> EpochState {
        let is_abandoned = self.record.state == EpochState::Open && self.owner.strong_count() == 0;
        if is_abandoned { EpochState::Abandoned } else { self.record.state }
    }

    /// The events of a batch that are not stored yet, unless one has the place of another.
    fn new_of<'a, 'b>(
        &self,
        batch: &'a Batch,
        at: impl Fn(u64) -> Option<&'b StoredEvent>,
    ) -> Result<&'a [Arc<Event>], StoreError> {
        let is_stored = |event: &Arc<Event>| event.offset < Some(self.record.next_offset);
        let (stored, new) = batch.events().split_at(batch.events().partition_point(is_stored));
        for event in stored {
            let offset = event.offset.unwrap_or_default();
            let place = self.places.binary_search_by_key(&offset, |(offset, _)| *offset);
            let same =
                place.is_ok_and(|found| at(self.places[found].1).is_some_and(|at| at.event.event_id == event.event_id));
            let is_trimmed = self.places.front().is_none_or(|(first, _)| offset < *first);
            if !same && !is_trimmed {
                let position = Position::new(batch.epoch(), offset);
                return Err(StoreError::Conflict { position, given: event.event_id });
            }
        }
        Ok(new)
    }

    fn add_gaps(&mut self, gaps: &[Gap]) {
        for gap in gaps.iter().filter(|gap| !gap.offsets.is_empty()) {
            if !self.gaps.contains(gap) {
                self.gaps.push(gap.clone());
            }
        }
        self.gaps.sort_by_key(|gap| gap.offsets.start);
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let contents = self.shared.contents.lock();
        f.debug_struct("MemoryStore").field("events", &contents.events.len()).finish_non_exhaustive()
    }
}
