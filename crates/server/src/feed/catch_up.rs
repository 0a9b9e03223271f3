//! A part of one life of a stream, read from a store.

use std::{collections::VecDeque, mem, ops::Range, sync::Arc, time::Duration};

use agent_runtime::{
    event::{Event, EventFilter},
    store::{Cursor, EventStore, Position, Query, StoreError, StoredEvent},
    stream::Epoch,
};
use tokio::{
    task::coop,
    time::{Instant, timeout_at},
};

use crate::{LossReason, LostRange, Place};

/// How many events are read at once, which bounds what a client costs meanwhile.
pub(super) const PAGE_SIZE: usize = 64;

/// How long events that the stream keeps no longer are waited for, as the recorder may hold them in its hands.
const STORED_WITHIN: Duration = Duration::from_secs(5);

/// Reads the offsets of an epoch in order.
#[derive(Debug)]
pub(super) struct CatchUp {
    store: Arc<dyn EventStore>,
    epoch: Epoch,
    /// The offset that comes next.
    next: u64,
    /// Where the stream itself goes on; `None` for a life that is over.
    until: Option<u64>,
    cursor: Cursor,
    page: VecDeque<StoredEvent>,
    is_last: bool,
    /// When what is still not stored is taken for missing.
    patience: Option<Instant>,
}

/// What a look at the store brought.
pub(super) enum Caught {
    Event(Place, Arc<Event>),
    Gap(LostRange),
    /// All is read.
    End,
}

impl CatchUp {
    pub(super) fn new(store: Arc<dyn EventStore>, epoch: Epoch, next: u64, until: Option<u64>) -> Self {
        let cursor = next.checked_sub(1).map_or(Cursor::Beginning, |last| Cursor::After(Position::new(epoch, last)));
        Self { store, epoch, next, until, cursor, page: VecDeque::new(), is_last: false, patience: None }
    }

    pub(super) const fn place(&self) -> Place {
        Place::before(self.epoch, self.next)
    }

    /// Looks for the next event that is wanted. Cancel safe. A failure that a later call cannot mend is a gap.
    pub(super) async fn next(&mut self, filter: &EventFilter) -> Result<Caught, StoreError> {
        match self.look(filter).await {
            Err(error) if !error.is_retryable() => {
                let reason = match error {
                    StoreError::UnknownEpoch { .. } => LossReason::NotStored,
                    _ => LossReason::Damaged,
                };
                if reason == LossReason::Damaged {
                    tracing::warn!(target: "agent_runtime::server", %error, "events cannot be read from the store; a client is shown a gap");
                }
                let offset = mem::replace(&mut self.next, u64::MAX);
                self.is_last = true;
                self.page.clear();
                Ok(Caught::Gap(match self.until.take() {
                    Some(until) => LostRange::of(self.epoch, &(offset..until), reason),
                    None => LostRange::from_offset(self.epoch, offset, reason, Place::before(self.epoch, u64::MAX)),
                }))
            }
            other => other,
        }
    }

    async fn look(&mut self, filter: &EventFilter) -> Result<Caught, StoreError> {
        loop {
            let Some(offset) = self.page.front().map(|stored| stored.position.offset) else {
                match self.until {
                    None if self.is_last => return Ok(Caught::End),
                    Some(until) if self.next >= until => return Ok(Caught::End),
                    Some(until) if self.is_last => {
                        if !self.has_changed().await? {
                            return Ok(Caught::Gap(self.skip_to(until).await?));
                        }
                    }
                    _ => self.read().await?,
                }
                continue;
            };
            if let Some(until) = self.until.filter(|until| offset >= *until) {
                if self.next < until {
                    return Ok(Caught::Gap(self.skip_to(until).await?));
                }
                return Ok(Caught::End);
            }
            if offset > self.next {
                return Ok(Caught::Gap(self.skip_to(offset).await?));
            }
            let passed = self.page.pop_front().filter(|stored| filter.passes(&stored.event));
            self.next = offset + 1;
            if let Some(stored) = passed {
                return Ok(Caught::Event(self.place(), stored.event));
            }
            coop::consume_budget().await;
        }
    }

    async fn read(&mut self) -> Result<(), StoreError> {
        // Not narrowed by the filter: what is missing is seen by the offsets.
        let page = self.store.read(self.cursor, &Query::default().with_epoch(self.epoch), PAGE_SIZE).await?;
        (self.cursor, self.is_last) = (page.next, page.is_last);
        if !page.events.is_empty() {
            self.patience = None;
        }
        self.page.extend(page.events.into_iter().filter(|stored| stored.position.offset >= self.next));
        Ok(())
    }

    /// Waits until the store may have more.
    async fn has_changed(&mut self) -> Result<bool, StoreError> {
        // Kept, as the call may be canceled and made again.
        let deadline = *self.patience.get_or_insert_with(|| Instant::now() + STORED_WITHIN);
        let Ok(changed) = timeout_at(deadline, self.store.changed(self.cursor)).await else { return Ok(false) };
        changed?;
        self.is_last = false;
        Ok(true)
    }

    /// Names what lies in front of an offset as missing.
    async fn skip_to(&mut self, offset: u64) -> Result<LostRange, StoreError> {
        let lost = missing(&*self.store, self.epoch, self.next..offset).await?;
        self.next = offset;
        Ok(lost)
    }
}

/// Offsets that a store does not have, and why, as far as it knows.
pub(super) async fn missing(
    store: &dyn EventStore,
    epoch: Epoch,
    offsets: Range<u64>,
) -> Result<LostRange, StoreError> {
    let gaps = store.gaps(epoch).await?;
    let known = gaps.iter().find(|gap| gap.offsets.contains(&offsets.start));
    let reason = known.map_or(LossReason::NotStored, |gap| gap.reason.into());
    Ok(LostRange::of(epoch, &offsets, reason))
}
