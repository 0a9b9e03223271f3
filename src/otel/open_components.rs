//! The components whose end has not come yet, and which of them is the parent of a new one.
//!
//! Spans and metrics each keep what they need of a component; how ends find their starts is the same for both.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{BuildHasher as _, RandomState},
};

use chrono::{DateTime, TimeDelta, Utc};

use crate::event::{Event, EventScope};

/// What is kept of a component between its start and its end.
pub(super) trait Open {
    fn scope(&self) -> EventScope;
    fn component_id(&self) -> &str;
    fn workflow_id(&self) -> &Option<String>;
    fn started(&self) -> DateTime<Utc>;
}

/// All open components, oldest first, and by workflow.
#[derive(Debug)]
pub(super) struct OpenComponents<C> {
    next: u64,
    components: BTreeMap<u64, C>,
    by_workflow: HashMap<Option<String>, OfWorkflow>,
    /// By the hash of workflow, scope and id, oldest first, so that a chunk is not compared with all that is open.
    by_identity: HashMap<u64, Vec<u64>>,
    hasher: RandomState,
}

/// The numbers of a workflow's components, all and by scope.
#[derive(Debug, Default)]
struct OfWorkflow {
    all: BTreeSet<u64>,
    of_scope: [BTreeSet<u64>; EventScope::ALL.len()],
}

impl<C: Open> OpenComponents<C> {
    pub(super) fn len(&self) -> usize {
        self.components.len()
    }

    pub(super) fn insert(&mut self, component: C) {
        let workflow = self.by_workflow.entry(component.workflow_id().clone()).or_default();
        workflow.all.insert(self.next);
        workflow.of_scope[component.scope() as usize].insert(self.next);
        self.by_identity.entry(self.identity(&component)).or_default().push(self.next);
        self.components.insert(self.next, component);
        self.next += 1;
    }

    /// The event's component. Components that collide in their ids are taken oldest first.
    pub(super) fn of(&mut self, event: &Event) -> Option<&mut C> {
        let number = self.number_of(event)?;
        self.components.get_mut(&number)
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
        self.components.get(&self.parent_number_of(event)?)
    }

    /// The one that a new component belongs under, by the ids alone, to be changed.
    pub(super) fn parent_of_mut(&mut self, event: &Event) -> Option<&mut C> {
        let number = self.parent_number_of(event)?;
        self.components.get_mut(&number)
    }

    /// The components of a workflow, the one opened last first.
    pub(super) fn newest(&self, workflow_id: &Option<String>) -> impl Iterator<Item = (u64, &C)> {
        let numbers = self.by_workflow.get(workflow_id).into_iter().flat_map(|workflow| &workflow.all);
        numbers.rev().filter_map(|number| Some((*number, self.components.get(number)?)))
    }

    /// The component that [`newest`](Self::newest) gave with a number, to be changed.
    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut C> {
        self.components.get_mut(&number)
    }

    fn parent_number_of(&self, event: &Event) -> Option<u64> {
        use EventScope::{Agent, LlmRequest, System, Tool, Workflow, WorkflowStep};
        let workflow = &event.workflow_id;
        let named = |scope: EventScope, name: &str| self.numbers_of(workflow, scope, name).next_back();
        let newest = |scope: EventScope| self.by_workflow.get(workflow)?.of_scope[scope as usize].last().copied();
        let name = event.component_name();
        match event.scope {
            Workflow => {
                event.parent_workflow_id.as_ref()?;
                self.newest(&event.parent_workflow_id).next().map(|(number, _)| number)
            }
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
        self.numbers_of(&event.workflow_id, event.scope, &event.component_id).next()
    }

    /// The components of one identity, oldest first. It is only compared among those that share its hash.
    fn numbers_of(
        &self,
        workflow_id: &Option<String>,
        scope: EventScope,
        component_id: &str,
    ) -> impl DoubleEndedIterator<Item = u64> {
        let is_it = move |number: &u64| {
            self.components.get(number).is_some_and(|component| {
                component.scope() == scope
                    && component.component_id() == component_id
                    && component.workflow_id() == workflow_id
            })
        };
        let identity = self.hasher.hash_one((workflow_id, scope, component_id));
        self.by_identity.get(&identity).into_iter().flatten().copied().filter(is_it)
    }

    fn identity(&self, component: &C) -> u64 {
        self.hasher.hash_one((component.workflow_id(), component.scope(), component.component_id()))
    }

    fn oldest_start(&self) -> Option<DateTime<Utc>> {
        self.components.values().next().map(C::started)
    }

    fn take_oldest(&mut self) -> Option<C> {
        let number = *self.components.keys().next()?;
        self.remove(number)
    }

    fn remove(&mut self, number: u64) -> Option<C> {
        let component = self.components.remove(&number)?;
        if let Some(workflow) = self.by_workflow.get_mut(component.workflow_id()) {
            workflow.all.remove(&number);
            workflow.of_scope[component.scope() as usize].remove(&number);
            if workflow.all.is_empty() {
                self.by_workflow.remove(component.workflow_id());
            }
        }
        let identity = self.identity(&component);
        if let Some(numbers) = self.by_identity.get_mut(&identity) {
            numbers.retain(|other| *other != number);
            if numbers.is_empty() {
                self.by_identity.remove(&identity);
            }
        }
        Some(component)
    }
}

impl<C> Default for OpenComponents<C> {
    fn default() -> Self {
        Self {
            next: 0,
            components: BTreeMap::new(),
            by_workflow: HashMap::new(),
            by_identity: HashMap::new(),
            hasher: RandomState::new(),
        }
    }
}
