//! How the cases write what a server sends.

use agent_runtime::prelude::*;

use crate::support::HttpReply;

/// The end of a stream.
pub(super) const DONE: &str = "data: [DONE]\n\n";

/// One event.
pub(super) fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

/// A piece of an answer.
#[expect(clippy::needless_pass_by_value, reason = "so that tables of cases need no `&`")]
pub(super) fn delta(delta: JsonValue) -> String {
    piece(&delta, &JsonValue::Null)
}

/// A piece of an answer with a finish reason.
#[expect(clippy::needless_pass_by_value, reason = "so that tables of cases need no `&`")]
pub(super) fn last(delta: JsonValue, reason: &str) -> String {
    piece(&delta, &reason.into())
}

fn piece(delta: &JsonValue, reason: &JsonValue) -> String {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
    event(&json!({"id": "c1", "model": "m-1", "choices": [choice]}).to_string())
}

/// A piece of the text.
pub(super) fn said(text: &str) -> String {
    delta(json!({"content": text}))
}

/// A piece of a call, or a whole one.
pub(super) fn call(index: u64, id: &str, name: &str, arguments: &str) -> JsonValue {
    json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

/// A piece of an answer with pieces of calls.
pub(super) fn calling(calls: &[JsonValue]) -> String {
    delta(json!({"tool_calls": calls}))
}

/// A whole answer of calls.
pub(super) fn calls(calls: &[JsonValue]) -> String {
    let first = delta(json!({"role": "assistant", "content": null, "tool_calls": calls}));
    first + &last(json!({}), "tool_calls") + DONE
}

/// A whole answer of text.
pub(super) fn text(text: &str) -> String {
    delta(json!({"role": "assistant", "content": text})) + &last(json!({}), "stop") + DONE
}

/// A whole answer as JSON.
pub(super) fn whole(text: &str) -> JsonValue {
    let message = json!({"role": "assistant", "content": text});
    json!({"id": "c1", "model": "m-1", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
}

/// A refusal with an OpenAI-like error.
pub(super) fn refusal(status: u16, message: &str) -> HttpReply {
    HttpReply::json(status, &json!({"error": {"message": message}}))
}

/// A reply of events.
pub(super) fn reply(events: impl Into<Vec<u8>>) -> HttpReply {
    HttpReply::events().then(events.into())
}
