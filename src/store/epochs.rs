//! What a store knows of the lives of streams that it holds events of.

use chrono::{DateTime, Utc};

use crate::stream::Epoch;

/// One life of a stream, as a store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EpochRecord {
    /// Its name.
    pub epoch: Epoch,
    /// Whether it goes on.
    pub state: EpochState,
    /// When the store was first asked to hold it.
    pub opened_at: DateTime<Utc>,
    /// The offset behind the last event that was ever stored of it.
    pub next_offset: u64,
}

/// Whether the life of a stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EpochState {
    /// Its owner, a handle of the store here or in another process, is alive.
    Open,
    /// It was never closed, and its owner is gone.
    Abandoned,
    /// It is over.
    Closed,
}

impl EpochRecord {
    /// Describes an epoch.
    #[must_use]
    pub const fn new(epoch: Epoch, state: EpochState, opened_at: DateTime<Utc>, next_offset: u64) -> Self {
        Self { epoch, state, opened_at, next_offset }
    }
}
