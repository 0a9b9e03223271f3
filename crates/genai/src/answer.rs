//! An answer of genai as the pieces that the runtime reads.

use agent_runtime::{
    event::Usage,
    llm::{ChatDelta, ChatStream, ModelError, ToolCallDelta},
};
use futures_util::{StreamExt as _, stream};
use genai::chat::{self, ChatStreamEvent, StopReason, StreamEnd, ToolCall};
use serde_json::{Value as JsonValue, json};

use crate::error::model_error;

/// What a call keeps of a provider's own, which that wants back with the call.
pub(crate) const THOUGHT_SIGNATURES: &str = "thought_signatures";

/// The pieces as they come. The calls of tools come whole, with the end.
pub(crate) fn deltas(answer: chat::ChatStream) -> ChatStream {
    answer
        .flat_map(|event| {
            let pieces: Vec<Result<ChatDelta, ModelError>> = match event {
                Ok(ChatStreamEvent::Chunk(chunk)) => vec![Ok(ChatDelta::Text(chunk.content))],
                Ok(ChatStreamEvent::ReasoningChunk(chunk)) => vec![Ok(ChatDelta::Reasoning(chunk.content))],
                Ok(ChatStreamEvent::End(end)) => ended(end).into_iter().map(Ok).collect(),
                Ok(_) => Vec::new(),
                Err(error) => vec![Err(model_error(error))],
            };
            stream::iter(pieces)
        })
        .boxed()
}

fn ended(end: StreamEnd) -> Vec<ChatDelta> {
    let calls = end.captured_content.into_iter().flat_map(chat::MessageContent::into_tool_calls);
    let mut pieces: Vec<_> = calls.enumerate().map(|(index, call)| called(index, call)).collect();
    pieces.extend(end.captured_response_id.map(ChatDelta::Id));
    pieces.extend(end.captured_usage.map(|usage| ChatDelta::Usage(used(&usage))));
    pieces.extend(end.captured_stop_reason.map(|reason| ChatDelta::Finish(word_of(reason))));
    pieces
}

fn called(index: usize, call: ToolCall) -> ChatDelta {
    let arguments = match call.fn_arguments {
        JsonValue::String(text) => text,
        JsonValue::Null => String::new(),
        other => other.to_string(),
    };
    let delta = ToolCallDelta::new(index).with_id(call.call_id).with_name(call.fn_name).with_arguments(arguments);
    match call.thought_signatures {
        Some(signatures) => delta.with_extra(THOUGHT_SIGNATURES, json!(signatures)).into(),
        None => delta.into(),
    }
}

fn used(usage: &chat::Usage) -> Usage {
    let count = |tokens: Option<i32>| tokens.and_then(|tokens| u64::try_from(tokens).ok());
    let of = |tokens| count(tokens).unwrap_or_default();
    let mut used = Usage::new(of(usage.prompt_tokens), of(usage.completion_tokens));
    used.total_tokens = count(usage.total_tokens).unwrap_or(used.total_tokens);
    if let Some(details) = &usage.prompt_tokens_details {
        used.cached_tokens = count(details.cached_tokens);
        used.cache_write_tokens = count(details.cache_creation_tokens);
    }
    used.reasoning_tokens =
        usage.completion_tokens_details.as_ref().and_then(|details| count(details.reasoning_tokens));
    used
}

/// Why the model stopped, in the provider's word.
fn word_of(reason: StopReason) -> String {
    match reason {
        StopReason::Completed(word)
        | StopReason::MaxTokens(word)
        | StopReason::ToolCall(word)
        | StopReason::ContentFilter(word)
        | StopReason::StopSequence(word)
        | StopReason::Other(word) => word,
    }
}
