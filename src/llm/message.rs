//! What is sent to a model, in the shape of the OpenAI chat API, which others share.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as JsonValue, json};

use crate::event::ToolCall;

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Role {
    /// The application's instructions.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A tool, in answer to the model's call.
    Tool,
}

/// One message of a chat.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ChatMessage {
    /// Who says it.
    pub role: Role,
    /// The text.
    pub content: String,
    /// The calls that the model asks for; only of an assistant.
    pub tool_calls: Vec<ToolCall>,
    /// The id of the call that is answered; only of a tool.
    pub tool_call_id: Option<String>,
    /// Fields beside these, by name, that came with the message and go back with it; only of an assistant.
    ///
    /// A reasoning model's thoughts, say. They are opaque, and each client sends those that its provider wants.
    pub extra: Map<String, JsonValue>,
}

/// A tool as it is described to a model.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ToolDefinition {
    /// The name by which the model calls it.
    pub name: String,
    /// What it does, for the model to read.
    pub description: String,
    /// The JSON Schema of its arguments.
    pub parameters: JsonValue,
}

/// How a model is to generate; `None` leaves a setting to the provider.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct GenerationOptions {
    /// The sampling temperature, in the provider's scale.
    pub temperature: Option<f64>,
    /// Nucleus sampling: the share of probability that tokens are drawn from, from 0 to 1.
    pub top_p: Option<f64>,
    /// The most tokens to generate.
    pub max_tokens: Option<u64>,
}

/// A request to a model.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ChatRequest {
    /// The chat so far, oldest message first.
    pub messages: Vec<ChatMessage>,
    /// The tools that the model may call.
    pub tools: Vec<ToolDefinition>,
    /// How to generate.
    pub options: GenerationOptions,
    /// Headers that carry the trace's context to the model's server, for clients that speak HTTP.
    pub trace_headers: Vec<(String, String)>,
}

impl ChatMessage {
    /// Makes a message of the application's instructions.
    #[must_use]
    pub fn system(content: impl Into<String>) -> Self {
        Self::of(Role::System, content)
    }

    /// Makes a message of the user.
    #[must_use]
    pub fn user(content: impl Into<String>) -> Self {
        Self::of(Role::User, content)
    }

    /// Makes a message of the model, with the calls that it asked for.
    #[must_use]
    pub fn assistant(content: impl Into<String>, tool_calls: Vec<ToolCall>) -> Self {
        Self { tool_calls, ..Self::of(Role::Assistant, content) }
    }

    /// Makes the message of a tool that answers a call.
    #[must_use]
    pub fn tool(content: impl Into<String>, tool_call_id: impl Into<String>) -> Self {
        Self { tool_call_id: Some(tool_call_id.into()), ..Self::of(Role::Tool, content) }
    }

    /// Returns the message in the form of the OpenAI chat API.
    #[must_use]
    pub fn to_json(&self) -> JsonValue {
        let mut message = json!({"role": self.role, "content": self.content});
        // Some servers refuse an empty text, and others a missing one.
        if self.content.trim().is_empty() && !self.tool_calls.is_empty() {
            message["content"] = JsonValue::Null;
        }
        for (name, value) in &self.extra {
            message[name] = value.clone();
        }
        if !self.tool_calls.is_empty() {
            message["tool_calls"] = self.tool_calls.iter().map(call_to_json).collect();
        }
        if let Some(id) = &self.tool_call_id {
            message["tool_call_id"] = json!(id);
        }
        message
    }

    /// Sets the fields that came with the model's message and go back with it.
    ///
    /// By default, there are none.
    #[must_use]
    pub fn with_extra(mut self, extra: Map<String, JsonValue>) -> Self {
        self.extra = extra;
        self
    }

    fn of(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), tool_calls: Vec::new(), tool_call_id: None, extra: Map::new() }
    }
}

impl ToolDefinition {
    /// Describes a tool by its name, what it does and the JSON Schema of its arguments.
    #[must_use]
    pub fn new(name: impl Into<String>, description: impl Into<String>, parameters: JsonValue) -> Self {
        Self { name: name.into(), description: description.into(), parameters }
    }

    /// Returns the tool in the form of the OpenAI chat API.
    #[must_use]
    pub fn to_json(&self) -> JsonValue {
        json!({
            "type": "function",
            "function": {"name": self.name, "description": self.description, "parameters": self.parameters},
        })
    }
}

impl GenerationOptions {
    /// Sets the sampling temperature.
    ///
    /// By default, the provider chooses.
    #[must_use]
    pub const fn with_temperature(mut self, temperature: f64) -> Self {
        self.temperature = Some(temperature);
        self
    }

    /// Sets the share of probability that tokens are drawn from, from 0 to 1.
    ///
    /// By default, the provider chooses.
    #[must_use]
    pub const fn with_top_p(mut self, top_p: f64) -> Self {
        self.top_p = Some(top_p);
        self
    }

    /// Sets the most tokens to generate.
    ///
    /// By default, the provider chooses.
    #[must_use]
    pub const fn with_max_tokens(mut self, max_tokens: u64) -> Self {
        self.max_tokens = Some(max_tokens);
        self
    }
}

impl ChatRequest {
    /// Makes a request from the chat so far, oldest message first.
    #[must_use]
    pub fn new(messages: impl IntoIterator<Item = ChatMessage>) -> Self {
        Self { messages: messages.into_iter().collect(), ..Self::default() }
    }

    /// Adds tools that the model may call.
    ///
    /// By default, there are none.
    #[must_use]
    pub fn with_tools(mut self, tools: impl IntoIterator<Item = ToolDefinition>) -> Self {
        self.tools.extend(tools);
        self
    }

    /// Sets how to generate.
    ///
    /// By default, everything is left to the provider.
    #[must_use]
    pub const fn with_options(mut self, options: GenerationOptions) -> Self {
        self.options = options;
        self
    }

    /// Adds headers that carry the trace's context to the model's server.
    ///
    /// By default, there are none.
    #[must_use]
    pub fn with_trace_headers(mut self, headers: impl IntoIterator<Item = (String, String)>) -> Self {
        self.trace_headers.extend(headers);
        self
    }
}

fn call_to_json(call: &ToolCall) -> JsonValue {
    let mut function = Map::new();
    let mut json = call.extra.clone();
    if let Some(JsonValue::Object(extra)) = json.remove("function") {
        function = extra;
    }
    function.insert("name".to_owned(), json!(call.name));
    function.insert("arguments".to_owned(), json!(call.arguments));
    json.insert("id".to_owned(), json!(call.id));
    json.insert("type".to_owned(), json!("function"));
    json.insert("function".to_owned(), function.into());
    json.into()
}
