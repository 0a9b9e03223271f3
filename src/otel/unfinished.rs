//! Work that was left for after a stream's turn, counted until it is done: a flush waits for what was there before it.

#[cfg(feature = "otlp-http")]
use std::time::Instant;
use std::{collections::BTreeSet, sync::Arc};

use parking_lot::{Condvar, Mutex};

/// The work of one reader of events that is still to be done.
#[derive(Clone, Debug, Default)]
pub(super) struct Unfinished(Arc<State>);

/// A piece of work, done when this is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    state: Arc<State>,
    number: u64,
}

#[derive(Debug, Default)]
struct State {
    numbers: Mutex<Numbers>,
    one_is_done: Condvar,
}

#[derive(Debug, Default)]
struct Numbers {
    next: u64,
    open: BTreeSet<u64>,
}

impl Unfinished {
    pub(super) fn begin(&self) -> Ticket {
        let mut numbers = self.0.numbers.lock();
        let number = numbers.next;
        numbers.next += 1;
        numbers.open.insert(number);
        Ticket { state: Arc::clone(&self.0), number }
    }

    /// Waits until all that has begun by now is done, or the time is over.
    #[cfg(feature = "otlp-http")]
    pub(super) fn wait_until(&self, deadline: Instant) {
        let mut numbers = self.0.numbers.lock();
        let end = numbers.next;
        let goes_on = |numbers: &mut Numbers| numbers.open.first().is_some_and(|oldest| *oldest < end);
        self.0.one_is_done.wait_while_until(&mut numbers, goes_on, deadline);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.state.numbers.lock().open.remove(&self.number);
        self.state.one_is_done.notify_all();
    }
}
