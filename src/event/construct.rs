//! One constructor for each scope and type, so that a contradiction cannot be built.

use std::time::{Duration, SystemTime};

use chrono::DateTime;
use uuid::Uuid;

use super::{Event, EventData, EventScope, EventType, date_time, ids::random};

/// An id of version 7 for a time since the Unix epoch.
pub(crate) fn version_7(now: Duration, random: [u8; 10]) -> Uuid {
    let millis = now.as_secs().saturating_mul(1_000).saturating_add(u64::from(now.subsec_millis()));
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// Says where the fields of an event's data are described.
macro_rules! data_of {
    ($section:literal $payload:literal) => {
        concat!(
            "\n\nThe runtime's data is made of [`",
            $payload,
            "`](super::",
            $payload,
            "), see \
             [what the events carry](crate::event#",
            $section,
            ")."
        )
    };
    ($section:literal) => {
        concat!("\n\nFor the data see [what the events carry](crate::event#", $section, ").")
    };
}

macro_rules! constructors {
    ($(
        $scope:ident $what:literal $section:literal:
            $started:ident($($started_data:literal)?) $progress:ident($($progress_data:literal)?)
            $completed:ident($($completed_data:literal)?) $failed:ident($($failed_data:literal)?) $canceled:ident;
    )*) => {
        impl Event {$(
            #[doc = concat!("Says that ", $what, " begins.")]
            #[doc = data_of!($section $($started_data)?)]
            #[must_use]
            pub fn $started(
                component_id: impl Into<String>,
                workflow_id: Option<String>,
                parent_workflow_id: Option<String>,
                data: impl Into<EventData>,
            ) -> Self {
                let ids = (component_id.into(), workflow_id, parent_workflow_id);
                Self::stamped(EventScope::$scope, EventType::Started, ids, None, data.into())
            }

            #[doc = concat!("Says how far ", $what, " is.")]
            #[doc = data_of!($section $($progress_data)?)]
            #[must_use]
            pub fn $progress(
                component_id: impl Into<String>,
                message: Option<String>,
                workflow_id: Option<String>,
                parent_workflow_id: Option<String>,
                data: impl Into<EventData>,
            ) -> Self {
                let ids = (component_id.into(), workflow_id, parent_workflow_id);
                Self::stamped(EventScope::$scope, EventType::Progress, ids, message, data.into())
            }

            #[doc = concat!("Says that ", $what, " ended well.")]
            #[doc = data_of!($section $($completed_data)?)]
            #[must_use]
            pub fn $completed(
                component_id: impl Into<String>,
                workflow_id: Option<String>,
                parent_workflow_id: Option<String>,
                data: impl Into<EventData>,
            ) -> Self {
                let ids = (component_id.into(), workflow_id, parent_workflow_id);
                Self::stamped(EventScope::$scope, EventType::Completed, ids, None, data.into())
            }

            #[doc = concat!("Says that ", $what, " failed, and how, for people to read.")]
            #[doc = data_of!($section $($failed_data)?)]
            #[must_use]
            pub fn $failed(
                component_id: impl Into<String>,
                error: impl Into<String>,
                workflow_id: Option<String>,
                parent_workflow_id: Option<String>,
                data: impl Into<EventData>,
            ) -> Self {
                let ids = (component_id.into(), workflow_id, parent_workflow_id);
                Self::stamped(EventScope::$scope, EventType::Failed, ids, Some(error.into()), data.into())
            }

            #[doc = concat!("Says that ", $what, " was canceled before its end, and why if that is known.")]
            #[doc = data_of!($section $($failed_data)?)]
            #[must_use]
            pub fn $canceled(
                component_id: impl Into<String>,
                reason: Option<String>,
                workflow_id: Option<String>,
                parent_workflow_id: Option<String>,
                data: impl Into<EventData>,
            ) -> Self {
                let ids = (component_id.into(), workflow_id, parent_workflow_id);
                Self::stamped(EventScope::$scope, EventType::Canceled, ids, reason, data.into())
            }
        )*}
    };
}

constructors! {
    Workflow "a workflow" "workflow":
        workflow_started("WorkflowStarted") workflow_progress() workflow_completed("WorkflowCompleted")
        workflow_failed("Failure") workflow_canceled;
    WorkflowStep "a step of a workflow" "step":
        workflow_step_started("StepStarted") workflow_step_progress() workflow_step_completed("StepCompleted")
        workflow_step_failed("Failure") workflow_step_canceled;
    Agent "an agent" "agent":
        agent_started("AgentStarted") agent_progress("AgentProgress") agent_completed("AgentCompleted")
        agent_failed("Failure") agent_canceled;
    LlmRequest "a request to a model" "model-request":
        llm_started("LlmStarted") llm_progress("EventData::chunk") llm_completed("LlmCompleted")
        llm_failed("Failure") llm_canceled;
    Tool "a tool" "tool":
        tool_started("ToolStarted") tool_progress("ToolProgress") tool_completed("ToolCompleted")
        tool_failed("Failure") tool_canceled;
    System "a part of the runtime" "system":
        system_started() system_progress() system_completed() system_failed() system_canceled;
}

/// The ids of a component, of its run and of the run around that.
type Ids = (String, Option<String>, Option<String>);

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
        Self::stamped(scope, event_type, (component_id.into(), None, None), message, data.into())
    }

    /// Puts the event into a run of a workflow, and that run into another.
    #[must_use]
    pub fn in_workflow(mut self, workflow_id: Option<String>, parent_workflow_id: Option<String>) -> Self {
        self.workflow_id = workflow_id;
        self.parent_workflow_id = parent_workflow_id;
        self
    }

    /// Makes an event whose id and time `append` sets, which spares reading the clock twice.
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
            start_id: None,
            parent_start_id: None,
            data: data.into(),
        }
    }

    /// Not generic, so that it is compiled once and builds the event in its place.
    fn stamped(scope: EventScope, event_type: EventType, ids: Ids, message: Option<String>, data: EventData) -> Self {
        let (component_id, workflow_id, parent_workflow_id) = ids;
        // One reading of the clock for both.
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let event_id = version_7(now, random());
        let timestamp = date_time(now);
        let unstamped = Self::unstamped(scope, event_type, component_id, message, data);
        Self { event_id, timestamp, workflow_id, parent_workflow_id, ..unstamped }
    }
}
