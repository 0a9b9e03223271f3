//! What `tracing` layers append while they are shown an event: which of it the layers are shown, and when.
//!
//! Such events are hidden from the layers, or one that appends at each event would never come to an end. But of a component
//! both halves are shown or neither: so what comes after a hidden start is hidden wherever it is appended, and an end whose
//! start was shown is shown too, as soon as the layers are through with the event at hand.

use std::{
    cell::RefCell,
    collections::VecDeque,
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::log::Kept;
use crate::event::{Event, EventError, EventScope, EventType};

/// How many components with a hidden start a stream remembers.
const MAX_HIDDEN: usize = 1_024;

/// How many events layers may append while they are shown one event.
pub(super) const MAX_FOLLOWERS: usize = 1_024;

/// How many bytes those may take in memory.
pub(super) const MAX_FOLLOWERS_BYTES: usize = 16 * 1024 * 1024;

/// How many ends one append shows on behalf of layers, which may append an end at each end.
pub(super) const MAX_ENDS: usize = 64;

/// Who appends an event, and what is known of its component besides its ids.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin<'a> {
    /// The event was made by hand.
    Hand,
    /// The guard of a component, at its start.
    Start,
    /// The guard of a component, after its start.
    Guard {
        open: &'a OpenFlag,
        /// Whether the start was shown to layers.
        shown: bool,
        /// Whether one of them looked at it.
        seen: bool,
    },
    /// A store, which kept it with its time: layers were shown it then.
    Store,
}

/// Whether a component is open: looked at and changed under the lock of its stream's writer, in the call that numbers the
/// event, so that nothing of a component comes after its end and no other lock is needed for that.
#[derive(Debug)]
pub(crate) struct OpenFlag(AtomicBool);

/// Why an event was not appended.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Its component has ended, which only a guard can know.
    TooLate(Arc<Event>),
    TooManyFollowers {
        limit: usize,
        unit: &'static str,
    },
}

/// What layers append while they are shown an event, which is to follow it.
#[derive(Default)]
pub(super) struct Followers {
    events: Vec<Follower>,
    /// How many there were in all, those that were taken out included.
    count: usize,
    bytes: usize,
}

/// What a layer appended, to be put behind the event that is being shown.
pub(super) struct Follower {
    pub(super) kept: Kept,
    /// Whether it is the end of a component whose start was shown.
    pub(super) ends_shown: bool,
}

/// The open components of a stream whose start was hidden, as far as they were made by hand.
#[derive(Default)]
pub(super) struct Hidden(VecDeque<Component>);

#[derive(PartialEq, Eq)]
struct Component {
    scope: EventScope,
    component_id: String,
    workflow_id: Option<String>,
}

thread_local! {
    /// What shows the ends that were appended to streams of which no event is being shown.
    static ENDS: RefCell<Vec<Box<dyn FnOnce()>>> = const { RefCell::new(Vec::new()) };
}

impl Origin<'_> {
    /// Whether the event may still come: an end closes its component. Call it with the writer's lock held.
    pub(super) fn claim(self, event_type: EventType) -> bool {
        match self {
            Self::Hand | Self::Start | Self::Store => true,
            Self::Guard { open, .. } if event_type.is_terminal() => open.0.swap(false, Ordering::Relaxed),
            Self::Guard { open, .. } => open.is_open(),
        }
    }

    /// Whether the event may be shown to layers, as far as the guard knows.
    pub(super) const fn may_be_shown(self) -> bool {
        match self {
            Self::Hand | Self::Start => true,
            Self::Guard { shown, .. } => shown,
            Self::Store => false,
        }
    }
}

impl Origin<'_> {
    /// Whether no layer looked at the start of the event's component.
    pub(super) const fn start_is_unseen(self) -> bool {
        match self {
            Self::Hand | Self::Start | Self::Store => false,
            Self::Guard { seen, .. } => !seen,
        }
    }
}

impl Refused {
    /// What the caller of an append gets: an event that came too late is none of its errors.
    pub(crate) fn outcome(self) -> Result<Arc<Event>, EventError> {
        match self {
            Self::TooLate(event) => Ok(event),
            Self::TooManyFollowers { limit, unit } => Err(EventError::TooManyFollowers { limit, unit }),
        }
    }
}

impl Followers {
    pub(super) fn check_room(&self, kept: &Kept) -> Result<(), Refused> {
        // Ends may take as much again, so that what began while there was room also ends.
        let share = if kept.event.event_type.is_terminal() { 2 } else { 1 };
        let bounds = [
            (self.count + 1, MAX_FOLLOWERS, "events"),
            (self.bytes.saturating_add(kept.bytes), MAX_FOLLOWERS_BYTES, "bytes"),
        ];
        let over = bounds.into_iter().find(|(wanted, limit, _)| *wanted > share * limit);
        over.map_or(Ok(()), |(_, limit, unit)| Err(Refused::TooManyFollowers { limit, unit }))
    }

    pub(super) fn push(&mut self, kept: Kept, ends_shown: bool) {
        self.count += 1;
        self.bytes += kept.bytes;
        self.events.push(Follower { kept, ends_shown });
    }

    /// Takes out the events; what they took of the room stays taken.
    pub(super) fn take(&mut self) -> Vec<Follower> {
        mem::take(&mut self.events)
    }
}

impl OpenFlag {
    pub(crate) const fn new() -> Self {
        Self(AtomicBool::new(true))
    }

    /// Whether the component was open a moment ago.
    pub(crate) fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Hidden {
    /// Remembers a component; the oldest one is forgotten if there are too many.
    pub(super) fn add(&mut self, started: &Event) {
        if self.0.len() == MAX_HIDDEN {
            self.0.pop_front();
        }
        self.0.push_back(Component {
            scope: started.scope,
            component_id: started.component_id.clone(),
            workflow_id: started.workflow_id.clone(),
        });
    }

    /// Whether an event that is not a start is about a hidden component; its end takes that out.
    pub(super) fn has(&mut self, event: &Event) -> bool {
        if self.0.is_empty() || event.event_type == EventType::Started {
            return false;
        }
        let is_it = |hidden: &Component| {
            hidden.scope == event.scope
                && hidden.component_id == event.component_id
                && hidden.workflow_id == event.workflow_id
        };
        let Some(place) = self.0.iter().position(is_it) else { return false };
        if event.event_type.is_terminal() {
            self.0.remove(place);
        }
        true
    }
}

/// Whether an event is the end of a component, as opposed to one of the runtime itself.
pub(super) fn is_end(event: &Event) -> bool {
    event.scope != EventScope::System && event.event_type.is_terminal()
}

/// Has an end shown to the layers as soon as this thread is in none of them.
pub(super) fn show_later(show: impl FnOnce() + 'static) {
    // In a thread that is ending there may be no place for it any more, nor a later.
    ENDS.try_with(|ends| ends.borrow_mut().push(Box::new(show))).unwrap_or_default();
}

/// Shows what layers of this thread ended in streams of which no event was being shown; by a thread that is in no layer.
pub(super) fn show_ends() {
    for _ in 0..MAX_ENDS {
        let ends = ENDS.try_with(|ends| mem::take(&mut *ends.borrow_mut())).unwrap_or_default();
        if ends.is_empty() {
            return;
        }
        ends.into_iter().take(MAX_ENDS).for_each(|show| show());
    }
    ENDS.try_with(|ends| ends.borrow_mut().clear()).unwrap_or_default();
}
