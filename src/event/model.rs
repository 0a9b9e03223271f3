//! The event: what happened to which component, when, and what it has to say.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ComponentStatus, EventData, EventError, EventScope, EventType, TraceContext, component_id};

/// Something that happened to a component.
///
/// Made by the constructors, one for each scope and type ([`Event::llm_progress`] and so on), so that type and status
/// never contradict each other. In JSON the field names and values are snake case; fields that this version does not
/// know are ignored on the way in, and absent optional fields are left out on the way out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// The event's own id, a UUID of version 7 (RFC 9562, section 5.7), or in a run with a
    /// [`Seed`](crate::component::Seed) of version 5 (section 5.5), which follows from the event's position there.
    pub event_id: Uuid,
    /// The position in its stream, from 0; `None` until [`EventStream::append`](crate::stream::EventStream::append) sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The kind of component.
    pub scope: EventScope,
    /// The stage of its life.
    pub event_type: EventType,
    /// Which component; the form depends on the scope, see [`EventScope`].
    pub component_id: String,
    /// The component's status after this event.
    pub status: ComponentStatus,
    /// A sentence for people: the error of a failure, the text of a progress report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it happened. `append` sets it again, so that within a run time never runs against the order.
    pub timestamp: DateTime<Utc>,
    /// The run of a workflow that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_id: Option<String>,
    /// The run that this run is nested in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_workflow_id: Option<String>,
    /// The span that a bridge made of this component, for links from a log line or a page to the trace. Set by `append`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceContext>,
    /// The [`event_id`](Self::event_id) of the component's Started event, on what the runtime reports of it afterwards: two
    /// components of the same ids at once are then not taken for each other. `None` on events that are made by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_id: Option<Uuid>,
    /// The [`event_id`](Self::event_id) of the Started event of the component that this one began in, or that a system event
    /// was reported in, on what the runtime reports of those: components of two runs under one id, or of two attempts, are then not taken for each other's.
    /// `None` on events that are made by hand, which readers place by their ids, and where there is no such component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_start_id: Option<Uuid>,
    /// What the scope and the user have to say; `event.data["chunk"].as_str()` reads a field.
    #[serde(default)]
    pub data: EventData,
}

impl Event {
    /// Checks what [`EventStream::append`](crate::stream::EventStream::append) requires.
    ///
    /// # Errors
    ///
    /// - [`EventError::ComponentId`] if the id does not follow the rule of its scope.
    /// - [`EventError::WorkflowId`] if the id of the run, or of the one around it, cannot be one.
    /// - [`EventError::StatusMismatch`] if type and status do not go together.
    pub fn validate(&self) -> Result<(), EventError> {
        component_id::check(self.scope, &self.component_id)?;
        let workflows = [&self.workflow_id, &self.parent_workflow_id];
        workflows.into_iter().flatten().try_for_each(|id| component_id::check_workflow(id))?;
        let pending = self.status == ComponentStatus::Pending && !self.event_type.is_terminal();
        if self.status == self.event_type.status() || pending {
            Ok(())
        } else {
            Err(EventError::StatusMismatch { event_type: self.event_type, status: self.status })
        }
    }

    /// Reads an event from JSON and checks it as [`validate`](Self::validate) does.
    ///
    /// # Errors
    ///
    /// - [`EventError::Json`] if the text is not JSON or lacks a field; its source names line, column and field.
    /// - What [`validate`](Self::validate) returns.
    pub fn from_json(text: &str) -> Result<Self, EventError> {
        let event: Self = serde_json::from_str(text)?;
        event.validate()?;
        Ok(event)
    }

    /// The name of the component without its instance: the step's workflow, the request's agent, the tool.
    ///
    /// ```
    /// use agent_runtime::prelude::*;
    ///
    /// let event = Event::llm_started("researcher:llm:2", None, None, json!({}));
    /// assert_eq!((event.component_name(), event.component_index()), ("researcher", Some(2)));
    /// ```
    #[must_use]
    pub fn component_name(&self) -> &str {
        component_id::split(self.scope, &self.component_id).0
    }

    /// The number `N` at the end of the component's id, where it has one.
    #[must_use]
    pub fn component_index(&self) -> Option<u64> {
        component_id::split(self.scope, &self.component_id).1
    }

    /// Whether it is of a run of a workflow, or of a run directly inside that one: what filters by a workflow let through.
    #[must_use]
    pub fn is_in_workflow(&self, workflow_id: &str) -> bool {
        [&self.workflow_id, &self.parent_workflow_id].into_iter().flatten().any(|id| id == workflow_id)
    }
}
