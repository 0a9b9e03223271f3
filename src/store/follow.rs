//! A store read live: what it holds, then what comes.

use std::{collections::VecDeque, sync::Arc};

use super::{Cursor, EventStore, Query, StoreError, StoredEvent};

/// A reader of a store that waits at its end for what is stored next, without a gap and without a duplicate.
#[derive(Debug)]
pub struct Follow {
    store: Arc<dyn EventStore>,
    query: Query,
    /// Where the next page begins.
    next: Cursor,
    /// Behind what was handed out, and behind what did not pass in front of it.
    cursor: Cursor,
    taken: VecDeque<StoredEvent>,
}

impl Follow {
    /// How many events are read at once.
    pub const PAGE_SIZE: usize = 256;

    /// Reads the events that pass, from a cursor on.
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>, from: Cursor, query: Query) -> Self {
        Self { store, query, next: from, cursor: from, taken: VecDeque::new() }
    }

    /// Reads the events that are stored from now on.
    ///
    /// # Errors
    ///
    /// Those of [`EventStore::latest`].
    pub async fn from_now(store: Arc<dyn EventStore>, query: Query) -> Result<Self, StoreError> {
        let from = store.latest().await?.map_or(Cursor::Beginning, Cursor::After);
        Ok(Self::new(store, from, query))
    }

    /// Waits for the next event that passes.
    ///
    /// # Errors
    ///
    /// Those of [`EventStore::read`]; the next call goes on at the same place.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: an event is only taken by the poll that returns it.
    pub async fn recv(&mut self) -> Result<StoredEvent, StoreError> {
        loop {
            if let Some(stored) = self.taken.pop_front() {
                self.cursor = if self.taken.is_empty() { self.next } else { Cursor::After(stored.position) };
                return Ok(stored);
            }
            let page = self.store.read(self.next, &self.query, Self::PAGE_SIZE).await?;
            self.next = page.next;
            self.taken.extend(page.events);
            if self.taken.is_empty() {
                self.cursor = self.next;
                if page.is_last {
                    self.store.changed(self.next).await?;
                }
            }
        }
    }

    /// Where another reader has to begin to go on behind what this one has returned. It moves on also where nothing passes.
    #[must_use]
    pub const fn cursor(&self) -> Cursor {
        self.cursor
    }
}
