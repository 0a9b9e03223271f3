//! What a subscription lets through, and the topics by which an event finds those that may want it.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher as _},
    mem,
};

use crate::event::{ComponentStatus, Event, EventFilter, EventScope, EventType};

/// The conditions that an event must meet, and the runs of which it must be in one, if there are any.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    conditions: EventFilter,
    runs: Vec<Family>,
}

/// A run and the runs nested in it, as far as their events have been seen.
#[derive(Clone, Debug)]
struct Family {
    run: String,
    /// The nested runs that are open.
    nested: HashSet<String>,
    has_changed: bool,
}

/// Which of a filter's conditions there are, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shape(u8);

/// What the filters of some readers ask for: their shape, and the hash of what they want.
///
/// An event has one topic for each shape, or two where the shape names a workflow, and so finds its readers without a
/// look at any other. Hashes that collide wake a reader in vain, which does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Topic {
    pub(super) shape: Shape,
    hash: u64,
}

/// What a filter asks for, or what an event has to answer to a filter.
#[derive(Clone, Copy, Default, Hash)]
struct Wanted<'a> {
    scope: Option<EventScope>,
    status: Option<ComponentStatus>,
    event_type: Option<EventType>,
    workflow_id: Option<&'a str>,
    component_id: Option<&'a str>,
}

impl Filter {
    pub(super) fn add(&mut self, conditions: EventFilter) {
        self.conditions = mem::take(&mut self.conditions).with_all(conditions);
    }

    pub(super) fn add_run(&mut self, workflow_id: String) {
        if self.runs.iter().all(|family| family.run != workflow_id) {
            self.runs.push(Family { run: workflow_id, nested: HashSet::new(), has_changed: false });
        }
    }

    /// Whether an event meets the conditions. Call it for each event in order, but for those without a
    /// [topic](Self::topics) in common: a run's nested runs are learned from them.
    pub(super) fn passes(&mut self, event: &Event) -> bool {
        // Each run learns from the event, whichever has it.
        let is_anywhere = self.runs.is_empty();
        let is_in_run = self.runs.iter_mut().fold(is_anywhere, |is_in_any, family| family.has(event) || is_in_any);
        is_in_run && self.conditions.passes(event)
    }

    /// The topics of the events that may pass, or from which nested runs are learned; none is there twice.
    pub(super) fn topics(&self) -> Vec<Topic> {
        let runs: Vec<_> = self.runs.iter().flat_map(|family| family.nested.iter().chain([&family.run])).collect();
        let mut wanted = vec![Wanted::default()];
        if self.runs.is_empty() {
            spread(&mut wanted, &self.conditions.scopes, |wanted, scope| wanted.scope = Some(*scope));
            spread(&mut wanted, &self.conditions.statuses, |wanted, status| wanted.status = Some(*status));
            spread(&mut wanted, &self.conditions.event_types, |wanted, event_type| {
                wanted.event_type = Some(*event_type)
            });
            spread(&mut wanted, &self.conditions.workflow_ids, |wanted, id| wanted.workflow_id = Some(id));
            spread(&mut wanted, &self.conditions.component_ids, |wanted, id| wanted.component_id = Some(id));
        } else {
            spread(&mut wanted, &runs, |wanted, id| wanted.workflow_id = Some(id));
        }
        let mut topics: Vec<_> = wanted.iter().map(Topic::of).collect();
        topics.sort_unstable();
        topics.dedup();
        topics
    }

    /// Whether the topics are others since this was asked last.
    pub(super) fn has_learned(&mut self) -> bool {
        // Of each, whichever has changed.
        self.runs.iter_mut().filter_map(|family| mem::take(&mut family.has_changed).then_some(())).count() > 0
    }
}

/// Wants each of some values, where there are any, with each of what is wanted already.
fn spread<'a, T>(wanted: &mut Vec<Wanted<'a>>, values: &'a [T], set: impl Fn(&mut Wanted<'a>, &'a T)) {
    if values.is_empty() {
        return;
    }
    let with = |mut wanted: Wanted<'a>, value| {
        set(&mut wanted, value);
        wanted
    };
    *wanted = wanted.iter().flat_map(|before| values.iter().map(|value| with(*before, value))).collect();
}

impl Family {
    fn has(&mut self, event: &Event) -> bool {
        let Some(workflow_id) = &event.workflow_id else { return false };
        let is_known = |id: &String| *id == self.run || self.nested.contains(id);
        if is_known(workflow_id) {
            let is_over = event.scope == EventScope::Workflow && event.event_type.is_terminal();
            if is_over {
                self.has_changed |= self.nested.remove(workflow_id);
            }
            return true;
        }
        let is_nested = event.parent_workflow_id.as_ref().is_some_and(is_known);
        if is_nested {
            self.has_changed |= self.nested.insert(workflow_id.clone());
        }
        is_nested
    }
}

impl Shape {
    const SCOPE: u8 = 1;
    const STATUS: u8 = 1 << 1;
    const EVENT_TYPE: u8 = 1 << 2;
    const WORKFLOW: u8 = 1 << 3;
    const COMPONENT: u8 = 1 << 4;

    /// How many shapes there are.
    pub(super) const COUNT: usize = 1 << 5;

    pub(super) const fn number(self) -> usize {
        self.0 as usize
    }

    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT as u8).map(Self)
    }

    /// The topics of an event among the filters of this shape.
    pub(super) fn topics_of(self, event: &Event) -> impl Iterator<Item = Topic> {
        let has = move |bit: u8| self.0 & bit != 0;
        let wanted = Wanted {
            scope: has(Self::SCOPE).then_some(event.scope),
            status: has(Self::STATUS).then_some(event.status),
            event_type: has(Self::EVENT_TYPE).then_some(event.event_type),
            workflow_id: None,
            component_id: has(Self::COMPONENT).then_some(&event.component_id),
        };
        let in_any = (!has(Self::WORKFLOW)).then_some(wanted);
        let in_its_own = [event.workflow_id.as_deref(), event.parent_workflow_id.as_deref()].into_iter().flatten();
        let in_its_own = in_its_own.filter(move |_| has(Self::WORKFLOW));
        let in_its_own = in_its_own.map(move |id| Wanted { workflow_id: Some(id), ..wanted });
        in_any.into_iter().chain(in_its_own).map(|wanted| Topic::of(&wanted))
    }
}

impl Topic {
    fn of(wanted: &Wanted<'_>) -> Self {
        let conditions = [
            (Shape::SCOPE, wanted.scope.is_some()),
            (Shape::STATUS, wanted.status.is_some()),
            (Shape::EVENT_TYPE, wanted.event_type.is_some()),
            (Shape::WORKFLOW, wanted.workflow_id.is_some()),
            (Shape::COMPONENT, wanted.component_id.is_some()),
        ];
        let shape = Shape(conditions.into_iter().filter(|(_, there)| *there).map(|(bit, _)| bit).sum());
        let mut hasher = DefaultHasher::new();
        wanted.hash(&mut hasher);
        Self { shape, hash: hasher.finish() }
    }
}
