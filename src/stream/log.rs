//! The bounded ring of events that is history and broadcast buffer in one.

use std::{collections::VecDeque, ops::Range, sync::Arc, task::Waker};

use super::{
    contain,
    filter::Topic,
    waiters::{Place, Since, Waiters},
};
use crate::event::Event;

/// How many events a reader takes at once, so that the lock is held for a short, bounded time.
pub(super) const READ_BATCH: usize = 64;

/// The events kept, by offset, and the readers that wait.
#[derive(Debug)]
pub(super) struct Log {
    events: VecDeque<Kept>,
    first: u64,
    bytes: usize,
    bounds: Bounds,
    waiters: Waiters,
    closed: bool,
}

/// How much a log keeps; the newest event in any case.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) events: usize,
    pub(super) bytes: usize,
}

/// An event and its size in memory.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) event: Arc<Event>,
    pub(super) bytes: usize,
}

/// What a push leaves to be done without the lock: a waker is foreign code, and the drop of a long event takes time.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Aftermath {
    woken: Vec<Waker>,
    forgotten: Option<Arc<Event>>,
    also_forgotten: Vec<Arc<Event>>,
}

/// What a reader finds at its position.
pub(super) enum Read {
    /// The event there; those behind it were taken as well.
    Taken(Arc<Event>),
    /// The reader's position is no longer kept; it should go on at the end of the range.
    Missed(Range<u64>),
    /// Nothing there yet.
    Empty,
    /// Nothing there, and nothing will come.
    Closed,
}

impl Log {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { events: VecDeque::new(), first: 0, bytes: 0, bounds, waiters: Waiters::default(), closed: false }
    }

    /// The offsets kept: from the oldest event to the one that comes next.
    pub(super) fn kept(&self) -> Range<u64> {
        self.first..self.first + self.events.len() as u64
    }

    /// The events kept, oldest first.
    pub(super) fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().map(|kept| &*kept.event)
    }

    /// Keeps an event at the end and lets go of the oldest ones for which there is no room.
    pub(super) fn push(&mut self, kept: Kept, aftermath: &mut Aftermath) {
        let room = self.bounds.bytes.saturating_sub(kept.bytes);
        while self.events.len() >= self.bounds.events || self.bytes > room {
            let Some(oldest) = self.events.pop_front() else { break };
            self.first += 1;
            self.bytes -= oldest.bytes;
            aftermath.forget(oldest.event);
        }
        self.bytes += kept.bytes;
        self.waiters.woken_by(&kept.event, self.first + self.events.len() as u64, &mut aftermath.woken);
        self.events.push_back(kept);
    }

    /// Marks that no event will come.
    pub(super) fn close(&mut self) -> Aftermath {
        self.closed = true;
        let end = self.kept().end;
        let mut aftermath = Aftermath::default();
        self.waiters.wake_all(end, &mut aftermath.woken);
        aftermath
    }

    /// Takes the event at `cursor`, and up to `limit` in all by putting those behind it into `into`.
    pub(super) fn read(&self, cursor: u64, limit: usize, into: &mut VecDeque<Arc<Event>>) -> Read {
        let kept = self.kept();
        if cursor < kept.start {
            return Read::Missed(cursor..kept.start);
        }
        let skip = usize::try_from(cursor - kept.start).unwrap_or(usize::MAX);
        let Some(first) = self.events.get(skip) else {
            return if self.closed { Read::Closed } else { Read::Empty };
        };
        if skip + 1 < self.events.len() {
            into.extend(self.events.range(skip + 1..).take(limit - 1).map(|kept| Arc::clone(&kept.event)));
        }
        Read::Taken(Arc::clone(&first.event))
    }

    /// As [`Waiters::wake`], for what comes from now on.
    pub(super) fn wake(&mut self, topics: &[Topic]) -> Aftermath {
        let end = self.kept().end;
        let mut aftermath = Aftermath::default();
        topics.iter().for_each(|topic| self.waiters.wake(*topic, end, &mut aftermath.woken));
        aftermath
    }

    pub(super) const fn waiters(&mut self) -> &mut Waiters {
        &mut self.waiters
    }

    /// Where a reader that was at `cursor` when it began to wait has to look: what it was not woken for is not for it.
    pub(super) fn position_of(&self, place: &Place, cursor: u64) -> u64 {
        match self.waiters.since(place) {
            Since::Unknown => cursor,
            Since::Nothing => cursor.max(self.kept().end),
            Since::Event(offset) => cursor.max(offset),
        }
    }
}

impl Kept {
    /// Puts an event into the place that it is not moved from any more.
    pub(super) fn new(event: Event) -> Self {
        Self { bytes: event.size(), event: Arc::new(event) }
    }
}

impl Aftermath {
    fn forget(&mut self, event: Arc<Event>) {
        match self.forgotten {
            None => self.forgotten = Some(event),
            Some(_) => self.also_forgotten.push(event),
        }
    }

    pub(super) fn settle(self) {
        // A waker is code of others, and one that panics leaves no other reader asleep.
        for waker in self.woken {
            contain(|| waker.wake());
        }
    }
}
