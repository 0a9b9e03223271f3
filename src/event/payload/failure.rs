//! What is said of a component that failed or was canceled.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Usage,
    setters::{millis, setters},
};

/// A component failed or was canceled; the sentence for people is the event's `message`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Failure {
    /// What failed, as one of few fixed words: `timeout`, `rate_limit_exceeded`, `panic`, ….
    pub error_code: String,
    /// From start to end, in milliseconds.
    pub duration_ms: u64,
    /// What else is known.
    #[serde(flatten)]
    pub details: FailureDetails,
}

/// What is known of a failure besides its code; which of it depends on the scope.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct FailureDetails {
    /// The error with its sources, as the event's `message` has it; of a workflow. It stays in the process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The failure in our own words and the application's, with those of others that may leave the process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_summary: Option<String>,
    /// The step's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_name: Option<String>,
    /// The tool's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_name: Option<String>,
    /// How often the agent had asked its model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iterations: Option<u32>,
    /// The limit that was hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_allowed: Option<u32>,
    /// When the provider takes another request, in seconds, rounded up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The same exactly, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The text up to the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
    /// How many pieces it came in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk_count: Option<u64>,
    /// From the request to the first piece, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_to_first_chunk_ms: Option<u64>,
    /// What the request cost, if the provider said so before the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The provider's id for the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
    /// The model that answered, as the provider names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_model: Option<String>,
}

impl Failure {
    /// Says what failed, as one of few fixed words, and how long the component had run.
    #[must_use]
    pub fn new(error_code: impl Into<String>, duration: Duration) -> Self {
        Self { error_code: error_code.into(), duration_ms: millis(duration), details: FailureDetails::default() }
    }

    setters! {
        set with_details(details: FailureDetails);
    }
}

impl FailureDetails {
    setters! {
        text with_error(error);
        text with_error_summary(error_summary);
        text with_step_name(step_name);
        text with_tool_name(tool_name);
        some with_iterations(iterations: u32);
        some with_max_allowed(max_allowed: u32);
        some with_retry_after(retry_after: u64);
        some with_retry_after_ms(retry_after_ms: u64);
        text with_response(response);
        some with_chunk_count(chunk_count: u64);
        some with_time_to_first_chunk_ms(time_to_first_chunk_ms: u64);
        some with_usage(usage: Usage);
        text with_response_id(response_id);
        text with_response_model(response_model);
    }
}
