//! What became of a stream's events on the way into a store.

use std::sync::Arc;

use crate::store::{Gap, Position, StoreError};

/// What a [`Recorder`](super::Recorder) has stored and what it has not.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct RecorderReport {
    pub(super) stored: u64,
    pub(super) missed: u64,
    pub(super) gaps: Vec<Gap>,
    pub(super) last: Option<Position>,
    pub(super) unstored: u64,
    pub(super) retries: u64,
    pub(super) failure: Option<Arc<StoreError>>,
}

impl RecorderReport {
    /// How many gaps a report names; the store has them all.
    pub const MAX_GAPS: usize = 64;

    /// How many events the store has acknowledged.
    #[must_use]
    pub const fn stored(&self) -> u64 {
        self.stored
    }

    /// How many events the stream let go of before they could be stored.
    #[must_use]
    pub const fn missed(&self) -> u64 {
        self.missed
    }

    /// Which those are: the first [`MAX_GAPS`](Self::MAX_GAPS) ranges.
    #[must_use]
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// The position of the last event that the store has acknowledged.
    #[must_use]
    pub const fn last(&self) -> Option<Position> {
        self.last
    }

    /// How many events were in the stream when it stopped and are not known to be stored.
    #[must_use]
    pub const fn unstored(&self) -> u64 {
        self.unstored
    }

    /// How often the store was asked again, because it was not available.
    #[must_use]
    pub const fn retries(&self) -> u64 {
        self.retries
    }

    /// Why it stopped before the stream ended, if the store refused to take more.
    #[must_use]
    pub fn failure(&self) -> Option<&StoreError> {
        self.failure.as_deref()
    }

    /// Whether every event of the stream up to its end, or up to where it was stopped, is stored.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.missed == 0 && self.unstored == 0 && self.failure.is_none()
    }
}
