//! One constructor for each scope and type, so that a contradiction cannot be built.

use chrono::{DateTime, Utc};
use uuid::{NoContext, Timestamp, Uuid};

use super::{Event, EventData, EventScope, EventType};

macro_rules! constructors {
    ($($scope:ident $what:literal: $started:ident $progress:ident $completed:ident $failed:ident $canceled:ident;)*) => {
        impl Event {$(
            #[doc = concat!("Says that ", $what, " begins.")]
            #[must_use]
            pub fn $started(
                component_id: impl Into<String>,
                workflow_id: Option<String>,
                parent_workflow_id: Option<String>,
                data: impl Into<EventData>,
            ) -> Self {
                Self::new(EventScope::$scope, EventType::Started, component_id, None, data)
                    .in_workflow(workflow_id, parent_workflow_id)
            }

            #[doc = concat!("Says how far ", $what, " is.")]
            #[must_use]
            pub fn $progress(
                component_id: impl Into<String>,
                message: Option<String>,
                workflow_id: Option<String>,
                parent_workflow_id: Option<String>,
                data: impl Into<EventData>,
            ) -> Self {
                Self::new(EventScope::$scope, EventType::Progress, component_id, message, data)
                    .in_workflow(workflow_id, parent_workflow_id)
            }

            #[doc = concat!("Says that ", $what, " ended well.")]
            #[must_use]
            pub fn $completed(
                component_id: impl Into<String>,
                workflow_id: Option<String>,
                parent_workflow_id: Option<String>,
                data: impl Into<EventData>,
            ) -> Self {
                Self::new(EventScope::$scope, EventType::Completed, component_id, None, data)
                    .in_workflow(workflow_id, parent_workflow_id)
            }

            #[doc = concat!("Says that ", $what, " failed, and how, for people to read.")]
            #[must_use]
            pub fn $failed(
                component_id: impl Into<String>,
                error: impl Into<String>,
                workflow_id: Option<String>,
                parent_workflow_id: Option<String>,
                data: impl Into<EventData>,
            ) -> Self {
                Self::new(EventScope::$scope, EventType::Failed, component_id, Some(error.into()), data)
                    .in_workflow(workflow_id, parent_workflow_id)
            }

            #[doc = concat!("Says that ", $what, " was given up before its end, and why if that is known.")]
            #[must_use]
            pub fn $canceled(
                component_id: impl Into<String>,
                reason: Option<String>,
                workflow_id: Option<String>,
                parent_workflow_id: Option<String>,
                data: impl Into<EventData>,
            ) -> Self {
                Self::new(EventScope::$scope, EventType::Canceled, component_id, reason, data)
                    .in_workflow(workflow_id, parent_workflow_id)
            }
        )*}
    };
}

constructors! {
    Workflow "a workflow":
        workflow_started workflow_progress workflow_completed workflow_failed workflow_canceled;
    WorkflowStep "a step of a workflow":
        workflow_step_started workflow_step_progress workflow_step_completed workflow_step_failed workflow_step_canceled;
    Agent "an agent":
        agent_started agent_progress agent_completed agent_failed agent_canceled;
    LlmRequest "a request to a model":
        llm_started llm_progress llm_completed llm_failed llm_canceled;
    Tool "a tool":
        tool_started tool_progress tool_completed tool_failed tool_canceled;
    System "a part of the runtime":
        system_started system_progress system_completed system_failed system_canceled;
}

impl Event {
    /// Makes an event of any scope and type, with a new id and the time now.
    #[must_use]
    pub fn new(
        scope: EventScope,
        event_type: EventType,
        component_id: impl Into<String>,
        message: Option<String>,
        data: impl Into<EventData>,
    ) -> Self {
        let mut event = Self::unstamped(scope, event_type, component_id, message, data);
        // One reading of the clock for both. Ids of the same millisecond are in no order: the offset is the order.
        let now = Utc::now();
        let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
        event.event_id = Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos()));
        event.timestamp = now;
        event
    }

    /// Puts the event into a run of a workflow, and that run into another.
    #[must_use]
    pub fn in_workflow(mut self, workflow_id: Option<String>, parent_workflow_id: Option<String>) -> Self {
        self.workflow_id = workflow_id;
        self.parent_workflow_id = parent_workflow_id;
        self
    }

    /// Makes an event whose id and time `append` is to give, which spares reading the clock twice.
    pub(crate) fn unstamped(
        scope: EventScope,
        event_type: EventType,
        component_id: impl Into<String>,
        message: Option<String>,
        data: impl Into<EventData>,
    ) -> Self {
        Self {
            event_id: Uuid::nil(),
            offset: None,
            scope,
            event_type,
            component_id: component_id.into(),
            status: event_type.status(),
            message,
            timestamp: DateTime::UNIX_EPOCH,
            workflow_id: None,
            parent_workflow_id: None,
            trace: None,
            data: data.into(),
        }
    }
}
