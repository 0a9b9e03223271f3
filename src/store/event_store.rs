//! What every engine can do.

use std::fmt;

use async_trait::async_trait;

use super::{Batch, Cursor, EpochRecord, Gap, Position, Query, Retention, StoreError, StoredEvent, Trimmed};
use crate::stream::Epoch;

/// A place where events outlive the process.
///
/// A store holds the events of any number of epochs, the lives of streams, and has one order for all of them: that in which
/// they were stored. Within an epoch it is that of the offsets. What [`append`](Self::append) has acknowledged is found by
/// every later read, by any handle, and as durable as the engine's documentation says.
///
/// An epoch is written by one handle, its owner, which opened it. When the owner is gone without having closed it, the
/// epoch is abandoned and another handle may [adopt](Self::adopt_epoch) it; the first owner, should it come back, is refused
/// from then on.
///
/// No method blocks the thread. All may be canceled: what was to be written is then written or not.
#[async_trait]
pub trait EventStore: fmt::Debug + Send + Sync {
    /// Makes this handle the owner of a new epoch, or opens one again that it has closed. Returns the offset that follows the
    /// last event stored of it.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotOwner`] if another handle opened it; what the engine meets.
    async fn open_epoch(&self, epoch: Epoch) -> Result<u64, StoreError>;

    /// Stores a batch as a whole, and returns once it is acknowledged.
    ///
    /// A batch may be appended again: events that are stored already are passed over.
    ///
    /// # Errors
    ///
    /// - [`StoreError::NotOwner`] if this handle does not own the epoch.
    /// - [`StoreError::Conflict`] if another event has the position of one, or if one is not stored and lies in front of one
    ///   that is.
    /// - What the engine meets.
    async fn append(&self, batch: &Batch) -> Result<(), StoreError>;

    /// Says that an epoch is over. Its events stay. It may be called again.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotOwner`] if this handle is not the one that owned it last; what the engine meets.
    async fn close_epoch(&self, epoch: Epoch) -> Result<(), StoreError>;

    /// Makes this handle the owner of an abandoned epoch. Returns whether it owns the epoch: it does not if that is closed, or
    /// if another handle is alive or was quicker. It may be called again.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnknownEpoch`]; what the engine meets.
    async fn adopt_epoch(&self, epoch: Epoch) -> Result<bool, StoreError>;

    /// Reads the next events behind a cursor, at most `limit` that pass.
    ///
    /// A page may be shorter, or empty, though there are more, so that no call looks at a whole store: go on at
    /// [`Page::next`] until [`Page::is_last`].
    ///
    /// # Errors
    ///
    /// [`StoreError::UnknownEpoch`] if the cursor is in an epoch that the store does not know; what the engine meets.
    async fn read(&self, from: Cursor, query: &Query, limit: usize) -> Result<Page, StoreError>;

    /// The position of the event that was stored last; `None` if the store holds none.
    ///
    /// # Errors
    ///
    /// What the engine meets.
    async fn latest(&self) -> Result<Option<Position>, StoreError>;

    /// Waits until there is an event behind a cursor, by whichever process it is stored. It may return before.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read).
    async fn changed(&self, since: Cursor) -> Result<(), StoreError>;

    /// The epochs that the store knows, in the order in which they were opened.
    ///
    /// # Errors
    ///
    /// What the engine meets.
    async fn epochs(&self) -> Result<Vec<EpochRecord>, StoreError>;

    /// The offsets that are known to be missing from an epoch, lowest first.
    ///
    /// # Errors
    ///
    /// What the engine meets.
    async fn gaps(&self, epoch: Epoch) -> Result<Vec<Gap>, StoreError>;

    /// Lets go of the oldest events until all bounds hold.
    ///
    /// # Errors
    ///
    /// What the engine meets; some events may be gone then.
    async fn trim(&self, retention: &Retention) -> Result<Trimmed, StoreError>;
}

/// A part of what a store holds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Page {
    /// The events that pass, in the store's order.
    pub events: Vec<StoredEvent>,
    /// Where to go on: behind the last event that was looked at, which may be one that does not pass.
    pub next: Cursor,
    /// Whether nothing was behind that.
    pub is_last: bool,
}

impl Page {
    /// Puts a page together.
    #[must_use]
    pub const fn new(events: Vec<StoredEvent>, next: Cursor, is_last: bool) -> Self {
        Self { events, next, is_last }
    }
}
