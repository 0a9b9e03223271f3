//! The components whose end has not come yet, and which of them is the parent of a new one.
//!
//! Each reader of events (spans, metrics, logs, views) keeps what it needs of a component; how ends find their starts, and
//! where a component belongs by the ids, is the same for all.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::Arc,
};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Event, EventScope};

/// A component between its start and its end, with what its reader keeps of it.
#[derive(Debug)]
pub(crate) struct Open<K> {
    pub(crate) scope: EventScope,
    component_id: String,
    pub(crate) workflow_id: Option<Arc<str>>,
    pub(crate) started: DateTime<Utc>,
    pub(crate) kept: K,
    /// The hash of workflow and id.
    identity: u64,
    /// The hash of the workflow.
    workflow: u64,
}

/// All open components, by the numbers in which they came.
///
/// They are found by hashes, so that a look-up copies no id and hardly takes longer the more are open. Ids whose hashes
/// collide are distinguished by the ids themselves.
#[derive(Debug)]
pub(crate) struct OpenComponents<K> {
    next: u64,
    // Boxed, as the tree moves its values about.
    components: BTreeMap<u64, Box<Open<K>>>,
    /// By the hash of workflow and id.
    by_identity: BTreeSet<(u64, u64)>,
    /// By the hash of the workflow, and the scope.
    by_scope: BTreeSet<(u64, EventScope, u64)>,
    hashes: RandomState,
}

impl<K> OpenComponents<K> {
    pub(crate) fn len(&self) -> usize {
        self.components.len()
    }

    /// Adds the component of a Started event and returns its number. Its workflow's id is shared, since one more string for
    /// each costs a good part of all that is done here.
    pub(crate) fn insert(&mut self, started: &Event, workflow_id: Option<Arc<str>>, kept: K) -> u64 {
        let component = Open {
            scope: started.scope,
            component_id: started.component_id.clone(),
            identity: self.hash(workflow_id.as_deref(), &started.component_id),
            workflow: self.hash(workflow_id.as_deref(), ""),
            workflow_id,
            started: started.timestamp,
            kept,
        };
        self.by_identity.insert((component.identity, self.next));
        self.by_scope.insert((component.workflow, component.scope, self.next));
        let number = self.next;
        self.components.insert(number, Box::new(component));
        self.next += 1;
        number
    }

    /// The event's component. Components that collide in their ids are taken oldest first.
    pub(crate) fn of(&mut self, event: &Event) -> Option<&mut Open<K>> {
        let number = self.number_of(event)?;
        self.get_mut(number)
    }

    /// Takes out the event's component, oldest first.
    pub(crate) fn take(&mut self, event: &Event) -> Option<Box<Open<K>>> {
        let number = self.number_of(event)?;
        self.remove(number)
    }

    /// Takes out those that are too many or too old, now that another one starts.
    pub(crate) fn take_overdue(&mut self, max_open: usize, max_age: TimeDelta, now: DateTime<Utc>) -> Vec<Open<K>> {
        let mut overdue = Vec::new();
        while self.len() >= max_open || self.oldest_start().is_some_and(|started| now - started > max_age) {
            overdue.extend(self.take_oldest().map(|component| *component));
        }
        overdue
    }

    /// Takes out the one that was opened last.
    #[cfg(feature = "otel")]
    pub(crate) fn take_newest(&mut self) -> Option<Box<Open<K>>> {
        let number = *self.components.keys().next_back()?;
        self.remove(number)
    }

    /// The one that a new component belongs under, by the ids alone.
    pub(crate) fn parent_of(&self, event: &Event) -> Option<&Open<K>> {
        self.get(self.parent_number_of(event)?)
    }

    /// The one that a new component belongs under, by the ids alone, to be changed.
    #[cfg(feature = "otel")]
    pub(crate) fn parent_of_mut(&mut self, event: &Event) -> Option<&mut Open<K>> {
        let number = self.parent_number_of(event)?;
        self.get_mut(number)
    }

    /// The components of a workflow, with their numbers.
    pub(crate) fn in_workflow(&self, workflow_id: Option<&str>) -> impl Iterator<Item = (u64, &Open<K>)> {
        EventScope::ALL
            .iter()
            .copied()
            .flat_map(move |scope| self.numbers_in(workflow_id, scope))
            .filter_map(|number| Some((number, self.get(number)?)))
    }

    /// The number of the component of a workflow that was opened last.
    pub(crate) fn newest_in(&self, workflow_id: Option<&str>) -> Option<u64> {
        EventScope::ALL.iter().copied().filter_map(|scope| self.numbers_in(workflow_id, scope).next_back()).max()
    }

    /// The component of a workflow and a scope that was opened last.
    #[cfg(feature = "otel")]
    pub(crate) fn newest_of(&self, workflow_id: &str, scope: EventScope) -> Option<&Open<K>> {
        self.get(self.numbers_in(Some(workflow_id), scope).next_back()?)
    }

    /// The component with a number, to be changed.
    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut Open<K>> {
        self.components.get_mut(&number).map(Box::as_mut)
    }

    fn get(&self, number: u64) -> Option<&Open<K>> {
        self.components.get(&number).map(Box::as_ref)
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
        let is_it = move |component: &Open<K>| {
            component.scope == scope
                && component.component_id == component_id
                && component.workflow_id.as_deref() == workflow_id
        };
        let numbers = self.by_identity.range((identity, 0)..=(identity, u64::MAX)).map(|(_, number)| *number);
        numbers.filter(move |number| self.get(*number).is_some_and(is_it))
    }

    /// The components of a workflow and a scope, oldest first.
    fn numbers_in(&self, workflow_id: Option<&str>, scope: EventScope) -> impl DoubleEndedIterator<Item = u64> {
        let workflow = self.hash(workflow_id, "");
        let numbers =
            self.by_scope.range((workflow, scope, 0)..=(workflow, scope, u64::MAX)).map(|(.., number)| *number);
        numbers.filter(move |number| {
            self.get(*number).is_some_and(|component| component.workflow_id.as_deref() == workflow_id)
        })
    }

    /// Over nothing but the bytes of both ids, since what it finds is compared anyway.
    fn hash(&self, workflow_id: Option<&str>, component_id: &str) -> u64 {
        let mut hasher = self.hashes.build_hasher();
        hasher.write(workflow_id.unwrap_or_default().as_bytes());
        hasher.write(component_id.as_bytes());
        hasher.finish()
    }

    fn oldest_start(&self) -> Option<DateTime<Utc>> {
        self.components.values().next().map(|component| component.started)
    }

    fn take_oldest(&mut self) -> Option<Box<Open<K>>> {
        let number = *self.components.keys().next()?;
        self.remove(number)
    }

    /// Takes out the component with a number.
    pub(crate) fn remove(&mut self, number: u64) -> Option<Box<Open<K>>> {
        let component = self.components.remove(&number)?;
        self.by_identity.remove(&(component.identity, number));
        self.by_scope.remove(&(component.workflow, component.scope, number));
        Some(component)
    }
}

impl<K> Default for OpenComponents<K> {
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
