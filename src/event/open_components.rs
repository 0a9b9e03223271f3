//! The components whose end has not come yet, and which of them is the parent of a new one.
//!
//! Each reader of events (spans, metrics, logs, views) keeps what it needs of a component; how ends find their starts, and
//! where a component belongs by the ids, is the same for all.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, Hasher as _},
    iter,
    sync::Arc,
};

use chrono::{DateTime, Utc};
use foldhash::fast::RandomState;
use uuid::Uuid;

use super::{Event, EventScope};

/// How many places are kept once nothing is open any more.
const MAX_IDLE_PLACES: usize = 1_024;

/// A component between its start and its end, with what its reader keeps of it.
#[derive(Debug)]
pub(crate) struct Open<K> {
    pub(crate) scope: EventScope,
    component_id: Arc<str>,
    pub(crate) workflow_id: Option<Arc<str>>,
    pub(crate) started: DateTime<Utc>,
    /// The time of its own last event.
    pub(crate) last: DateTime<Utc>,
    /// The id of its Started event.
    pub(crate) start_id: Uuid,
    pub(crate) kept: K,
    number: u64,
    identity: Hash,
    siblings: Hash,
    neighbors: [Neighbors; 3],
}

/// The ids of a component and of its workflow, shared by those who keep them.
#[derive(Clone, Debug)]
pub(crate) struct SharedIds {
    pub(crate) component: Arc<str>,
    pub(crate) workflow: Option<Arc<str>>,
}

/// The number of an open component, in the order in which they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Number {
    number: u64,
    place: usize,
}

/// All open components.
///
/// An event that names its component's start is of that one; any other is of the oldest one with its ids. Likewise a start
/// that names its parent's belongs under that one, and any other where the ids put it.
///
/// Each stands in three rows, oldest first: that of all, that of its identity and that of its workflow and scope. The rows
/// are found by hashes, so that a look-up copies no id and takes no longer the more are open. Ids whose hashes collide
/// are distinguished by the ids themselves.
#[derive(Debug)]
pub(crate) struct OpenComponents<K> {
    next: u64,
    places: Vec<Option<Open<K>>>,
    free: Vec<usize>,
    all: Ends,
    by_identity: HashMap<Hash, Ends, RandomState>,
    by_siblings: HashMap<Hash, Ends, RandomState>,
    /// The places by the ids of the starts; of copies of one start, the newest one's.
    by_start: HashMap<Uuid, usize, RandomState>,
}

type Hash = u64;

/// The rows that a component stands in.
#[derive(Clone, Copy)]
enum Row {
    All,
    Identity,
    Siblings,
}

/// The places of those before and behind a component in a row.
#[derive(Clone, Copy, Debug, Default)]
struct Neighbors {
    older: Option<usize>,
    newer: Option<usize>,
}

/// The places of the first and the last of a row.
#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    oldest: Option<usize>,
    newest: Option<usize>,
}

impl<K> OpenComponents<K> {
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Adds the component of a Started event. Its workflow's id is shared, since one more string for each costs a good part
    /// of all that is done here.
    pub(crate) fn insert(&mut self, started: &Event, workflow_id: Option<Arc<str>>, kept: K) -> Number {
        self.insert_with_ids(
            started,
            SharedIds { component: started.component_id.as_str().into(), workflow: workflow_id },
            kept,
        )
    }

    /// The same, where somebody has the component's id as well.
    pub(crate) fn insert_with_ids(&mut self, started: &Event, ids: SharedIds, kept: K) -> Number {
        let SharedIds { component: component_id, workflow: workflow_id } = ids;
        let workflow = self.hash_of_workflow(workflow_id.as_deref());
        let component = Open {
            scope: started.scope,
            identity: self.hash_of_identity(workflow, &component_id),
            siblings: hash_of_siblings(workflow, started.scope),
            component_id,
            workflow_id,
            started: started.timestamp,
            last: started.timestamp,
            start_id: started.event_id,
            kept,
            number: self.next,
            neighbors: [Neighbors::default(); 3],
        };
        self.next += 1;
        let number = component.number;
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.by_start.insert(started.event_id, place);
        self.places[place] = Some(component);
        for row in [Row::All, Row::Identity, Row::Siblings] {
            self.stand_last(row, place);
        }
        Number { number, place }
    }

    /// The component of an event that comes between its start and its end.
    pub(crate) fn of(&mut self, event: &Event) -> Option<&mut Open<K>> {
        let place = self.place_of(event)?;
        let component = self.places[place].as_mut()?;
        component.last = component.last.max(event.timestamp);
        Some(component)
    }

    /// Takes out the component of an end.
    pub(crate) fn take(&mut self, event: &Event) -> Option<Open<K>> {
        let place = self.place_of(event)?;
        self.remove_at(place)
    }

    /// Whether a component is open whose Started event is this one or a copy of it.
    #[cfg(feature = "otel")]
    pub(crate) fn has_start(&self, started: &Event) -> bool {
        self.place_where(started, |open| open.start_id == started.event_id).is_some()
    }

    /// The one that was opened first.
    #[cfg(feature = "otel")]
    pub(crate) fn oldest(&self) -> Option<&Open<K>> {
        self.at(self.all.oldest?)
    }

    /// Takes out the one that was opened first.
    pub(crate) fn take_oldest(&mut self) -> Option<Open<K>> {
        self.remove_at(self.all.oldest?)
    }

    /// Takes out the oldest ones if one more would be too many.
    pub(crate) fn take_beyond(&mut self, max_open: usize) -> Vec<Open<K>> {
        let beyond = (self.len() + 1).saturating_sub(max_open.max(1));
        (0..beyond).filter_map(|_| self.take_oldest()).collect()
    }

    /// Takes out the one that was opened last.
    pub(crate) fn take_newest(&mut self) -> Option<Open<K>> {
        self.remove_at(self.all.newest?)
    }

    /// Takes out the component with a number.
    pub(crate) fn remove(&mut self, number: Number) -> Option<Open<K>> {
        self.get(number)?;
        self.remove_at(number.place)
    }

    /// The one that a new component belongs under: the one that it names if that is open, else by the ids.
    pub(crate) fn parent_of(&self, event: &Event) -> Option<&Open<K>> {
        self.at(self.place_of_parent(event)?)
    }

    /// The one that a new component belongs under, to be changed.
    #[cfg(feature = "otel")]
    pub(crate) fn parent_of_mut(&mut self, event: &Event) -> Option<&mut Open<K>> {
        let place = self.place_of_parent(event)?;
        self.places[place].as_mut()
    }

    /// The components of a workflow, with their numbers.
    pub(crate) fn in_workflow(&self, workflow_id: Option<&str>) -> impl Iterator<Item = (Number, &Open<K>)> {
        let workflow = Workflow { id: workflow_id, hash: self.hash_of_workflow(workflow_id) };
        let newest_first = EventScope::ALL.iter().flat_map(move |scope| self.of_scope(workflow, *scope));
        newest_first.filter_map(|place| self.at(place).map(|open| (Number { number: open.number, place }, open)))
    }

    /// The number of the component of a workflow that was opened last.
    pub(crate) fn newest_in(&self, workflow_id: Option<&str>) -> Option<Number> {
        self.in_workflow(workflow_id).map(|(number, _)| number).max()
    }

    /// The components of a workflow and a scope, the newest first.
    #[cfg(feature = "otel")]
    pub(crate) fn all_of(&self, workflow_id: &str, scope: EventScope) -> impl Iterator<Item = &Open<K>> {
        let workflow = Workflow { id: Some(workflow_id), hash: self.hash_of_workflow(Some(workflow_id)) };
        self.of_scope(workflow, scope).filter_map(|place| self.at(place))
    }

    /// The component with a number, to be changed.
    #[cfg(feature = "otel")]
    pub(crate) fn get_mut(&mut self, Number { number, place }: Number) -> Option<&mut Open<K>> {
        self.places.get_mut(place)?.as_mut().filter(|open| open.number == number)
    }

    fn get(&self, Number { number, place }: Number) -> Option<&Open<K>> {
        self.at(place).filter(|open| open.number == number)
    }

    fn at(&self, place: usize) -> Option<&Open<K>> {
        self.places.get(place)?.as_ref()
    }

    fn place_of(&self, event: &Event) -> Option<usize> {
        let is_it = |open: &Open<K>| open.scope == event.scope && *open.component_id == *event.component_id;
        let named = event.start_id.and_then(|start_id| self.place_of_start(start_id));
        let named = named.filter(|place| self.at(*place).is_some_and(is_it));
        named.or_else(|| self.place_where(event, |open| event.start_id.is_none_or(|id| open.start_id == id)))
    }

    fn place_of_start(&self, start_id: Uuid) -> Option<usize> {
        self.by_start.get(&start_id).copied()
    }

    /// The oldest one with an event's ids for which a condition holds.
    fn place_where(&self, event: &Event, holds: impl Fn(&Open<K>) -> bool) -> Option<usize> {
        let workflow_id = event.workflow_id.as_deref();
        let workflow = Workflow { id: workflow_id, hash: self.hash_of_workflow(workflow_id) };
        let row = self.by_identity.get(&self.hash_of_identity(workflow.hash, &event.component_id))?;
        let oldest_first =
            iter::successors(row.oldest, |place| self.at(*place)?.neighbors[Row::Identity as usize].newer);
        let is_it = |open: &Open<K>| open.is(workflow, event.scope, &event.component_id) && holds(open);
        oldest_first.into_iter().find(|place| self.at(*place).is_some_and(is_it))
    }

    fn place_of_parent(&self, event: &Event) -> Option<usize> {
        use EventScope::{Agent, LlmRequest, System, Tool, Workflow as Flow, WorkflowStep};
        if let Some(named) = event.parent_start_id.and_then(|parent| self.place_of_start(parent)) {
            return Some(named);
        }
        let workflow_id = event.workflow_id.as_deref();
        let workflow = Workflow { id: workflow_id, hash: self.hash_of_workflow(workflow_id) };
        let named = |scope: EventScope, name: &str| self.newest_named(workflow, scope, name);
        let newest = |scopes: &[EventScope]| scopes.iter().find_map(|scope| self.of_scope(workflow, *scope).next());
        match event.scope {
            Flow => {
                event.parent_workflow_id.as_deref().and_then(|parent| self.newest_in(Some(parent))).map(|n| n.place)
            }
            WorkflowStep => named(Flow, event.component_name()).or_else(|| newest(&[Flow])),
            Agent => newest(&[WorkflowStep, Flow]),
            LlmRequest => named(Agent, event.component_name()).or_else(|| newest(&[Agent, WorkflowStep, Flow])),
            Tool => {
                let by_name = event.data.agent().and_then(|agent| named(Agent, agent));
                by_name.or_else(|| newest(&[Agent, LlmRequest, WorkflowStep, Flow]))
            }
            System => None,
        }
    }

    fn newest_named(&self, workflow: Workflow<'_>, scope: EventScope, name: &str) -> Option<usize> {
        let row = self.by_identity.get(&self.hash_of_identity(workflow.hash, name))?;
        let newest_first =
            iter::successors(row.newest, |place| self.at(*place)?.neighbors[Row::Identity as usize].older);
        newest_first.into_iter().find(|place| self.at(*place).is_some_and(|open| open.is(workflow, scope, name)))
    }

    /// The components of a workflow and a scope, newest first.
    fn of_scope(&self, workflow: Workflow<'_>, scope: EventScope) -> impl Iterator<Item = usize> {
        let row = self.by_siblings.get(&hash_of_siblings(workflow.hash, scope));
        let newest = row.and_then(|row| row.newest);
        let newest_first = iter::successors(newest, |place| self.at(*place)?.neighbors[Row::Siblings as usize].older);
        let is_of = move |open: &Open<K>| open.scope == scope && open.workflow_id.as_deref() == workflow.id;
        newest_first.filter(move |place| self.at(*place).is_some_and(is_of))
    }

    fn hash_of_workflow(&self, workflow_id: Option<&str>) -> Hash {
        let mut hasher = self.by_identity.hasher().build_hasher();
        hasher.write(workflow_id.unwrap_or_default().as_bytes());
        hasher.finish()
    }

    fn hash_of_identity(&self, workflow: Hash, component_id: &str) -> Hash {
        let mut hasher = self.by_identity.hasher().build_hasher();
        hasher.write(component_id.as_bytes());
        hasher.finish() ^ workflow.rotate_left(1)
    }

    fn stand_last(&mut self, row: Row, place: usize) {
        let Some(open) = &self.places[place] else { return };
        let ends = match row {
            Row::All => &mut self.all,
            Row::Identity => self.by_identity.entry(open.identity).or_default(),
            Row::Siblings => self.by_siblings.entry(open.siblings).or_default(),
        };
        let older = ends.newest.replace(place);
        ends.oldest.get_or_insert(place);
        self.set_neighbors(row, place, |own| own.older = older);
        self.set_neighbors(row, older, |before| before.newer = Some(place));
    }

    fn step_out(&mut self, row: Row, open: &Open<K>) {
        let Neighbors { older, newer } = open.neighbors[row as usize];
        self.set_neighbors(row, older, |before| before.newer = newer);
        self.set_neighbors(row, newer, |behind| behind.older = older);
        let rows = match row {
            Row::All => None,
            Row::Identity => Some((&mut self.by_identity, open.identity)),
            Row::Siblings => Some((&mut self.by_siblings, open.siblings)),
        };
        match rows {
            Some((rows, hash)) if older.is_none() && newer.is_none() => drop(rows.remove(&hash)),
            Some((rows, hash)) => rows.entry(hash).or_default().lose(older, newer),
            None => self.all.lose(older, newer),
        }
    }

    fn set_neighbors(&mut self, row: Row, place: impl Into<Option<usize>>, set: impl FnOnce(&mut Neighbors)) {
        if let Some(open) = place.into().and_then(|place| self.places[place].as_mut()) {
            set(&mut open.neighbors[row as usize]);
        }
    }

    fn remove_at(&mut self, place: usize) -> Option<Open<K>> {
        let open = self.places.get_mut(place)?.take()?;
        for row in [Row::All, Row::Identity, Row::Siblings] {
            self.step_out(row, &open);
        }
        if self.by_start.get(&open.start_id) == Some(&place) {
            self.by_start.remove(&open.start_id);
        }
        self.free.push(place);
        if self.len() == 0 && self.places.len() > MAX_IDLE_PLACES {
            (self.places, self.free) = (Vec::new(), Vec::new());
        }
        Some(open)
    }
}

/// A workflow by its id and the hash of that.
#[derive(Clone, Copy)]
struct Workflow<'a> {
    id: Option<&'a str>,
    hash: Hash,
}

fn hash_of_siblings(workflow: Hash, scope: EventScope) -> Hash {
    workflow.wrapping_add(scope as u64)
}

#[cfg(feature = "otel")]
impl SharedIds {
    pub(crate) fn of(event: &Event) -> Self {
        Self { component: event.component_id.as_str().into(), workflow: event.workflow_id.as_deref().map(Arc::from) }
    }
}

impl<K> Open<K> {
    pub(crate) const fn component_id(&self) -> &Arc<str> {
        &self.component_id
    }

    fn is(&self, workflow: Workflow<'_>, scope: EventScope, component_id: &str) -> bool {
        self.scope == scope && *self.component_id == *component_id && self.workflow_id.as_deref() == workflow.id
    }
}

impl Ends {
    /// One between two others has left, or one at an end.
    fn lose(&mut self, older: Option<usize>, newer: Option<usize>) {
        if older.is_none() {
            self.oldest = newer;
        }
        if newer.is_none() {
            self.newest = older;
        }
    }
}

impl<K> Default for OpenComponents<K> {
    fn default() -> Self {
        Self {
            next: 0,
            places: Vec::new(),
            free: Vec::new(),
            all: Ends::default(),
            by_identity: HashMap::default(),
            by_siblings: HashMap::default(),
            by_start: HashMap::default(),
        }
    }
}
