//! Our chat history, answers, arguments and results in the JSON schema of the conventions.
//!
//! The history comes in the shape of the OpenAI chat API, with what other producers make of it. Nothing is refused: what
//! is not known becomes text, or a part of its own type, which the schema allows.

use serde_json::{Map, Value as JsonValue, json};

/// The longest text that is taken for a word, such as a role.
const MAX_WORD_BYTES: usize = 64;

/// A history as `gen_ai.input.messages`: in its order, system messages included.
pub(super) fn chat(messages: &[JsonValue]) -> JsonValue {
    messages.iter().map(message).collect()
}

/// A model's answer as `gen_ai.output.messages`.
pub(super) fn answer(text: &str, calls: &[JsonValue], finish_reason: &str) -> JsonValue {
    let mut parts = Vec::with_capacity(1 + calls.len());
    if !text.is_empty() {
        parts.push(text_part(&json!(text)));
    }
    parts.extend(calls.iter().map(tool_call));
    json!([{"role": "assistant", "parts": parts, "finish_reason": word(Some(finish_reason)).unwrap_or("stop")}])
}

/// What a workflow or an agent was asked, as `gen_ai.input.messages`.
pub(super) fn asked(input: &JsonValue) -> JsonValue {
    json!([{"role": "user", "parts": [text_part(input)]}])
}

/// What a workflow or an agent returned, as `gen_ai.output.messages`.
pub(super) fn given(output: &JsonValue) -> JsonValue {
    json!([{"role": "assistant", "parts": [text_part(output)], "finish_reason": "stop"}])
}

/// A tool's arguments or result: an object, if need be with one field of the given name.
pub(super) fn object(value: &JsonValue, field: &str) -> JsonValue {
    let value = parsed(value);
    if value.is_object() { value } else { JsonValue::Object(Map::from_iter([(field.to_owned(), value)])) }
}

/// Tools as `gen_ai.tool.definitions`.
pub(super) fn definitions(tools: &[JsonValue]) -> JsonValue {
    tools.iter().filter_map(definition).collect()
}

fn message(message: &JsonValue) -> JsonValue {
    let Some(fields) = message.as_object() else { return asked(message)[0].take() };
    let role = word(fields.get("role").and_then(JsonValue::as_str)).unwrap_or("user");
    let content = fields.get("content").unwrap_or(&JsonValue::Null);
    let mut parts = Vec::new();
    parts.extend(reasoning(fields.get("reasoning_content")));
    if matches!(role, "tool" | "function") {
        let id = fields.get("tool_call_id").and_then(JsonValue::as_str);
        parts.push(with_id(json!({"type": "tool_call_response", "response": parsed(content)}), id));
    } else {
        add_content(content, &mut parts);
    }
    parts.extend(fields.get("refusal").filter(|refusal| refusal.is_string()).map(text_part));
    parts.extend(fields.get("tool_calls").and_then(JsonValue::as_array).into_iter().flatten().map(tool_call));
    parts.extend(fields.get("function_call").filter(|call| call.is_object()).map(tool_call));
    let mut message = json!({"role": role, "parts": parts});
    if let Some(name) = fields.get("name").filter(|name| name.is_string()) {
        message["name"] = name.clone();
    }
    message
}

fn add_content(content: &JsonValue, parts: &mut Vec<JsonValue>) {
    match content {
        JsonValue::Null => {}
        JsonValue::String(text) if text.is_empty() => {}
        JsonValue::Array(pieces) => parts.extend(pieces.iter().map(part)),
        JsonValue::Bool(_) | JsonValue::Number(_) | JsonValue::String(_) | JsonValue::Object(_) => {
            parts.push(text_part(content));
        }
    }
}

/// A piece of a message that has several.
fn part(piece: &JsonValue) -> JsonValue {
    let kind = word(piece.get("type").and_then(JsonValue::as_str));
    let known = match kind {
        Some("text" | "input_text" | "output_text") => piece.get("text").map(text_part),
        Some("refusal") => piece.get("refusal").map(text_part),
        Some("thinking" | "reasoning") => reasoning(piece.get("thinking").or(piece.get("text"))),
        Some("image_url") => piece.pointer("/image_url/url").or(piece.get("image_url")).and_then(image),
        Some("input_audio") => {
            piece.pointer("/input_audio/data").filter(|data| data.is_string()).map(|data| blob("audio", None, data))
        }
        Some("file") => piece.pointer("/file/file_id").filter(|id| id.is_string()).map(file),
        _ => None,
    };
    // A part of any other type may have any fields; a known one whose fields are not what they should be is content.
    let is_of_own_type = kind.is_some_and(|kind| !SCHEMA_TYPES.contains(&kind));
    known.unwrap_or_else(|| if is_of_own_type { piece.clone() } else { text_part(piece) })
}

/// The types of parts whose fields the schema fixes.
const SCHEMA_TYPES: [&str; 10] = [
    "text",
    "tool_call",
    "tool_call_response",
    "reasoning",
    "blob",
    "file",
    "uri",
    "server_tool_call",
    "server_tool_call_response",
    "generic",
];

/// A text part; a value that is no text becomes one when it has been redacted.
fn text_part(content: &JsonValue) -> JsonValue {
    json!({"type": "text", "content": content})
}

fn reasoning(content: Option<&JsonValue>) -> Option<JsonValue> {
    content.filter(|content| !content.is_null()).map(|content| json!({"type": "reasoning", "content": content}))
}

fn image(url: &JsonValue) -> Option<JsonValue> {
    let url = url.as_str()?;
    let Some((mime_type, data)) = url.strip_prefix("data:").and_then(|data| data.split_once(";base64,")) else {
        return Some(json!({"type": "uri", "modality": "image", "uri": url}));
    };
    Some(blob("image", Some(mime_type), &json!(data)))
}

fn blob(modality: &str, mime_type: Option<&str>, data: &JsonValue) -> JsonValue {
    let mut blob = json!({"type": "blob", "modality": modality, "content": data});
    if let Some(mime_type) = mime_type {
        blob["mime_type"] = json!(mime_type);
    }
    blob
}

fn file(id: &JsonValue) -> JsonValue {
    json!({"type": "file", "modality": "document", "file_id": id})
}

/// A call in the shape of the OpenAI API, `{id, function: {name, arguments}}`, or in ours, `{id, name, arguments}`.
fn tool_call(call: &JsonValue) -> JsonValue {
    let function = call.get("function").filter(|function| function.is_object()).unwrap_or(call);
    let name = function.get("name").and_then(JsonValue::as_str).unwrap_or_default();
    let mut part = json!({"type": "tool_call", "name": name});
    if let Some(arguments) = function.get("arguments").filter(|arguments| !arguments.is_null()) {
        part["arguments"] = parsed(arguments);
    }
    with_id(part, call.get("id").and_then(JsonValue::as_str))
}

fn with_id(mut part: JsonValue, id: Option<&str>) -> JsonValue {
    if let Some(id) = id.filter(|id| !id.is_empty()) {
        part["id"] = json!(id);
    }
    part
}

fn definition(tool: &JsonValue) -> Option<JsonValue> {
    let function = tool.get("function").unwrap_or(tool);
    let mut definition = json!({"type": "function", "name": function.get("name")?.as_str()?});
    for field in ["description", "parameters"] {
        if let Some(value) = function.get(field).filter(|value| !value.is_null()) {
            definition[field] = value.clone();
        }
    }
    Some(definition)
}

/// The object or list that a text is the JSON of; any other value is itself.
fn parsed(value: &JsonValue) -> JsonValue {
    let text = value.as_str().map(str::trim_start).filter(|text| text.starts_with(['{', '[']));
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(|| value.clone())
}

/// One of few words, as against content in the place of one.
fn word(text: Option<&str>) -> Option<&str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    text.filter(|text| !text.is_empty() && text.len() <= MAX_WORD_BYTES && text.chars().all(is_plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &JsonValue, expected: &JsonValue) {
        assert_eq!(message(given), *expected, "{given}");
    }

    #[test]
    fn messages_of_the_chat_api_become_parts() {
        check(
            &json!({"role": "system", "content": "be brief"}),
            &json!({"role": "system", "parts": [{"type": "text", "content": "be brief"}]}),
        );
        check(
            &json!({"role": "assistant", "content": "", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{\"a\": 1}"}},
                {"id": "", "name": "now", "arguments": "not json"},
            ]}),
            &json!({"role": "assistant", "parts": [
                {"type": "tool_call", "id": "c1", "name": "add", "arguments": {"a": 1}},
                {"type": "tool_call", "name": "now", "arguments": "not json"},
            ]}),
        );
        check(
            &json!({"role": "tool", "content": "{\"sum\": 2}", "tool_call_id": "c1"}),
            &json!({"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": {"sum": 2}}]}),
        );
        check(
            &json!({"role": "user", "name": "ann", "content": [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                {"type": "input_audio", "input_audio": {"data": "BBBB", "format": "wav"}},
                {"type": "file", "file": {"file_id": "f1"}},
                {"type": "hologram", "depth": 3},
            ]}),
            &json!({"role": "user", "name": "ann", "parts": [
                {"type": "text", "content": "look"},
                {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "AAAA"},
                {"type": "uri", "modality": "image", "uri": "https://example.com/a.png"},
                {"type": "blob", "modality": "audio", "content": "BBBB"},
                {"type": "file", "modality": "document", "file_id": "f1"},
                {"type": "hologram", "depth": 3},
            ]}),
        );
        check(
            &json!({"role": "assistant", "reasoning_content": "hm", "content": null, "refusal": "no"}),
            &json!({"role": "assistant", "parts": [
                {"type": "reasoning", "content": "hm"}, {"type": "text", "content": "no"},
            ]}),
        );
    }

    #[test]
    fn messages_of_odd_producers_lose_nothing() {
        check(&json!("hi"), &json!({"role": "user", "parts": [{"type": "text", "content": "hi"}]}));
        check(&json!(7), &json!({"role": "user", "parts": [{"type": "text", "content": 7}]}));
        check(
            &json!({"role": "a sentence that is no role", "content": {"x": 1}}),
            &json!({"role": "user", "parts": [{"type": "text", "content": {"x": 1}}]}),
        );
        check(&json!({"role": "user"}), &json!({"role": "user", "parts": []}));
        check(
            &json!({"role": "assistant", "tool_calls": 2, "function_call": {"name": "f", "arguments": "[1]"}}),
            &json!({"role": "assistant", "parts": [{"type": "tool_call", "name": "f", "arguments": [1]}]}),
        );
        check(
            &json!({"role": "user", "content": [{"type": "blob"}, "bare", {"text": "untyped"}]}),
            &json!({"role": "user", "parts": [
                {"type": "text", "content": {"type": "blob"}},
                {"type": "text", "content": "bare"},
                {"type": "text", "content": {"text": "untyped"}},
            ]}),
        );
    }

    #[test]
    fn arguments_and_results_are_objects() {
        let check = |value: JsonValue, expected: JsonValue| assert_eq!(object(&value, "result"), expected, "{value}");
        check(json!({"a": 1}), json!({"a": 1}));
        check(json!("{\"a\": 1}"), json!({"a": 1}));
        check(json!("[1, 2]"), json!({"result": [1, 2]}));
        check(json!("{broken"), json!({"result": "{broken"}));
        check(json!(42), json!({"result": 42}));
        check(json!("42"), json!({"result": "42"}));
        check(json!(null), json!({"result": null}));
    }

    #[test]
    fn tools_are_told_flat() {
        let tools = [
            json!({"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {"a": {}}}}),
            json!({"name": "now", "description": null}),
            json!({"description": "has no name"}),
            json!(3),
        ];
        let expected = json!([
            {"type": "function", "name": "add", "description": "Adds.", "parameters": {"a": {}}},
            {"type": "function", "name": "now"},
        ]);
        assert_eq!(definitions(&tools), expected);
    }
}
