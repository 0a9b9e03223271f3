//! A request of the runtime as one of genai.

use agent_runtime::{
    event,
    llm::{ChatMessage, ChatRequest, Role},
};
use genai::chat::{self, ChatOptions, ContentPart, MessageContent, Tool, ToolResponse};
use serde_json::Value as JsonValue;

use crate::answer::THOUGHT_SIGNATURES;

/// What is asked: the history and the tools.
pub(crate) fn chat(request: ChatRequest) -> chat::ChatRequest {
    let mut names = Vec::new();
    let messages = request.messages.into_iter().map(|message| self::message(message, &mut names)).collect();
    let tools = request
        .tools
        .into_iter()
        .map(|tool| Tool::new(tool.name).with_description(tool.description).with_schema(tool.parameters));
    let tools: Vec<_> = tools.collect();
    let chat = chat::ChatRequest::new(messages);
    if tools.is_empty() { chat } else { chat.with_tools(tools) }
}

/// How it is asked.
pub(crate) fn options(request: &ChatRequest) -> ChatOptions {
    let mut options = ChatOptions::default().with_capture_usage(true).with_capture_tool_calls(true);
    options.temperature = request.options.temperature;
    options.top_p = request.options.top_p;
    options.max_tokens = request.options.max_tokens.map(|tokens| u32::try_from(tokens).unwrap_or(u32::MAX));
    if !request.trace_headers.is_empty() {
        options = options.with_extra_headers(request.trace_headers.clone());
    }
    options
}

/// A message; `names` has the tools that were called so far, by the ids of the calls.
fn message(message: ChatMessage, names: &mut Vec<(String, String)>) -> chat::ChatMessage {
    match message.role {
        Role::System => chat::ChatMessage::system(message.content),
        Role::Assistant => {
            names.extend(message.tool_calls.iter().map(|call| (call.id.clone(), call.name.clone())));
            let text = Some(message.content).filter(|text| !text.is_empty()).map(ContentPart::Text);
            let calls = message.tool_calls.into_iter().map(call).map(ContentPart::ToolCall);
            chat::ChatMessage::assistant(MessageContent::from_parts(text.into_iter().chain(calls).collect::<Vec<_>>()))
        }
        Role::Tool => {
            let id = message.tool_call_id.unwrap_or_default();
            let name = names.iter().rfind(|(called, _)| *called == id).map(|(_, name)| name.clone());
            let mut response = ToolResponse::new(id, message.content);
            response.fn_name = name;
            chat::ChatMessage::tool(MessageContent::from_tool_responses(vec![response]))
        }
        // A role that is none of these is of a later version of the runtime.
        _ => chat::ChatMessage::user(message.content),
    }
}

fn call(call: event::ToolCall) -> chat::ToolCall {
    // Arguments that the model did not write as JSON go back as the text that they are.
    let arguments = serde_json::from_str(&call.arguments).unwrap_or(JsonValue::String(call.arguments));
    let signatures = call
        .extra
        .get(THOUGHT_SIGNATURES)
        .and_then(JsonValue::as_array)
        .map(|signatures| signatures.iter().filter_map(JsonValue::as_str).map(str::to_owned).collect());
    chat::ToolCall { call_id: call.id, fn_name: call.name, fn_arguments: arguments, thought_signatures: signatures }
}
