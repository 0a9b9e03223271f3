//! Whether a thread is inside the export or its end, and so cannot wait for either.
//!
//! Exporters and processors are the user's code, and may hold a handle of the telemetry that they belong to.

use std::cell::Cell;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// The mark of a thread, until it is dropped.
pub(super) struct Inside {
    before: bool,
}

impl Inside {
    /// Calls what may be the user's code.
    pub(super) fn with<R>(call: impl FnOnce() -> R) -> R {
        let _inside = Self::enter();
        call()
    }

    /// Calls what waits for the export; nothing if the thread is inside it.
    pub(super) fn unless_inside<R>(wait: impl FnOnce() -> R) -> Option<R> {
        (!INSIDE.get()).then(|| Self::with(wait))
    }

    fn enter() -> Self {
        Self { before: INSIDE.replace(true) }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(self.before);
    }
}
