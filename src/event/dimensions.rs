//! The three dimensions of an event: scope × type × status.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of component an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventScope {
    /// A whole workflow; id `name`.
    Workflow,
    /// One step of a workflow; id `workflow:step:N`.
    WorkflowStep,
    /// An agent; id `agent`.
    Agent,
    /// One request to a language model; id `agent:llm:N`.
    LlmRequest,
    /// One tool execution; id `tool` or `tool:N`.
    Tool,
    /// The runtime itself; id `system:subsystem`.
    System,
}

impl EventScope {
    /// The longest component id in bytes; ids become span names and attributes, which should stay short.
    pub const MAX_COMPONENT_ID_BYTES: usize = 256;

    /// The longest id of a run of a workflow in bytes; it is in each event of the run.
    pub const MAX_WORKFLOW_ID_BYTES: usize = 256;

    /// The longest tag of a run in bytes; each is in the data of each event of the run.
    pub const MAX_TAG_BYTES: usize = 256;

    /// Every scope, outermost first.
    pub const ALL: &[Self] =
        &[Self::Workflow, Self::WorkflowStep, Self::Agent, Self::LlmRequest, Self::Tool, Self::System];

    /// The scope's name in JSON: snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Workflow => "workflow",
            Self::WorkflowStep => "workflow_step",
            Self::Agent => "agent",
            Self::LlmRequest => "llm_request",
            Self::Tool => "tool",
            Self::System => "system",
        }
    }
}

/// A stage in a component's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventType {
    /// The component begins.
    Started,
    /// The component reports how far it is; any number of times.
    Progress,
    /// The component ended well.
    Completed,
    /// The component ended in an error.
    Failed,
    /// The component was canceled before its end.
    Canceled,
}

impl EventType {
    /// Every type, in the order of a life.
    pub const ALL: &[Self] = &[Self::Started, Self::Progress, Self::Completed, Self::Failed, Self::Canceled];

    /// The type's name in JSON: snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Progress => "progress",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Whether a component is over after an event of this type.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Started | Self::Progress => false,
            Self::Completed | Self::Failed | Self::Canceled => true,
        }
    }

    /// The status that a component has after an event of this type.
    #[must_use]
    pub const fn status(self) -> ComponentStatus {
        match self {
            Self::Started | Self::Progress => ComponentStatus::Running,
            Self::Completed => ComponentStatus::Completed,
            Self::Failed => ComponentStatus::Failed,
            Self::Canceled => ComponentStatus::Canceled,
        }
    }
}

/// Where a component stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComponentStatus {
    /// Known, not yet begun. No event of the runtime carries it: a component first speaks when it starts.
    Pending,
    /// Begun, not yet over.
    Running,
    /// Ended well.
    Completed,
    /// Ended in an error.
    Failed,
    /// Canceled before its end.
    Canceled,
}

impl ComponentStatus {
    /// Every status, in the order of a life.
    pub const ALL: &[Self] = &[Self::Pending, Self::Running, Self::Completed, Self::Failed, Self::Canceled];

    /// The status's name in JSON: snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }
}

impl fmt::Display for EventScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for ComponentStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
