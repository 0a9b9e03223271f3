//! What of `tracing` a thread is in.

use std::cell::Cell;

/// The innermost of what a thread is in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    /// Neither in a layer nor in a callback of ours.
    Nothing,
    /// In a callback of a layer of ours, where events are handed to the bridges and not to `tracing`.
    #[cfg(feature = "ingest")]
    Callback,
    /// In a layer that is asked about an event or shown one.
    Layer,
}

/// Keeps a thread in something until it is dropped.
pub(super) struct In {
    before: Within,
}

thread_local! {
    static WITHIN: Cell<Within> = const { Cell::new(Within::Nothing) };
}

impl Within {
    /// What this thread is in.
    pub(super) fn current() -> Self {
        WITHIN.get()
    }
}

impl In {
    pub(super) fn enter(within: Within) -> Self {
        Self { before: WITHIN.replace(within) }
    }
}

impl Drop for In {
    fn drop(&mut self) {
        WITHIN.set(self.before);
    }
}
