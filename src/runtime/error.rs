//! What a run and a tool can fail with.

use std::{error::Error, time::Duration};

use thiserror::Error;

use crate::{
    component::with_sources,
    event::{EventError, StepType, UNKNOWN_TOOL},
    llm::ModelError,
    wording::Summary,
};

/// Any error of the user's.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A workflow has no output.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// A component has a name that cannot be an id; nothing was run.
    #[error("a component of the workflow has no valid name")]
    InvalidName(#[from] EventError),
    /// The workflow was not run inside a Tokio runtime.
    #[error("a workflow needs a Tokio runtime: call it inside `#[tokio::main]` or `Runtime::block_on`")]
    NoTokioRuntime,
    /// An agent's model gave no answer.
    #[error("the model of agent {agent:?} gave no answer")]
    #[non_exhaustive]
    Model {
        /// The agent.
        agent: String,
        /// What the model failed with.
        #[source]
        source: ModelError,
    },
    /// An agent asked for tools again and again.
    #[error("agent {agent:?} gave no answer within {limit} iterations; raise the limit with `with_max_iterations`")]
    #[non_exhaustive]
    IterationLimit {
        /// The agent.
        agent: String,
        /// The most rounds it may take.
        limit: u32,
    },
    /// An agent's model made the same call again and again, with the same result each time.
    #[error("agent {agent:?} called tool {tool:?} {count} times with the same arguments and result, and asks again")]
    #[non_exhaustive]
    RepeatedCall {
        /// The agent.
        agent: String,
        /// The tool.
        tool: String,
        /// How often it was called.
        count: u32,
    },
    /// A step failed with an error of the user's.
    #[error("step {step:?} failed")]
    #[non_exhaustive]
    Step {
        /// The step's name.
        step: String,
        /// What the step does.
        step_type: StepType,
        /// What the step failed with.
        #[source]
        source: BoxError,
    },
    /// A nested workflow failed.
    #[error("nested workflow {workflow:?} failed")]
    #[non_exhaustive]
    SubWorkflow {
        /// The nested workflow's name.
        workflow: String,
        /// What it failed with.
        #[source]
        source: Box<Self>,
    },
}

impl RunError {
    /// The failure in our own words and the application's, with those of others that may leave the process.
    pub(crate) fn summary(&self) -> Summary {
        match self {
            Self::InvalidName(source) => Summary::new(self).with_source(&Summary::of_application(&source.to_string())),
            Self::NoTokioRuntime | Self::IterationLimit { .. } => Summary::new(self),
            // The model may have made the tool's name up.
            Self::RepeatedCall { agent, count, .. } => Summary::new(format_args!(
                "agent {agent:?} called one tool {count} times with the same arguments and result, and asks again"
            )),
            Self::Model { source, .. } => Summary::new(self).with_source(&source.summary()),
            Self::Step { source, .. } => Summary::new(self).with_source(&summary_of(&**source)),
            Self::SubWorkflow { source, .. } => Summary::new(self).with_source(&source.summary()),
        }
    }

    /// A fixed word for the kind of failure, for `error_code` in events and `error.type` in telemetry.
    ///
    /// What [`ModelError::code`] returns, or one of `invalid_name`, `no_runtime`, `max_iterations`, `repeated_call`, `transform` and `step_failed`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidName(_) => "invalid_name",
            Self::NoTokioRuntime => "no_runtime",
            Self::Model { source, .. } => source.code(),
            Self::IterationLimit { .. } => "max_iterations",
            Self::RepeatedCall { .. } => "repeated_call",
            Self::Step { step_type: StepType::Transform, .. } => "transform",
            Self::Step { .. } => "step_failed",
            Self::SubWorkflow { source, .. } => source.code(),
        }
    }

    /// How long to wait before the next try; `None` if no model's provider said.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Model { source, .. } => source.retry_after(),
            Self::Step { source, .. } => source.downcast_ref::<ModelError>()?.retry_after(),
            Self::SubWorkflow { source, .. } => source.retry_after(),
            Self::InvalidName(_) | Self::NoTokioRuntime | Self::IterationLimit { .. } | Self::RepeatedCall { .. } => {
                None
            }
        }
    }

    /// Whether the same run may succeed later, as far as a model's failure says: of a step's error of another type nothing
    /// is known, and it counts as lasting.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Model { source, .. } => source.is_retryable(),
            Self::Step { source, .. } => source.downcast_ref().is_some_and(ModelError::is_retryable),
            Self::SubWorkflow { source, .. } => source.is_retryable(),
            Self::InvalidName(_) | Self::NoTokioRuntime | Self::IterationLimit { .. } | Self::RepeatedCall { .. } => {
                false
            }
        }
    }
}

/// A tool has no result. The run goes on: the model hears why, and decides.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ToolError {
    /// The tool did not succeed.
    #[error("{message}")]
    #[non_exhaustive]
    Failed {
        /// A sentence for people and for the model.
        message: String,
        /// A fixed word for the kind of failure, if the tool has one.
        code: Option<String>,
    },
    /// The tool failed with an error of the user's.
    #[error(transparent)]
    Source(BoxError),
    /// The arguments are not what the tool takes.
    #[error("invalid arguments: {reason}")]
    #[non_exhaustive]
    InvalidArguments {
        /// What is wrong with them.
        reason: String,
    },
    /// The model asked for a tool that its agent does not have.
    #[error("there is no tool {name:?}; known tools: {known}")]
    #[non_exhaustive]
    Unknown {
        /// The name that the model gave.
        name: String,
        /// The agent's tools.
        known: String,
    },
    /// The tool panicked.
    #[error("the tool panicked: {message}")]
    #[non_exhaustive]
    Panicked {
        /// What the panic said.
        message: String,
    },
}

impl ToolError {
    /// The failure in our own words and the tool's, with those of others that may leave the process.
    pub(crate) fn summary(&self) -> Summary {
        match self {
            Self::Failed { message, .. } => Summary::of_application(message),
            Self::Source(source) => summary_of(&**source),
            Self::InvalidArguments { reason } => Summary::new("invalid arguments").with_foreign(reason),
            Self::Unknown { known, .. } => Summary::new(format_args!("there is no such tool; known tools: {known}")),
            Self::Panicked { message } => Summary::new("the tool panicked").with_foreign(message),
        }
    }

    /// Fails with a sentence.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), code: None }
    }

    /// Fails with a sentence and a fixed word, such as `DIV_BY_ZERO`.
    #[must_use]
    pub fn with_code(message: impl Into<String>, code: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), code: Some(code.into()) }
    }

    /// Refuses arguments, for the reason that is shown to the model.
    #[must_use]
    pub fn invalid_arguments(reason: impl Into<String>) -> Self {
        Self::InvalidArguments { reason: reason.into() }
    }

    /// What a tool returned, by its own type if it is one of ours.
    pub(super) fn of(error: BoxError) -> Self {
        error.downcast::<Self>().map_or_else(Self::Source, |error| *error)
    }

    /// A fixed word for the kind of failure: the tool's own, or one of `tool_failed`, `invalid_arguments`,
    /// `unknown_tool` and `panic`.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Failed { code, .. } => code.as_deref().unwrap_or("tool_failed"),
            Self::Source(_) => "tool_failed",
            Self::InvalidArguments { .. } => "invalid_arguments",
            Self::Unknown { .. } => UNKNOWN_TOOL,
            Self::Panicked { .. } => "panic",
        }
    }
}

/// The summary of an error of any type; one that is none of ours counts as the application's.
fn summary_of(error: &(dyn Error + 'static)) -> Summary {
    if let Some(error) = error.downcast_ref::<RunError>() {
        return error.summary();
    }
    if let Some(error) = error.downcast_ref::<ToolError>() {
        return error.summary();
    }
    let model = error.downcast_ref::<ModelError>();
    model.map_or_else(|| Summary::of_application(&with_sources(error)), ModelError::summary)
}
