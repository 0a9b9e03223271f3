//! What a reader of a stream gets in place of an event.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::event::MissedEvents;

/// A reader fell behind the whole log; the named events are no longer kept.
///
/// In JSON it has the fields of [`MissedEvents`]: `{"missed": 2, "first_offset": 0, "last_offset": 1}`.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(into = "MissedEvents", from = "MissedEvents")]
#[error("{} events were dropped before they were read, offsets {} to {}", .missing.end - .missing.start, .missing.start, .missing.end - 1)]
pub struct Lagged {
    pub(super) missing: Range<u64>,
}

impl Lagged {
    /// The offsets that were missed, to be read back from a store.
    #[must_use]
    pub fn missing(&self) -> Range<u64> {
        self.missing.clone()
    }

    /// How many events were missed, of any scope: a filter is not applied to what is gone.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.missing.end - self.missing.start
    }
}

impl From<Lagged> for MissedEvents {
    fn from(lagged: Lagged) -> Self {
        Self::new(&lagged.missing)
    }
}

impl From<MissedEvents> for Lagged {
    fn from(missed: MissedEvents) -> Self {
        let end = missed.last_offset.saturating_add(1);
        Self { missing: missed.first_offset.min(end)..end }
    }
}

/// Why [`Subscription::recv`](super::Subscription::recv) has no event. After anything but `Lagged` no event will come.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecvError {
    /// Events were missed; the next call goes on at the oldest event kept.
    #[error("the subscriber lagged")]
    Lagged(#[source] Lagged),
    /// Every handle of the stream is gone, or the one run that the subscription is for is over, and all events were read.
    #[error("the event stream is closed")]
    Closed,
}

/// Why [`Subscription::try_recv`](super::Subscription::try_recv) has no event. After anything but `Empty` and `Lagged` no event
/// will come.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TryRecvError {
    /// Nothing new so far.
    #[error("no event is waiting")]
    Empty,
    /// Events were missed; the next call goes on at the oldest event kept.
    #[error("the subscriber lagged")]
    Lagged(#[source] Lagged),
    /// Every handle of the stream is gone, or the one run that the subscription is for is over, and all events were read.
    #[error("the event stream is closed")]
    Closed,
}
