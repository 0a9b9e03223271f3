//! Which events a reader of a store wants.

use chrono::{DateTime, Utc};

use super::StoredEvent;
use crate::{
    event::{ComponentStatus, EventScope, EventType},
    stream::Epoch,
};

/// The conditions that an event must meet, all of them; by default there are none.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Query {
    /// The life of a stream that it was appended to.
    pub epoch: Option<Epoch>,
    /// Its scope.
    pub scope: Option<EventScope>,
    /// Its type.
    pub event_type: Option<EventType>,
    /// Its status.
    pub status: Option<ComponentStatus>,
    /// The run of a workflow that it belongs to, or that its run is directly inside.
    pub workflow_id: Option<String>,
    /// Its component.
    pub component_id: Option<String>,
    /// The earliest time that it may have.
    pub since: Option<DateTime<Utc>>,
    /// The time that it must lie before.
    pub until: Option<DateTime<Utc>>,
}

impl Query {
    /// Lets through only events of one life of a stream.
    pub const fn with_epoch(mut self, epoch: Epoch) -> Self {
        self.epoch = Some(epoch);
        self
    }

    /// Lets through only events of a scope.
    pub const fn with_scope(mut self, scope: EventScope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// Lets through only events of a type.
    pub const fn with_type(mut self, event_type: EventType) -> Self {
        self.event_type = Some(event_type);
        self
    }

    /// Lets through only events with a status.
    pub const fn with_status(mut self, status: ComponentStatus) -> Self {
        self.status = Some(status);
        self
    }

    /// Lets through only events of one run of a workflow and of the runs directly inside it.
    pub fn with_workflow(mut self, workflow_id: impl Into<String>) -> Self {
        self.workflow_id = Some(workflow_id.into());
        self
    }

    /// Lets through only events of one component.
    pub fn with_component(mut self, component_id: impl Into<String>) -> Self {
        self.component_id = Some(component_id.into());
        self
    }

    /// Lets through only events from a time on.
    pub const fn with_since(mut self, time: DateTime<Utc>) -> Self {
        self.since = Some(time);
        self
    }

    /// Lets through only events before a time.
    pub const fn with_until(mut self, time: DateTime<Utc>) -> Self {
        self.until = Some(time);
        self
    }

    /// Whether an event meets every condition.
    #[must_use]
    pub fn passes(&self, stored: &StoredEvent) -> bool {
        let event = &stored.event;
        self.epoch.is_none_or(|epoch| stored.position.epoch == epoch)
            && self.scope.is_none_or(|scope| event.scope == scope)
            && self.event_type.is_none_or(|event_type| event.event_type == event_type)
            && self.status.is_none_or(|status| event.status == status)
            && self.workflow_id.as_ref().is_none_or(|id| event.is_in_workflow(id))
            && self.component_id.as_ref().is_none_or(|id| event.component_id == *id)
            && self.since.is_none_or(|since| event.timestamp >= since)
            && self.until.is_none_or(|until| event.timestamp < until)
    }
}
