//! Which events a reader of a store wants.

use chrono::{DateTime, Utc};

use super::StoredEvent;
use crate::{
    event::{ComponentStatus, EventFilter, EventScope, EventType},
    stream::Epoch,
};

/// The conditions that an event must meet; by default there are none.
///
/// Those of one kind widen, those of different kinds narrow, as in [`EventFilter`].
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Query {
    /// The life of a stream that it was appended to.
    pub epoch: Option<Epoch>,
    /// What it must be.
    pub filter: EventFilter,
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

    /// Lets through only what passes a filter too.
    pub fn with_filter(mut self, filter: EventFilter) -> Self {
        self.filter = self.filter.with_all(filter);
        self
    }

    /// Lets through only events of a scope.
    pub fn with_scope(self, scope: EventScope) -> Self {
        self.with_filter(EventFilter::default().with_scope(scope))
    }

    /// Lets through only events of a type.
    pub fn with_type(self, event_type: EventType) -> Self {
        self.with_filter(EventFilter::default().with_type(event_type))
    }

    /// Lets through only events with a status.
    pub fn with_status(self, status: ComponentStatus) -> Self {
        self.with_filter(EventFilter::default().with_status(status))
    }

    /// Lets through only events of one run of a workflow and of the runs directly inside it.
    pub fn with_workflow(self, workflow_id: impl Into<String>) -> Self {
        self.with_filter(EventFilter::default().with_workflow(workflow_id))
    }

    /// Lets through only events of one component.
    pub fn with_component(self, component_id: impl Into<String>) -> Self {
        self.with_filter(EventFilter::default().with_component(component_id))
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
            && self.filter.passes(event)
            && self.since.is_none_or(|since| event.timestamp >= since)
            && self.until.is_none_or(|until| event.timestamp < until)
    }
}
