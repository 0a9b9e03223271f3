//! Runs workflows on an event stream.

use serde_json::Value as JsonValue;

use super::{RunError, Workflow};
use crate::{
    component::{Run, RunOptions},
    event::TraceContext,
    stream::EventStream,
};

/// Runs workflows whose events all go to one stream. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Runtime {
    stream: EventStream,
}

/// What a run returned.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RunOutput {
    /// The run's id, which all its events carry.
    pub workflow_id: String,
    /// The output of the last step.
    pub output: JsonValue,
    /// The run's span, if a bridge made one.
    pub trace: Option<TraceContext>,
}

impl Runtime {
    /// Makes a runtime with an event stream of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a runtime whose events go to a given stream.
    #[must_use]
    pub const fn with_event_stream(stream: EventStream) -> Self {
        Self { stream }
    }

    /// The stream of all events of this runtime.
    #[must_use]
    pub const fn event_stream(&self) -> &EventStream {
        &self.stream
    }

    /// Runs a workflow. Called inside a component (a tool, a transform), the run is nested in the component's run.
    ///
    /// # Errors
    ///
    /// - [`RunError::InvalidName`] if a component's name cannot be an id; nothing was run then.
    /// - Any other [`RunError`] if a step failed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the run: every component that is open says Canceled, innermost first.
    pub async fn execute(&self, workflow: &Workflow, input: impl Into<JsonValue>) -> Result<RunOutput, RunError> {
        self.execute_with(workflow, input, RunOptions::default()).await
    }

    /// Runs a workflow as [`execute`](Self::execute) does, with options.
    ///
    /// # Errors
    ///
    /// Those of [`execute`](Self::execute).
    ///
    /// # Cancel safety
    ///
    /// That of [`execute`](Self::execute).
    pub async fn execute_with(
        &self,
        workflow: &Workflow,
        input: impl Into<JsonValue>,
        options: RunOptions,
    ) -> Result<RunOutput, RunError> {
        execute(workflow, input.into(), self.stream.clone(), options).await
    }
}

pub(super) async fn execute(
    workflow: &Workflow,
    input: JsonValue,
    stream: EventStream,
    options: RunOptions,
) -> Result<RunOutput, RunError> {
    workflow.validate()?;
    workflow.run(input, &Run::begin(stream, options)).await
}
