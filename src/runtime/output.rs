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
