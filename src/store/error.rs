//! What a store can refuse, and why.

use std::error::Error;

use thiserror::Error;
use uuid::Uuid;

use super::Position;
use crate::stream::Epoch;

/// A store could not do what was asked. Nothing of a batch is stored then, unless the variant says otherwise.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store cannot be reached or is busy; the same call may succeed later. Whether a batch was stored is not known, and
    /// appending it again stores it once.
    #[error("the store is not available: {what}")]
    #[non_exhaustive]
    Unavailable {
        /// What was tried, and what to look at.
        what: String,
        /// What the engine says.
        source: Box<dyn Error + Send + Sync>,
    },
    /// What is stored is damaged.
    #[error("the store is damaged: {what}")]
    #[non_exhaustive]
    Damaged {
        /// What, where and what to do.
        what: String,
        /// What the engine says.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The store was written by a later version of this crate, or is none of ours.
    #[error("the store cannot be read by this version: {what}")]
    #[non_exhaustive]
    Incompatible {
        /// What was found and what to do.
        what: String,
    },
    /// What the store was to be opened with cannot be used.
    #[error("the store cannot be opened: {what}")]
    #[non_exhaustive]
    Misconfigured {
        /// What is wrong, and what to write.
        what: String,
    },
    /// This handle does not own the epoch: it has not opened it, has closed it, or was taken for dead and another one has
    /// adopted it.
    #[error("epoch {epoch} is not open under this handle of the store; start a new stream, or recover the store first")]
    #[non_exhaustive]
    NotOwner {
        /// The epoch.
        epoch: Epoch,
    },
    /// No event of the epoch was ever stored here.
    #[error("the store knows no epoch {epoch}; read from the beginning, or from the store that the position is of")]
    #[non_exhaustive]
    UnknownEpoch {
        /// The epoch.
        epoch: Epoch,
    },
    /// Another event has the position already, or one behind it is stored.
    #[error("position {position} is taken: event {given} comes too late or is another than the one stored")]
    #[non_exhaustive]
    Conflict {
        /// The position.
        position: Position,
        /// The event that was to be stored.
        given: Uuid,
    },
    /// An event has no offset, or one that is not behind the event before it; append it to a stream first.
    #[error(
        "event {event_id} cannot be part of a batch: its offset is {offset:?}, expected {expected} or a higher one"
    )]
    #[non_exhaustive]
    Unordered {
        /// The event.
        event_id: Uuid,
        /// Its offset.
        offset: Option<u64>,
        /// The lowest that it may have.
        expected: u64,
    },
    /// The call has to be made on a Tokio runtime.
    #[error("there is no Tokio runtime here: call it from a task of one")]
    NoRuntime,
}

impl StoreError {
    /// The store cannot be reached or is busy: what was tried, and what the engine says.
    pub fn unavailable(what: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable { what: what.into(), source: source.into() }
    }

    /// What is stored is damaged: what, where and what to do.
    pub fn damaged(what: impl Into<String>, source: Option<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Damaged { what: what.into(), source }
    }

    /// The store cannot be read by this version: what was found and what to do.
    pub fn incompatible(what: impl Into<String>) -> Self {
        Self::Incompatible { what: what.into() }
    }

    /// What the store was to be opened with cannot be used: what is wrong, and what to write.
    pub fn misconfigured(what: impl Into<String>) -> Self {
        Self::Misconfigured { what: what.into() }
    }

    /// A handle does not own an epoch.
    #[must_use]
    pub const fn not_owner(epoch: Epoch) -> Self {
        Self::NotOwner { epoch }
    }

    /// No event of an epoch was ever stored.
    #[must_use]
    pub const fn unknown_epoch(epoch: Epoch) -> Self {
        Self::UnknownEpoch { epoch }
    }

    /// A position cannot be taken by an event.
    #[must_use]
    pub const fn conflict(position: Position, given: Uuid) -> Self {
        Self::Conflict { position, given }
    }

    /// Whether the same call may succeed later without anything else being done.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
