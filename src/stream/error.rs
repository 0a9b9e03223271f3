//! What a reader of a stream gets in place of an event.

use std::ops::Range;

use thiserror::Error;

/// A reader fell behind the whole log; the named events are no longer kept.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
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

/// Why [`Subscription::recv`](super::Subscription::recv) has no event. These are all there will be, as a reader's loop must know
/// whether to go on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecvError {
    /// Events were missed; the next call goes on at the oldest event kept.
    #[error("the subscriber lagged")]
    Lagged(#[source] Lagged),
    /// Every handle of the stream is gone and all of its events were read.
    #[error("the event stream is closed")]
    Closed,
}

/// Why [`Subscription::try_recv`](super::Subscription::try_recv) has no event. These are all there will be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TryRecvError {
    /// Nothing new so far.
    #[error("no event is waiting")]
    Empty,
    /// Events were missed; the next call goes on at the oldest event kept.
    #[error("the subscriber lagged")]
    Lagged(#[source] Lagged),
    /// Every handle of the stream is gone and all of its events were read.
    #[error("the event stream is closed")]
    Closed,
}
