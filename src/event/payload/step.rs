//! What is said of a step.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value as JsonValue;

use super::setters::millis;

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum StepType {
    /// Runs an agent.
    Agent,
    /// Calls a function.
    Transform,
    /// Chooses between steps.
    Conditional,
    /// Runs a workflow.
    Subworkflow,
    /// Does what a type of the user's does.
    Custom,
}

impl StepType {
    /// The type's name in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Transform => "transform",
            Self::Conditional => "conditional",
            Self::Subworkflow => "subworkflow",
            Self::Custom => "custom",
        }
    }
}

/// A step begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StepStarted {
    /// The step's name.
    pub step_name: String,
    /// What it does.
    pub step_type: StepType,
    /// What it was given.
    pub input: JsonValue,
}

/// A step ended well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StepCompleted {
    /// The step's name.
    pub step_name: String,
    /// What it returned.
    pub output: JsonValue,
    /// From start to end, in milliseconds.
    pub duration_ms: u64,
}

impl StepStarted {
    /// Says which step begins, of which type, and what it was given.
    #[must_use]
    pub fn new(step_name: impl Into<String>, step_type: StepType, input: impl Into<JsonValue>) -> Self {
        Self { step_name: step_name.into(), step_type, input: input.into() }
    }
}

impl StepCompleted {
    /// Says which step ended, what it returned and how long it took.
    #[must_use]
    pub fn new(step_name: impl Into<String>, output: impl Into<JsonValue>, duration: Duration) -> Self {
        Self { step_name: step_name.into(), output: output.into(), duration_ms: millis(duration) }
    }
}
