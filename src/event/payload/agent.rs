//! What is said of an agent.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value as JsonValue;

use super::setters::{millis, setters};

/// An agent begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AgentStarted {
    /// What the agent was given.
    pub input: JsonValue,
    /// The model that it asks, where it is always the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What the agent is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// An agent goes into another round with its model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AgentProgress {
    /// The round, from 1.
    pub iteration: u32,
    /// The most rounds that it may take.
    pub max_iterations: u32,
}

/// An agent ended well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AgentCompleted {
    /// Its answer.
    pub output: JsonValue,
    /// How many rounds it took.
    pub iterations: u32,
    /// How many requests it made to its model.
    pub llm_calls: u32,
    /// How many tools it ran.
    pub tool_calls: u32,
    /// The tokens of all its requests, of those whose usage is known.
    pub total_tokens: u64,
    /// Why the model stopped at its answer, in the provider's word: `length` where a limit of tokens cut the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// From start to end, in milliseconds.
    pub duration_ms: u64,
}

impl AgentStarted {
    /// Says what the agent was given.
    #[must_use]
    pub fn new(input: impl Into<JsonValue>) -> Self {
        Self { input: input.into(), model: None, description: None }
    }

    setters! {
        text with_model(model);
        text with_description(description);
    }
}

impl AgentProgress {
    /// Says which round it is, from 1, and how many it may take.
    #[must_use]
    pub const fn new(iteration: u32, max_iterations: u32) -> Self {
        Self { iteration, max_iterations }
    }
}

impl AgentCompleted {
    /// Says what the agent answered and how long it took, with all counts zero.
    #[must_use]
    pub fn new(output: impl Into<JsonValue>, duration: Duration) -> Self {
        Self {
            output: output.into(),
            iterations: 0,
            llm_calls: 0,
            tool_calls: 0,
            total_tokens: 0,
            finish_reason: None,
            duration_ms: millis(duration),
        }
    }

    setters! {
        set with_iterations(iterations: u32);
        set with_llm_calls(llm_calls: u32);
        set with_tool_calls(tool_calls: u32);
        set with_total_tokens(total_tokens: u64);
        text with_finish_reason(finish_reason);
    }
}
