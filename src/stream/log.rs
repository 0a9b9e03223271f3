//! The bounded ring of events that is history and broadcast buffer in one.

use std::{collections::VecDeque, ops::Range, sync::Arc, task::Waker};

use crate::event::Event;

/// How many events a reader takes at once, so that the lock is held for a short, bounded time.
pub(super) const READ_BATCH: usize = 64;

/// The events kept, by offset, and the readers that wait.
#[derive(Debug)]
pub(super) struct Log {
    events: VecDeque<Arc<Event>>,
    first: u64,
    capacity: usize,
    waiters: Vec<Waiter>,
    closed: bool,
}

/// A reader that waits for the next event.
#[derive(Debug)]
pub(super) struct Waiter {
    reader: u64,
    waker: Waker,
}

impl Waiter {
    pub(super) fn wake(self) {
        self.waker.wake();
    }
}

/// What a reader finds at its position.
pub(super) enum Read {
    /// At least one event was taken.
    Taken,
    /// The reader's position is no longer kept; it should go on at the end of the range.
    Missed(Range<u64>),
    /// Nothing there yet.
    Empty,
    /// Nothing there, and nothing will come.
    Closed,
}

impl Log {
    pub(super) fn new(capacity: usize) -> Self {
        Self { events: VecDeque::new(), first: 0, capacity, waiters: Vec::new(), closed: false }
    }

    /// The offsets kept: from the oldest event to the one that comes next.
    pub(super) fn kept(&self) -> Range<u64> {
        self.first..self.first + self.events.len() as u64
    }

    /// Keeps an event at the end; gives the oldest one if the ring was full, to be dropped without the lock.
    #[must_use]
    pub(super) fn push(&mut self, event: Arc<Event>) -> Option<Arc<Event>> {
        let forgotten = if self.events.len() == self.capacity { self.events.pop_front() } else { None };
        self.first += u64::from(forgotten.is_some());
        self.events.push_back(event);
        forgotten
    }

    /// Marks that no event will come.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// The readers to wake after a push or a close; the caller wakes them without the lock.
    pub(super) fn take_waiters(&mut self) -> Vec<Waiter> {
        std::mem::take(&mut self.waiters)
    }

    /// Moves up to `limit` events from `cursor` on into `into`.
    pub(super) fn read(&self, cursor: u64, limit: usize, into: &mut VecDeque<Arc<Event>>) -> Read {
        let kept = self.kept();
        if cursor < kept.start {
            return Read::Missed(cursor..kept.start);
        }
        let skip = usize::try_from(cursor - kept.start).unwrap_or(usize::MAX);
        if skip >= self.events.len() {
            return if self.closed { Read::Closed } else { Read::Empty };
        }
        into.extend(self.events.range(skip..).take(limit).cloned());
        Read::Taken
    }

    /// Registers a reader to be woken by the next push; one place for each reader, however often it polls.
    ///
    /// Gives the waker that this one replaces, to be dropped without the lock: it may be the last that holds a task, and
    /// the task may hold a subscription, whose drop takes the lock.
    #[must_use]
    pub(super) fn wait(&mut self, reader: u64, waker: &Waker) -> Option<Waker> {
        match self.waiters.iter_mut().find(|waiter| waiter.reader == reader) {
            Some(waiter) if waiter.waker.will_wake(waker) => None,
            Some(waiter) => Some(std::mem::replace(&mut waiter.waker, waker.clone())),
            None => {
                self.waiters.push(Waiter { reader, waker: waker.clone() });
                None
            }
        }
    }

    /// Forgets a reader that is gone; gives its waker, to be dropped without the lock as in [`wait`](Self::wait).
    #[must_use]
    pub(super) fn forget(&mut self, reader: u64) -> Option<Waker> {
        let place = self.waiters.iter().position(|waiter| waiter.reader == reader)?;
        Some(self.waiters.swap_remove(place).waker)
    }
}
