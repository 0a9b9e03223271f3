//! What is stored at once.

use std::{ops::Range, sync::Arc};

use super::{Position, StoreError};
use crate::{event::Event, stream::Epoch};

/// Events of one epoch that are stored together or not at all, in the order of their offsets, and what is missing among them.
#[derive(Clone, Debug)]
pub struct Batch {
    epoch: Epoch,
    events: Vec<Arc<Event>>,
    gaps: Vec<Gap>,
}

/// Offsets of an epoch that the store does not hold and never will.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// The life of the stream.
    pub epoch: Epoch,
    /// The offsets.
    pub offsets: Range<u64>,
    /// Why they are missing.
    pub reason: GapReason,
}

/// Why a store does not hold some offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GapReason {
    /// The stream let go of the events before they could be stored.
    Overrun,
    /// The process ended; it is not known how many of these offsets there were.
    Interrupted,
    /// What was stored was lost, by damage to the store.
    Damaged,
}

impl Batch {
    /// An empty batch for an epoch.
    #[must_use]
    pub const fn new(epoch: Epoch) -> Self {
        Self { epoch, events: Vec::new(), gaps: Vec::new() }
    }

    /// Adds an event.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unordered`] if it has no offset, or not a higher one than the event before it.
    pub fn push(&mut self, event: Arc<Event>) -> Result<(), StoreError> {
        let expected = self.next_offset().unwrap_or_default();
        match event.offset {
            Some(offset) if offset >= expected => {
                self.events.push(event);
                Ok(())
            }
            offset => Err(StoreError::Unordered { event_id: event.event_id, offset, expected }),
        }
    }

    /// Names offsets that will not be stored.
    pub fn push_gap(&mut self, offsets: Range<u64>, reason: GapReason) {
        self.gaps.push(Gap::new(self.epoch, offsets, reason));
    }

    /// The epoch that all events are of.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The events, each with an offset, in their order.
    #[must_use]
    pub fn events(&self) -> &[Arc<Event>] {
        &self.events
    }

    /// What is missing.
    #[must_use]
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Whether there is nothing to store.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.events.is_empty() && self.gaps.is_empty()
    }

    /// The position of the last event.
    #[must_use]
    pub fn last(&self) -> Option<Position> {
        Some(Position::new(self.epoch, self.events.last()?.offset?))
    }

    fn next_offset(&self) -> Option<u64> {
        Some(self.events.last()?.offset? + 1)
    }
}

impl Gap {
    /// Names offsets that are missing.
    #[must_use]
    pub const fn new(epoch: Epoch, offsets: Range<u64>, reason: GapReason) -> Self {
        Self { epoch, offsets, reason }
    }
}

impl GapReason {
    /// The reason that a store has written.
    #[must_use]
    pub fn of_str(text: &str) -> Option<Self> {
        [Self::Overrun, Self::Interrupted, Self::Damaged].into_iter().find(|reason| reason.as_str() == text)
    }

    /// The reason as a store writes it: snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overrun => "overrun",
            Self::Interrupted => "interrupted",
            Self::Damaged => "damaged",
        }
    }
}
