//! What is said of a workflow.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value as JsonValue;

use super::setters::{millis, setters};
use crate::event::TraceContext;

/// A workflow begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WorkflowStarted {
    /// What the workflow was given.
    pub input: JsonValue,
    /// Other traces that this run has to do with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<TraceContext>,
    /// Which attempt at the run it is, if the run was given a seed; the trace's id then follows from the run's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
}

/// A workflow ended well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WorkflowCompleted {
    /// The output of the last step.
    pub output: JsonValue,
    /// From start to end, in milliseconds.
    pub duration_ms: u64,
}

impl WorkflowStarted {
    /// Says what the workflow was given.
    #[must_use]
    pub fn new(input: impl Into<JsonValue>) -> Self {
        Self { input: input.into(), links: Vec::new(), attempt: None }
    }

    /// Sets [`links`](Self::links). By default, none.
    #[must_use]
    pub fn with_links(mut self, links: impl IntoIterator<Item = TraceContext>) -> Self {
        self.links = links.into_iter().collect();
        self
    }

    setters! {
        some with_attempt(attempt: u32);
    }
}

impl WorkflowCompleted {
    /// Says what the workflow returned and how long it took.
    #[must_use]
    pub fn new(output: impl Into<JsonValue>, duration: Duration) -> Self {
        Self { output: output.into(), duration_ms: millis(duration) }
    }
}
