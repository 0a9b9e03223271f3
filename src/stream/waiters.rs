//! The readers of a log, by what they wait for.

use std::{collections::BTreeMap, mem, task::Waker};

use super::filter::{Shape, Topic};
use crate::event::Event;

/// A reader's place among the waiters, which it keeps as long as it lives.
#[derive(Debug)]
pub(super) struct Place(usize);

/// All readers that have waited once.
///
/// To wait, to leave and to be woken each take the time of one reader, however many there are: an event looks up its topics
/// and finds those that wait for them.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    readers: Vec<Reader>,
    /// The places that nobody has.
    free: Vec<usize>,
    groups: BTreeMap<Topic, Group>,
    /// How many readers there are of filters of a shape.
    members: [u32; Shape::COUNT],
}

/// The readers of one topic.
#[derive(Debug, Default)]
struct Group {
    members: usize,
    /// The places of those that wait.
    waiting: Vec<usize>,
}

#[derive(Debug)]
struct Reader {
    seats: Vec<Seat>,
    state: State,
}

/// A reader among those of one of its topics.
#[derive(Debug)]
struct Seat {
    topic: Topic,
    /// Where it stands in the group while it waits.
    index: usize,
}

#[derive(Debug)]
enum State {
    /// It reads.
    Awake,
    Waiting(Waker),
    /// It was woken by the event at an offset; none before that is for it.
    Woken(u64),
}

/// What has come for a reader since it began to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// It did not wait.
    Unknown,
    /// Nothing.
    Nothing,
    /// The event at an offset, and nothing before that.
    Event(u64),
}

impl Waiters {
    pub(super) fn join(&mut self, topics: impl IntoIterator<Item = Topic>) -> Place {
        let seats: Vec<Seat> = topics.into_iter().map(|topic| Seat { topic, index: 0 }).collect();
        for Seat { topic, .. } in &seats {
            self.groups.entry(*topic).or_default().members += 1;
            self.members[topic.shape.number()] += 1;
        }
        let reader = Reader { seats, state: State::Awake };
        match self.free.pop() {
            Some(place) => {
                self.readers[place] = reader;
                Place(place)
            }
            None => {
                self.readers.push(reader);
                Place(self.readers.len() - 1)
            }
        }
    }

    /// Has a reader woken by the next event that its filter may pass.
    ///
    /// Returns the waker that this one replaces, to be dropped without the lock: it may be the last that holds a task, and
    /// the task may hold a subscription, whose drop takes the lock.
    #[must_use]
    pub(super) fn wait(&mut self, place: &Place, waker: &Waker) -> Option<Waker> {
        let Reader { seats, state } = &mut self.readers[place.0];
        if let State::Waiting(before) = state {
            return (!before.will_wake(waker)).then(|| mem::replace(before, waker.clone()));
        }
        *state = State::Waiting(waker.clone());
        for Seat { topic, index } in seats {
            let group = self.groups.entry(*topic).or_default();
            *index = group.waiting.len();
            group.waiting.push(place.0);
        }
        None
    }

    /// What has come for a reader since it began to wait.
    pub(super) fn since(&self, place: &Place) -> Since {
        match self.readers[place.0].state {
            State::Awake => Since::Unknown,
            State::Waiting(_) => Since::Nothing,
            State::Woken(offset) => Since::Event(offset),
        }
    }

    /// Counts a reader that was woken as awake, now that it looks.
    pub(super) fn look(&mut self, place: &Place) {
        let state = &mut self.readers[place.0].state;
        if let State::Woken(_) = state {
            *state = State::Awake;
        }
    }

    /// Forgets a reader that is gone; returns its waker, to be dropped without the lock as in [`wait`](Self::wait).
    #[must_use]
    pub(super) fn leave(&mut self, Place(place): Place) -> Option<Waker> {
        let waker = self.stand_up(place, State::Awake);
        self.free.push(place);
        for Seat { topic, .. } in mem::take(&mut self.readers[place].seats) {
            self.members[topic.shape.number()] -= 1;
            if let Some(group) = self.groups.get_mut(&topic) {
                group.members -= 1;
                if group.members == 0 {
                    self.groups.remove(&topic);
                }
            }
        }
        waker
    }

    /// Adds the wakers of those that wait for an event like this; the caller wakes them without the lock.
    pub(super) fn woken_by(&mut self, event: &Event, offset: u64, woken: &mut Vec<Waker>) {
        if self.groups.is_empty() {
            return;
        }
        for shape in Shape::all() {
            if self.members[shape.number()] > 0 {
                shape.topics_of(event).for_each(|topic| self.wake(topic, offset, woken));
            }
        }
    }

    /// Adds the wakers of all that wait for a topic; nothing before an offset is for them.
    pub(super) fn wake(&mut self, topic: Topic, offset: u64, woken: &mut Vec<Waker>) {
        while let Some(&place) = self.groups.get(&topic).and_then(|group| group.waiting.last()) {
            woken.extend(self.stand_up(place, State::Woken(offset)));
        }
    }

    /// Adds the wakers of all that wait, since nothing comes from an offset on.
    pub(super) fn wake_all(&mut self, end: u64, woken: &mut Vec<Waker>) {
        let topics: Vec<Topic> = self.groups.keys().copied().collect();
        topics.into_iter().for_each(|topic| self.wake(topic, end, woken));
    }

    /// Takes a reader out of the groups in which it waits; returns its waker if it did.
    fn stand_up(&mut self, place: usize, now: State) -> Option<Waker> {
        let State::Waiting(waker) = mem::replace(&mut self.readers[place].state, now) else { return None };
        for number in 0..self.readers[place].seats.len() {
            let &Seat { topic, index } = &self.readers[place].seats[number];
            let Some(group) = self.groups.get_mut(&topic) else { continue };
            group.waiting.swap_remove(index);
            // The last one of the group stands there now.
            if let Some(&moved) = group.waiting.get(index) {
                let seats = self.readers[moved].seats.iter_mut();
                seats.filter(|seat| seat.topic == topic).for_each(|seat| seat.index = index);
            }
        }
        Some(waker)
    }
}
