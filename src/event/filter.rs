//! Which events a reader wants, of a stream or of a store.

use super::{ComponentStatus, Event, EventScope, EventType};

/// Conditions on events, by default none: those of one kind widen, those of different kinds narrow.
///
/// ```
/// use agent_runtime::event::EventFilter;
/// use agent_runtime::prelude::*;
///
/// // What failed of tools and agents.
/// let filter = EventFilter::default()
///     .with_scope(EventScope::Tool)
///     .with_scope(EventScope::Agent)
///     .with_status(ComponentStatus::Failed);
/// assert_eq!(filter.len(), 3);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct EventFilter {
    /// The scopes of which the event has one.
    pub scopes: Vec<EventScope>,
    /// The types of which it has one.
    pub event_types: Vec<EventType>,
    /// The statuses of which it has one.
    pub statuses: Vec<ComponentStatus>,
    /// The runs of workflows of which it belongs to one, or its run is directly inside one.
    pub workflow_ids: Vec<String>,
    /// The components of which it is about one.
    pub component_ids: Vec<String>,
}

impl EventFilter {
    /// Lets through events of a scope.
    pub fn with_scope(mut self, scope: EventScope) -> Self {
        add(&mut self.scopes, scope);
        self
    }

    /// Lets through events of a type.
    pub fn with_type(mut self, event_type: EventType) -> Self {
        add(&mut self.event_types, event_type);
        self
    }

    /// Lets through events with a status.
    pub fn with_status(mut self, status: ComponentStatus) -> Self {
        add(&mut self.statuses, status);
        self
    }

    /// Lets through events of a run of a workflow and of the runs directly inside it.
    pub fn with_workflow(mut self, workflow_id: impl Into<String>) -> Self {
        add(&mut self.workflow_ids, workflow_id.into());
        self
    }

    /// Lets through events of a component.
    pub fn with_component(mut self, component_id: impl Into<String>) -> Self {
        add(&mut self.component_ids, component_id.into());
        self
    }

    /// Adds the conditions of another filter.
    pub fn with_all(mut self, other: Self) -> Self {
        let Self { scopes, event_types, statuses, workflow_ids, component_ids } = other;
        scopes.into_iter().for_each(|scope| add(&mut self.scopes, scope));
        event_types.into_iter().for_each(|event_type| add(&mut self.event_types, event_type));
        statuses.into_iter().for_each(|status| add(&mut self.statuses, status));
        workflow_ids.into_iter().for_each(|id| add(&mut self.workflow_ids, id));
        component_ids.into_iter().for_each(|id| add(&mut self.component_ids, id));
        self
    }

    /// How many conditions there are, of all kinds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.scopes.len()
            + self.event_types.len()
            + self.statuses.len()
            + self.workflow_ids.len()
            + self.component_ids.len()
    }

    /// Whether there are no conditions, so that every event passes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether an event meets the conditions, one of each kind of which there are any.
    #[must_use]
    pub fn passes(&self, event: &Event) -> bool {
        has_one(&self.scopes, |scope| event.scope == *scope)
            && has_one(&self.statuses, |status| event.status == *status)
            && has_one(&self.event_types, |event_type| event.event_type == *event_type)
            && has_one(&self.workflow_ids, |id| event.is_in_workflow(id))
            && has_one(&self.component_ids, |id| event.component_id == *id)
    }
}

fn add<T: PartialEq>(conditions: &mut Vec<T>, condition: T) {
    if !conditions.contains(&condition) {
        conditions.push(condition);
    }
}

fn has_one<T>(conditions: &[T], is_met: impl Fn(&T) -> bool) -> bool {
    conditions.is_empty() || conditions.iter().any(is_met)
}
