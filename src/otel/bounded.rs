//! Open components within bounds: so many, and no older than so.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use foldhash::fast::RandomState;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    event::{Event, EventScope, Open, OpenComponents, SharedIds},
    stream::monotonic_now,
};

/// How many components that were abandoned by number or age are remembered, so that their ends are known for what they are.
const MAX_ABANDONED: usize = 65_536;

/// How many ended components are remembered by the ids of their starts.
const MAX_ENDED: usize = 1_024;

/// How many components may be open at once, and how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) max_open: usize,
    pub(super) max_age: Duration,
}

/// What a reader keeps of a component, and when it saw the start, by its own clock: the times of events may be those of
/// another day, and decide nothing about other components.
#[derive(Debug)]
pub(super) struct Seen<K> {
    pub(super) of: K,
    at: Instant,
}

/// The open components of one reader.
#[derive(Debug)]
pub(super) struct Bounded<K> {
    open: OpenComponents<Seen<K>>,
    abandoned: Abandoned,
    ended: Ended,
    is_closed: bool,
}

/// What is known of the component of an end.
#[derive(Debug)]
pub(super) enum Found<C> {
    Open(C),
    /// It was abandoned by number or age, and so is over for its reader.
    Abandoned,
    /// It has ended before, at the close if not by itself.
    Ended,
    Unknown,
}

/// The components that were abandoned. They are older than any open one of the same ids.
#[derive(Debug, Default)]
struct Abandoned {
    starts: HashMap<Uuid, Identity, RandomState>,
    by_identity: HashMap<Identity, VecDeque<Uuid>, RandomState>,
    order: VecDeque<Uuid>,
}

type Identity = (Option<Arc<str>>, EventScope, Arc<str>);

/// The ids of the starts whose components ended last.
#[derive(Debug, Default)]
struct Ended {
    starts: HashSet<Uuid, RandomState>,
    order: VecDeque<Uuid>,
}

impl<K> Open<Seen<K>> {
    /// When a component that is abandoned now was open last: as long after its start as it has been here, and not before
    /// its own last event.
    pub(super) fn abandoned_at(&self) -> DateTime<Utc> {
        let open_for =
            TimeDelta::from_std(monotonic_now().saturating_duration_since(self.kept.at)).unwrap_or(TimeDelta::MAX);
        self.started.checked_add_signed(open_for).unwrap_or(self.last).max(self.last)
    }
}

impl<K> Bounded<K> {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether nothing is taken in any more.
    pub(super) const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// The open components.
    pub(super) const fn open(&self) -> &OpenComponents<Seen<K>> {
        &self.open
    }

    /// The open components, to be changed.
    pub(super) const fn open_mut(&mut self) -> &mut OpenComponents<Seen<K>> {
        &mut self.open
    }

    /// Whether a Started event was taken in before, or one that it is a copy of. That of a seeded run may come again when its
    /// component has ended, and is then the same.
    pub(super) fn knows(&self, started: &Event) -> bool {
        let id = &started.event_id;
        let has_ended = || self.ended.starts.contains(id) || self.abandoned.starts.contains_key(id);
        self.open.has_start(started) || !started.is_seeded() && has_ended()
    }

    /// Adds the component of a Started event, and returns those that are too many or too old with it. After the close it
    /// is not added.
    pub(super) fn insert(&mut self, started: &Event, ids: SharedIds, kept: K, bounds: Bounds) -> Vec<Open<Seen<K>>> {
        if self.is_closed {
            return Vec::new();
        }
        if started.is_seeded() {
            self.abandoned.forget(started.event_id);
        }
        let now = monotonic_now();
        let mut overdue = self.open.take_beyond(bounds.max_open);
        let is_too_old = |oldest: &Open<Seen<K>>| now.saturating_duration_since(oldest.kept.at) > bounds.max_age;
        while self.open.oldest().is_some_and(is_too_old) {
            overdue.extend(self.open.take_oldest());
        }
        overdue.iter().for_each(|component| self.abandoned.add(component));
        self.open.insert_with_ids(started, ids, Seen { of: kept, at: now });
        overdue
    }

    /// Takes out the component of an end.
    pub(super) fn take(&mut self, end: &Event) -> Found<Open<Seen<K>>> {
        if self.abandoned.take(end) {
            return Found::Abandoned;
        }
        match self.open.take(end) {
            Some(component) => {
                self.ended.add(component.start_id);
                Found::Open(component)
            }
            None if self.is_closed || end.start_id.is_some_and(|id| self.ended.starts.contains(&id)) => Found::Ended,
            None => Found::Unknown,
        }
    }

    /// Takes out all, the newest first, and takes in no more.
    pub(super) fn close(&mut self) -> Vec<Open<Seen<K>>> {
        self.is_closed = true;
        std::iter::from_fn(|| self.open.take_newest()).collect()
    }
}

impl Abandoned {
    fn add<K>(&mut self, component: &Open<K>) {
        let identity = (component.workflow_id.clone(), component.scope, Arc::clone(component.component_id()));
        if self.starts.insert(component.start_id, Identity::clone(&identity)).is_some() {
            return;
        }
        self.by_identity.entry(identity).or_default().push_back(component.start_id);
        self.order.push_back(component.start_id);
        if self.order.len() > MAX_ABANDONED
            && let Some(oldest) = self.order.pop_front()
        {
            self.forget(oldest);
        }
    }

    /// Whether an end is of one of these, which is over with it.
    fn take(&mut self, end: &Event) -> bool {
        if self.starts.is_empty() {
            return false;
        }
        let start_id = end.start_id.or_else(|| {
            let identity = (end.workflow_id.as_deref().map(Arc::from), end.scope, end.component_id.as_str().into());
            self.by_identity.get(&identity)?.front().copied()
        });
        start_id.is_some_and(|start_id| self.forget(start_id))
    }

    fn forget(&mut self, start_id: Uuid) -> bool {
        let Some(identity) = self.starts.remove(&start_id) else { return false };
        if let Some(of_identity) = self.by_identity.get_mut(&identity) {
            of_identity.retain(|id| *id != start_id);
            if of_identity.is_empty() {
                self.by_identity.remove(&identity);
            }
        }
        true
    }
}

impl Ended {
    fn add(&mut self, start_id: Uuid) {
        if !self.starts.insert(start_id) {
            return;
        }
        self.order.push_back(start_id);
        if self.order.len() > MAX_ENDED
            && let Some(oldest) = self.order.pop_front()
        {
            self.starts.remove(&oldest);
        }
    }
}

impl<K> Default for Bounded<K> {
    fn default() -> Self {
        Self {
            open: OpenComponents::default(),
            abandoned: Abandoned::default(),
            ended: Ended::default(),
            is_closed: false,
        }
    }
}
