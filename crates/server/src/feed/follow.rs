//! A store alone, in its order, with the events of all processes that write it.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use agent_runtime::{
    event::EventFilter,
    store::{Cursor, EventStore, Query, StoreError, StoredEvent},
    stream::Epoch,
};
use tokio::task::coop;

use super::{
    Delivery, FeedError, From,
    catch_up::{PAGE_SIZE, missing},
};
use crate::{LossReason, LostRange, Place};

/// The most lives of streams whose next offsets are remembered, to see what is missing.
const MAX_EPOCHS: usize = 1_024;

/// Reads a store to its end and on.
#[derive(Debug)]
pub(super) struct StoreFeed {
    store: Arc<dyn EventStore>,
    filter: EventFilter,
    /// Behind what was handed out or passed over.
    cursor: Cursor,
    /// Behind what is in the page.
    behind_page: Cursor,
    page: VecDeque<StoredEvent>,
    is_last: bool,
    /// The offset that comes next in each epoch that was seen.
    expected: HashMap<Epoch, u64>,
    /// Whether an epoch that was not seen is seen from its first event on.
    from_beginning: bool,
    lost: Option<LostRange>,
    is_merged: bool,
}

impl StoreFeed {
    pub(super) async fn new(
        store: Arc<dyn EventStore>,
        from: From,
        filter: EventFilter,
        is_merged: bool,
    ) -> Result<Self, FeedError> {
        let mut feed = Self {
            store,
            filter,
            cursor: Cursor::Beginning,
            behind_page: Cursor::Beginning,
            page: VecDeque::new(),
            is_last: false,
            expected: HashMap::new(),
            from_beginning: false,
            lost: None,
            is_merged,
        };
        match from {
            From::Now => feed.cursor = feed.store.latest().await?.map_or(Cursor::Beginning, Cursor::After),
            From::Place(place) => feed.begin_at(place).await?,
        }
        feed.from_beginning |= feed.cursor == Cursor::Beginning;
        feed.behind_page = feed.cursor;
        Ok(feed)
    }

    async fn begin_at(&mut self, place: Place) -> Result<(), FeedError> {
        let Some((epoch, next)) = place.next() else { return Ok(()) };
        let is_known = self.store.epochs().await?.iter().any(|record| record.epoch == epoch);
        match place {
            Place::After(position) if is_known => {
                self.expected.insert(epoch, next);
                self.cursor = Cursor::After(position);
            }
            // In front of its first event there may be any of others.
            Place::Start(_) if is_known => {}
            _ => {
                self.lost = Some(LostRange::from_offset(epoch, next, LossReason::UnknownEpoch, Place::Beginning));
            }
        }
        Ok(())
    }

    pub(super) fn place(&self) -> Place {
        self.lost.as_ref().map_or(Place::of_cursor(self.cursor), |lost| Place::before(lost.epoch, lost.first_offset))
    }

    pub(super) async fn next(&mut self) -> Result<Delivery, FeedError> {
        loop {
            if let Some(delivery) = self.next_of_present().await? {
                return Ok(delivery);
            }
            self.store.changed(self.cursor).await?;
            self.is_last = false;
        }
    }

    pub(super) async fn next_of_present(&mut self) -> Result<Option<Delivery>, FeedError> {
        if let Some(lost) = self.lost.take() {
            return Ok(Some(Delivery::Gap(lost)));
        }
        loop {
            let Some(stored) = self.page.front() else {
                self.cursor = self.behind_page;
                if self.is_last {
                    return Ok(None);
                }
                self.read().await?;
                continue;
            };
            let position = stored.position;
            let seen = self.expected.get(&position.epoch).copied();
            let expected = seen.unwrap_or(if self.from_beginning { 0 } else { position.offset });
            if position.offset > expected {
                let mut lost = missing(&*self.store, position.epoch, expected..position.offset).await?;
                // The next cursor of the store's order; within the epoch the same place may lie elsewhere.
                lost.resumes_at = Place::of_cursor(self.cursor);
                self.expect(position.epoch, position.offset);
                return Ok(Some(Delivery::Gap(lost)));
            }
            self.expect(position.epoch, position.offset + 1);
            self.cursor = Cursor::After(position);
            let passed = self.page.pop_front().filter(|stored| self.filter.passes(&stored.event));
            if let Some(stored) = passed {
                let place = Place::After(position);
                return Ok(Some(if self.is_merged {
                    Delivery::Merged(place, vec![stored.event])
                } else {
                    Delivery::Events(vec![(place, stored.event)])
                }));
            }
            coop::consume_budget().await;
        }
    }

    async fn read(&mut self) -> Result<(), StoreError> {
        let page = self.store.read(self.behind_page, &Query::default(), PAGE_SIZE).await?;
        (self.behind_page, self.is_last) = (page.next, page.is_last);
        self.page.extend(page.events);
        Ok(())
    }

    fn expect(&mut self, epoch: Epoch, next: u64) {
        if self.expected.len() >= MAX_EPOCHS && !self.expected.contains_key(&epoch) {
            self.expected.clear();
            self.from_beginning = false;
        }
        self.expected.insert(epoch, next);
    }
}
