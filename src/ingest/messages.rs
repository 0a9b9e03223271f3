//! Messages in the JSON schema of the conventions, as those that events carry: in the shape of the chat API.

use serde_json::{Map, Value as JsonValue, json};

use crate::event::ToolCall;

/// What a model answered.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) calls: Vec<ToolCall>,
    pub(super) finish_reason: Option<String>,
}

/// A chat history, the system's instructions first. What is in no known shape stays as it is.
pub(super) fn history(instructions: Option<&JsonValue>, messages: Option<&JsonValue>) -> JsonValue {
    let instructions = instructions.map(|parts| json!({"role": "system", "content": content_of(parts)}));
    let messages = match messages {
        Some(JsonValue::Array(messages)) => messages.iter().flat_map(message).collect(),
        Some(other) => vec![json!({"role": "user", "content": other})],
        None => Vec::new(),
    };
    instructions.into_iter().chain(messages).collect()
}

/// The answer of a model, of which the first choice counts.
pub(super) fn answer(messages: &JsonValue) -> Answer {
    let Some(first) = messages.as_array().and_then(|choices| choices.first()) else {
        return Answer { text: text_of(messages), ..Answer::default() };
    };
    let parts = parts_of(first);
    let texts = parts.iter().filter(|part| is(part, "text")).filter_map(|part| part.get("content"));
    Answer {
        text: texts.map(text_of).collect(),
        calls: parts.iter().filter(|part| is(part, "tool_call")).map(call).collect(),
        finish_reason: first.get("finish_reason").and_then(JsonValue::as_str).map(str::to_owned),
    }
}

/// One message; the results of several tools in one are a message each.
fn message(message: &JsonValue) -> Vec<JsonValue> {
    let parts = parts_of(message);
    if parts.is_empty() {
        return vec![message.clone()];
    }
    let role = message.get("role").cloned().unwrap_or_else(|| json!("user"));
    let results = parts.iter().filter(|part| is(part, "tool_call_response")).map(|part| {
        let result = part.get("response").or_else(|| part.get("result")).cloned().unwrap_or_default();
        json!({"role": "tool", "tool_call_id": part.get("id"), "content": result})
    });
    let calls: Vec<_> = parts.iter().filter(|part| is(part, "tool_call")).map(|part| json!(call(part))).collect();
    let rest: Vec<_> = parts.iter().filter(|part| !is(part, "tool_call") && !is(part, "tool_call_response")).collect();
    let mut own = Map::from_iter([("role".to_owned(), role)]);
    if !rest.is_empty() {
        own.insert("content".to_owned(), content_of(&rest.into_iter().cloned().collect()));
    }
    if !calls.is_empty() {
        own.insert("tool_calls".to_owned(), calls.into());
    }
    let own = (own.len() > 1).then_some(JsonValue::Object(own));
    own.into_iter().chain(results).collect()
}

/// Parts of texts alone as one text, any other as pieces.
fn content_of(parts: &JsonValue) -> JsonValue {
    let Some(list) = parts.as_array() else { return parts.clone() };
    if list.iter().all(|part| is(part, "text")) {
        return list.iter().filter_map(|part| part.get("content")).map(text_of).collect::<Vec<_>>().join("\n").into();
    }
    let piece = |part: &JsonValue| match part.get("content") {
        Some(content) if is(part, "text") => json!({"type": "text", "text": content}),
        Some(content) if is(part, "reasoning") => json!({"type": "thinking", "thinking": content}),
        _ => part.clone(),
    };
    list.iter().map(piece).collect()
}

fn parts_of(message: &JsonValue) -> &[JsonValue] {
    message.get("parts").and_then(JsonValue::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn is(part: &JsonValue, kind: &str) -> bool {
    part.get("type").and_then(JsonValue::as_str) == Some(kind)
}

fn call(part: &JsonValue) -> ToolCall {
    let text = |field: &str| part.get(field).map(text_of).unwrap_or_default();
    ToolCall::new(text("id"), text("name"), text("arguments"))
}

/// A text as it is, any other value as its JSON.
fn text_of(value: &JsonValue) -> String {
    match value {
        JsonValue::String(text) => text.clone(),
        JsonValue::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_in_the_schema_become_those_of_the_chat_api() {
        let instructions = json!([{"type": "text", "content": "Be brief."}]);
        let messages = json!([
            {"role": "user", "parts": [{"type": "text", "content": "Weather?"}]},
            {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"at": "Oslo"}}]},
            {"role": "user", "parts": [{"type": "tool_call_response", "id": "c1", "response": {"c": 4}}]},
            {"role": "user", "parts": [{"type": "text", "content": "And"}, {"type": "uri", "uri": "x"}]},
            {"odd": 1},
        ]);
        let expected = json!([
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "tool_calls": [{"id": "c1", "name": "weather", "arguments": "{\"at\":\"Oslo\"}"}]},
            {"role": "tool", "tool_call_id": "c1", "content": {"c": 4}},
            {"role": "user", "content": [{"type": "text", "text": "And"}, {"type": "uri", "uri": "x"}]},
            {"odd": 1},
        ]);
        assert_eq!(history(Some(&instructions), Some(&messages)), expected);
        assert_eq!(history(None, Some(&json!("cut {"))), json!([{"role": "user", "content": "cut {"}]));
        assert_eq!(history(None, None), json!([]));
    }

    #[test]
    fn an_answer_is_its_texts_and_calls() {
        let messages = json!([{"role": "assistant", "finish_reason": "tool_call", "parts": [
            {"type": "text", "content": "Let me "}, {"type": "text", "content": "look."},
            {"type": "tool_call", "id": "c1", "name": "weather", "arguments": {}},
        ]}]);
        let answer = answer(&messages);
        assert_eq!(answer.text, "Let me look.");
        assert_eq!(answer.calls, [ToolCall::new("c1", "weather", "{}")]);
        assert_eq!(answer.finish_reason.as_deref(), Some("tool_call"));
    }
}
