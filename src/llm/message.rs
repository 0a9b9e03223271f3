//! What is sent to a model, in the shape of the OpenAI chat API, which others share.

use serde::{Deserialize, Serialize};
use serde_json::{Value as JsonValue, json};

use crate::event::ToolCall;

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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
pub struct ChatMessage {
    /// Who says it.
    pub role: Role,
    /// The text.
    pub content: String,
    /// The calls that the model asks for; only of an assistant.
    pub tool_calls: Vec<ToolCall>,
    /// The call that is answered; only of a tool.
    pub tool_call_id: Option<String>,
}

/// A tool as a model is told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolDefinition {
    /// The name by which the model calls it.
    pub name: String,
    /// What it does, for the model to read.
    pub description: String,
    /// The JSON Schema of its arguments.
    pub parameters: JsonValue,
}

/// How a model is to generate; what is `None` is left to the provider.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GenerationOptions {
    /// The sampling temperature.
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    pub top_p: Option<f64>,
    /// The most tokens to generate.
    pub max_tokens: Option<u64>,
}

/// A request to a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatRequest {
    /// The chat so far.
    pub messages: Vec<ChatMessage>,
    /// The tools that the model may call.
    pub tools: Vec<ToolDefinition>,
    /// How to generate.
    pub options: GenerationOptions,
    /// Headers that carry the trace's context to the model's server, for clients that speak HTTP.
    pub trace_headers: Vec<(String, String)>,
}

impl ChatMessage {
    /// The application's instructions.
    #[must_use]
    pub fn system(content: impl Into<String>) -> Self {
        Self::of(Role::System, content)
    }

    /// What the user says.
    #[must_use]
    pub fn user(content: impl Into<String>) -> Self {
        Self::of(Role::User, content)
    }

    /// What the model said, with the calls that it asked for.
    #[must_use]
    pub fn assistant(content: impl Into<String>, tool_calls: Vec<ToolCall>) -> Self {
        Self { tool_calls, ..Self::of(Role::Assistant, content) }
    }

    /// What a tool gave for a call.
    #[must_use]
    pub fn tool(content: impl Into<String>, tool_call_id: impl Into<String>) -> Self {
        Self { tool_call_id: Some(tool_call_id.into()), ..Self::of(Role::Tool, content) }
    }

    /// The message as the OpenAI chat API has it.
    #[must_use]
    pub fn to_json(&self) -> JsonValue {
        let mut message = json!({"role": self.role, "content": self.content});
        if !self.tool_calls.is_empty() {
            message["tool_calls"] = self.tool_calls.iter().map(call_to_json).collect();
        }
        if let Some(id) = &self.tool_call_id {
            message["tool_call_id"] = json!(id);
        }
        message
    }

    fn of(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), tool_calls: Vec::new(), tool_call_id: None }
    }
}

impl ToolDefinition {
    /// The tool as the OpenAI chat API has it.
    #[must_use]
    pub fn to_json(&self) -> JsonValue {
        json!({
            "type": "function",
            "function": {"name": self.name, "description": self.description, "parameters": self.parameters},
        })
    }
}

fn call_to_json(call: &ToolCall) -> JsonValue {
    json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}})
}
