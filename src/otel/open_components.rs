//! The components whose end has not come yet, and which of them is the parent of a new one.
//!
//! Spans and metrics each keep what they need of a component; how ends find their starts is the same for both.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher as _, Hasher as _, RandomState},
};

use chrono::{DateTime, TimeDelta, Utc};

use crate::event::{Event, EventScope};

/// What is kept of a component between its start and its end.
pub(super) trait Open {
    fn scope(&self) -> EventScope;
    fn component_id(&self) -> &str;
    fn workflow_id(&self) -> Option<&str>;
    fn started(&self) -> DateTime<Utc>;
}

/// All open components, by the numbers in which they came.
///
/// They are found by hashes, so that a look-up copies no id and hardly takes longer the more are open. Ids whose hashes
/// collide are told apart by the ids themselves.
#[derive(Debug)]
pub(super) struct OpenComponents<C> {
    next: u64,
    // Boxed, as the tree moves its values about.
    components: BTreeMap<u64, Box<Kept<C>>>,
    /// By the hash of workflow and id.
    by_identity: BTreeSet<(u64, u64)>,
    /// By the hash of the workflow, and the scope.
    by_scope: BTreeSet<(u64, EventScope, u64)>,
    hashes: RandomState,
}

#[derive(Debug)]
struct Kept<C> {
    component: C,
    identity: u64,
    workflow: u64,
}

impl<C: Open> OpenComponents<C> {
    pub(super) fn len(&self) -> usize {
        self.components.len()
    }

    pub(super) fn insert(&mut self, component: C) {
        let workflow = self.hash(component.workflow_id(), "");
        let identity = self.hash(component.workflow_id(), component.component_id());
        self.by_identity.insert((identity, self.next));
        self.by_scope.insert((workflow, component.scope(), self.next));
        self.components.insert(self.next, Box::new(Kept { component, identity, workflow }));
        self.next += 1;
    }

    /// The event's component. Components that collide in their ids are taken oldest first.
    pub(super) fn of(&mut self, event: &Event) -> Option<&mut C> {
        let number = self.number_of(event)?;
        self.get_mut(number)
    }

    /// Takes out the event's component, oldest first.
    pub(super) fn take(&mut self, event: &Event) -> Option<C> {
        let number = self.number_of(event)?;
        self.remove(number)
    }

    /// Takes out those that are too many or too old, now that another one starts.
    pub(super) fn take_overdue(&mut self, max_open: usize, max_age: TimeDelta, now: DateTime<Utc>) -> Vec<C> {
        let mut overdue = Vec::new();
        while self.len() >= max_open || self.oldest_start().is_some_and(|started| now - started > max_age) {
            overdue.extend(self.take_oldest());
        }
        overdue
    }

    /// Takes out the one that was opened last.
    pub(super) fn take_newest(&mut self) -> Option<C> {
        let number = *self.components.keys().next_back()?;
        self.remove(number)
    }

    /// The one that a new component belongs under, by the ids alone.
    pub(super) fn parent_of(&self, event: &Event) -> Option<&C> {
        self.get(self.parent_number_of(event)?)
    }

    /// The one that a new component belongs under, by the ids alone, to be changed.
    pub(super) fn parent_of_mut(&mut self, event: &Event) -> Option<&mut C> {
        let number = self.parent_number_of(event)?;
        self.get_mut(number)
    }

    /// The components of a workflow, with their numbers.
    pub(super) fn in_workflow(&self, workflow_id: Option<&str>) -> impl Iterator<Item = (u64, &C)> {
        EventScope::ALL
            .into_iter()
            .flat_map(move |scope| self.numbers_in(workflow_id, scope))
            .filter_map(|number| Some((number, self.get(number)?)))
    }

    /// The number of the component of a workflow that was opened last.
    pub(super) fn newest_in(&self, workflow_id: Option<&str>) -> Option<u64> {
        EventScope::ALL.into_iter().filter_map(|scope| self.numbers_in(workflow_id, scope).next_back()).max()
    }

    /// The component of a workflow and a scope that was opened last.
    pub(super) fn newest_of(&self, workflow_id: &str, scope: EventScope) -> Option<&C> {
        self.get(self.numbers_in(Some(workflow_id), scope).next_back()?)
    }

    /// The component with a number, to be changed.
    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut C> {
        self.components.get_mut(&number).map(|kept| &mut kept.component)
    }

    fn get(&self, number: u64) -> Option<&C> {
        self.components.get(&number).map(|kept| &kept.component)
    }

    fn parent_number_of(&self, event: &Event) -> Option<u64> {
        use EventScope::{Agent, LlmRequest, System, Tool, Workflow, WorkflowStep};
        let workflow = event.workflow_id.as_deref();
        let named = |scope: EventScope, name: &str| self.numbers_of(workflow, scope, name).next_back();
        let newest = |scope: EventScope| self.numbers_in(workflow, scope).next_back();
        let name = event.component_name();
        match event.scope {
            Workflow => event.parent_workflow_id.as_deref().and_then(|parent| self.newest_in(Some(parent))),
            WorkflowStep => named(Workflow, name).or_else(|| newest(Workflow)),
            Agent => newest(WorkflowStep).or_else(|| newest(Workflow)),
            LlmRequest => named(Agent, name)
                .or_else(|| newest(Agent))
                .or_else(|| newest(WorkflowStep))
                .or_else(|| newest(Workflow)),
            Tool => event
                .data
                .agent()
                .and_then(|agent| named(Agent, agent))
                .or_else(|| newest(Agent))
                .or_else(|| newest(LlmRequest))
                .or_else(|| newest(WorkflowStep))
                .or_else(|| newest(Workflow)),
            System => None,
        }
    }

    fn number_of(&self, event: &Event) -> Option<u64> {
        self.numbers_of(event.workflow_id.as_deref(), event.scope, &event.component_id).next()
    }

    /// The components of one identity, oldest first.
    fn numbers_of(
        &self,
        workflow_id: Option<&str>,
        scope: EventScope,
        component_id: &str,
    ) -> impl DoubleEndedIterator<Item = u64> {
        let identity = self.hash(workflow_id, component_id);
        let is_it = move |component: &C| {
            component.scope() == scope
                && component.component_id() == component_id
                && component.workflow_id() == workflow_id
        };
        let numbers = self.by_identity.range((identity, 0)..=(identity, u64::MAX)).map(|(_, number)| *number);
        numbers.filter(move |number| self.get(*number).is_some_and(is_it))
    }

    /// The components of a workflow and a scope, oldest first.
    fn numbers_in(&self, workflow_id: Option<&str>, scope: EventScope) -> impl DoubleEndedIterator<Item = u64> {
        let workflow = self.hash(workflow_id, "");
        let numbers =
            self.by_scope.range((workflow, scope, 0)..=(workflow, scope, u64::MAX)).map(|(.., number)| *number);
        numbers.filter(move |number| self.get(*number).is_some_and(|component| component.workflow_id() == workflow_id))
    }

    /// Over nothing but the bytes of both ids, since what it finds is compared anyway.
    fn hash(&self, workflow_id: Option<&str>, component_id: &str) -> u64 {
        let mut hasher = self.hashes.build_hasher();
        hasher.write(workflow_id.unwrap_or_default().as_bytes());
        hasher.write(component_id.as_bytes());
        hasher.finish()
    }

    fn oldest_start(&self) -> Option<DateTime<Utc>> {
        self.components.values().next().map(|kept| kept.component.started())
    }

    fn take_oldest(&mut self) -> Option<C> {
        let number = *self.components.keys().next()?;
        self.remove(number)
    }

    fn remove(&mut self, number: u64) -> Option<C> {
        let Kept { component, identity, workflow } = *self.components.remove(&number)?;
        self.by_identity.remove(&(identity, number));
        self.by_scope.remove(&(workflow, component.scope(), number));
        Some(component)
    }
}

impl<C> Default for OpenComponents<C> {
    fn default() -> Self {
        Self {
            next: 0,
            components: BTreeMap::new(),
            by_identity: BTreeSet::new(),
            by_scope: BTreeSet::new(),
            hashes: RandomState::new(),
        }
    }
}
