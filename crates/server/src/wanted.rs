//! Which events a client wants.

use agent_runtime::{
    event::{ComponentStatus, Event, EventScope, EventType},
    stream::Subscription,
};

/// The conditions that an event must meet, one of each kind of which there are any.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) scopes: Vec<EventScope>,
    pub(crate) types: Vec<EventType>,
    pub(crate) statuses: Vec<ComponentStatus>,
    pub(crate) workflows: Vec<String>,
    pub(crate) components: Vec<String>,
}

impl Wanted {
    /// How many values there are, of all kinds.
    pub(crate) const fn len(&self) -> usize {
        self.scopes.len() + self.types.len() + self.statuses.len() + self.workflows.len() + self.components.len()
    }

    /// The filters of a subscription that lets the same events through.
    pub(crate) fn narrow(&self, events: Subscription) -> Subscription {
        let events = self.scopes.iter().fold(events, |events, scope| events.filter(*scope));
        let events = self.types.iter().fold(events, |events, event_type| events.filter_type(*event_type));
        let events = self.statuses.iter().fold(events, |events, status| events.filter_status(*status));
        let events = self.workflows.iter().fold(events, Subscription::filter_workflow);
        self.components.iter().fold(events, Subscription::filter_component)
    }

    /// Whether an event that a store has kept meets the conditions.
    pub(crate) fn passes(&self, event: &Event) -> bool {
        has_one(&self.scopes, |scope| event.scope == *scope)
            && has_one(&self.types, |event_type| event.event_type == *event_type)
            && has_one(&self.statuses, |status| event.status == *status)
            && has_one(&self.workflows, |id| event.is_in_workflow(id))
            && has_one(&self.components, |id| event.component_id == *id)
    }
}

fn has_one<T>(conditions: &[T], is_met: impl Fn(&T) -> bool) -> bool {
    conditions.is_empty() || conditions.iter().any(is_met)
}
