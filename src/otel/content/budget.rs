//! How much content the open components of one reader may keep altogether.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// How many bytes of content the open spans of one mapper keep altogether, and likewise the open requests of one emitter of
/// log events: 64 MiB. What does not fit is left out, marked as cut, and counted.
pub const MAX_OPEN_CONTENT_BYTES: usize = 64 * 1024 * 1024;

/// The room that all have together.
#[derive(Clone, Debug)]
pub(in crate::otel) struct Budget(Arc<State>);

#[derive(Debug)]
struct State {
    room: AtomicUsize,
    omitted: AtomicU64,
}

/// The room that one component has taken, which is free again when this is dropped.
#[derive(Debug)]
pub(in crate::otel) struct Share {
    budget: Budget,
    bytes: usize,
    is_cut: bool,
}

impl Budget {
    /// A component's share, of no bytes yet.
    pub(in crate::otel) fn share(&self) -> Share {
        Share { budget: self.clone(), bytes: 0, is_cut: false }
    }

    /// How many components had to leave content out.
    pub(in crate::otel) fn omitted(&self) -> u64 {
        self.0.omitted.load(Ordering::Relaxed)
    }
}

impl Share {
    /// Takes more room, if there is some; if not, the component counts as one that leaves content out.
    #[must_use]
    pub(in crate::otel) fn grow(&mut self, bytes: usize) -> bool {
        let Budget(state) = &self.budget;
        let take = |room: usize| room.checked_sub(bytes);
        let has_room = state.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok();
        if has_room {
            self.bytes += bytes;
        } else if !self.is_cut {
            self.is_cut = true;
            state.omitted.fetch_add(1, Ordering::Relaxed);
        }
        has_room
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.0.room.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

impl Default for Budget {
    /// [`MAX_OPEN_CONTENT_BYTES`].
    fn default() -> Self {
        Self(Arc::new(State { room: AtomicUsize::new(MAX_OPEN_CONTENT_BYTES), omitted: AtomicU64::new(0) }))
    }
}
