//! What is said of the runtime itself.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::Value as JsonValue;

use super::setters::setters;

/// A model made a call again with the same arguments, which may be a loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RepeatedCall {
    /// The tool's name.
    pub tool_name: String,
    /// The arguments, the same as before.
    pub arguments: JsonValue,
    /// What the last such call returned; `null` while none has ended.
    pub previous_result: Option<JsonValue>,
    /// Which call of this kind it is, from 2.
    pub call_count: u32,
    /// The agent whose model made it.
    pub agent: String,
    /// `true` if the agent has no such tool, so that the model made its name up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<bool>,
}

/// Events that a slow receiver missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MissedEvents {
    /// How many.
    pub missed: u64,
    /// The offset of the first.
    pub first_offset: u64,
    /// The offset of the last.
    pub last_offset: u64,
}

impl RepeatedCall {
    /// Says which agent called which tool with which arguments, and which call of this kind it is.
    #[must_use]
    pub fn new(
        agent: impl Into<String>,
        tool_name: impl Into<String>,
        arguments: impl Into<JsonValue>,
        call_count: u32,
    ) -> Self {
        Self {
            tool_name: tool_name.into(),
            arguments: arguments.into(),
            previous_result: None,
            call_count,
            agent: agent.into(),
            unknown: None,
        }
    }

    setters! {
        set with_previous_result(previous_result: Option<JsonValue>);
        some with_unknown(unknown: bool);
    }
}

impl MissedEvents {
    /// Names the offsets that were missed; the range must not be empty.
    #[must_use]
    pub const fn new(offsets: &Range<u64>) -> Self {
        let last_offset = offsets.end.saturating_sub(1);
        Self { missed: offsets.end.saturating_sub(offsets.start), first_offset: offsets.start, last_offset }
    }
}
