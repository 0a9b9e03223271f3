//! What a run returned.

use serde_json::Value as JsonValue;

use crate::event::TraceContext;

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

impl RunOutput {
    /// Makes the output of a run, without a span: for tests of code that takes one.
    #[must_use]
    pub fn new(workflow_id: impl Into<String>, output: impl Into<JsonValue>) -> Self {
        Self { workflow_id: workflow_id.into(), output: output.into(), trace: None }
    }

    /// Sets the run's span. By default, there is none.
    #[must_use]
    pub const fn with_trace(mut self, trace: TraceContext) -> Self {
        self.trace = Some(trace);
        self
    }
}
