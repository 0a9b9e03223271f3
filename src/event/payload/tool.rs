//! What is said of a tool.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value as JsonValue;

use super::setters::{millis, setters};

/// A tool begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolStarted {
    /// The tool's name.
    pub tool_name: String,
    /// Its arguments; a string where the model did not write JSON.
    pub arguments: JsonValue,
    /// The provider's id for the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// The agent that runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// What the tool does, as the model reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `true` if the agent has no such tool, so that the model made its name up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<bool>,
}

/// A tool reports how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolProgress {
    /// The tool's name.
    pub tool_name: String,
    /// How far, in the tool's own measure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<u64>,
}

/// A tool ended well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolCompleted {
    /// The tool's name.
    pub tool_name: String,
    /// What it returned.
    pub result: JsonValue,
    /// From start to end, in milliseconds.
    pub duration_ms: u64,
}

impl ToolStarted {
    /// Says which tool begins and with which arguments.
    #[must_use]
    pub fn new(tool_name: impl Into<String>, arguments: impl Into<JsonValue>) -> Self {
        Self {
            tool_name: tool_name.into(),
            arguments: arguments.into(),
            tool_call_id: None,
            agent: None,
            description: None,
            unknown: None,
        }
    }

    setters! {
        text with_tool_call_id(tool_call_id);
        text with_agent(agent);
        text with_description(description);
        some with_unknown(unknown: bool);
    }
}

impl ToolProgress {
    /// Says which tool reports.
    #[must_use]
    pub fn new(tool_name: impl Into<String>) -> Self {
        Self { tool_name: tool_name.into(), progress: None }
    }

    setters! {
        some with_progress(progress: u64);
    }
}

impl ToolCompleted {
    /// Says which tool ended, what it returned and how long it took.
    #[must_use]
    pub fn new(tool_name: impl Into<String>, result: impl Into<JsonValue>, duration: Duration) -> Self {
        Self { tool_name: tool_name.into(), result: result.into(), duration_ms: millis(duration) }
    }
}
