//! What is said of a request to a model.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as JsonValue};

use super::setters::{millis, setters};

/// A request goes out to a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LlmStarted {
    /// The chat history as sent, a list of `{"role", "content", …}`.
    pub messages: JsonValue,
    /// The model asked for.
    pub model: String,
    /// Whether the answer comes in pieces.
    pub stream: bool,
    /// Who answers, in the words of `gen_ai.provider.name`.
    pub provider: String,
    /// The host that answers, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_address: Option<String>,
    /// The port on that host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_port: Option<u16>,
    /// The sampling temperature, if one was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling, if it was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// The most tokens to generate, if it was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// The tools that the model may call, as sent: a list of `{"type": "function", "function": {"name", …}}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<JsonValue>,
}

/// A model's answer is complete.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LlmCompleted {
    /// The text.
    pub response: String,
    /// What it cost, if the provider said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Why the model stopped, in the provider's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// The tools that the model wants run.
    pub tool_calls: Vec<ToolCall>,
    /// The provider's id for the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
    /// The model that answered, as the provider names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_model: Option<String>,
    /// How many pieces the answer came in.
    pub chunk_count: u64,
    /// From the request to the first piece, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_to_first_chunk_ms: Option<u64>,
    /// From the request to the end of the answer, in milliseconds.
    pub duration_ms: u64,
}

/// The tokens of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens of the request, cached ones included.
    #[serde(default)]
    pub prompt_tokens: u64,
    /// Tokens of the answer, reasoning included.
    #[serde(default)]
    pub completion_tokens: u64,
    /// Both together.
    #[serde(default)]
    pub total_tokens: u64,
    /// Those of the request that came from the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Those of the request that were put into the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
    /// Those of the answer that were spent on reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
}

/// A model's wish to have a tool run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolCall {
    /// The provider's id for the call.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments as the model wrote them: JSON text, if the model did well.
    pub arguments: String,
    /// Fields beside these, by name, that the provider wants back with the call: opaque.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, JsonValue>,
}

impl ToolCall {
    /// Makes a call with the provider's id for it, the tool's name and the JSON text of the arguments.
    #[must_use]
    pub fn new(id: impl Into<String>, name: impl Into<String>, arguments: impl Into<String>) -> Self {
        Self { id: id.into(), name: name.into(), arguments: arguments.into(), extra: Map::new() }
    }
}

impl LlmStarted {
    /// Says who is asked, for which model, and the chat history: a list of `{"role", "content", …}`.
    #[must_use]
    pub fn new(provider: impl Into<String>, model: impl Into<String>, messages: impl Into<JsonValue>) -> Self {
        Self {
            messages: messages.into(),
            model: model.into(),
            stream: false,
            provider: provider.into(),
            server_address: None,
            server_port: None,
            temperature: None,
            top_p: None,
            max_tokens: None,
            tools: Vec::new(),
        }
    }

    setters! {
        set with_stream(stream: bool);
        text with_server_address(server_address);
        some with_server_port(server_port: u16);
        some with_temperature(temperature: f64);
        some with_top_p(top_p: f64);
        some with_max_tokens(max_tokens: u64);
        set with_tools(tools: Vec<JsonValue>);
    }
}

impl LlmCompleted {
    /// Says what the model answered and how long that took.
    #[must_use]
    pub fn new(response: impl Into<String>, duration: Duration) -> Self {
        Self {
            response: response.into(),
            usage: None,
            finish_reason: None,
            tool_calls: Vec::new(),
            response_id: None,
            response_model: None,
            chunk_count: 0,
            time_to_first_chunk_ms: None,
            duration_ms: millis(duration),
        }
    }

    setters! {
        some with_usage(usage: Usage);
        text with_finish_reason(finish_reason);
        set with_tool_calls(tool_calls: Vec<ToolCall>);
        text with_response_id(response_id);
        text with_response_model(response_model);
        set with_chunk_count(chunk_count: u64);
        some with_time_to_first_chunk_ms(time_to_first_chunk_ms: u64);
    }
}

impl Usage {
    /// Counts the tokens of a request and of its answer; the total is their sum.
    #[must_use]
    pub const fn new(prompt_tokens: u64, completion_tokens: u64) -> Self {
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens.saturating_add(completion_tokens),
            cached_tokens: None,
            cache_write_tokens: None,
            reasoning_tokens: None,
        }
    }

    setters! {
        set with_total_tokens(total_tokens: u64);
        some with_cached_tokens(cached_tokens: u64);
        some with_cache_write_tokens(cache_write_tokens: u64);
        some with_reasoning_tokens(reasoning_tokens: u64);
    }
}
