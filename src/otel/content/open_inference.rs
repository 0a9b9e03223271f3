//! The kinds of spans, and their content once more, under the names that OpenInference's readers know.

use opentelemetry::KeyValue;
use serde_json::Value as JsonValue;

use crate::{event::EventScope, otel::names};

/// The kind of a component's span, where the readers do not know it by the conventions' operation.
pub(in crate::otel) fn kind(scope: EventScope) -> Option<KeyValue> {
    match scope {
        EventScope::Workflow | EventScope::WorkflowStep => Some(KeyValue::new(names::OPENINFERENCE_SPAN_KIND, "CHAIN")),
        EventScope::Agent | EventScope::LlmRequest | EventScope::Tool | EventScope::System => None,
    }
}

/// An attribute with content once more, as it may leave the process already: a bare text where it is one, else its JSON.
pub(super) fn copy(name: &str, value: &JsonValue) -> Vec<KeyValue> {
    let (key, type_key) = match name {
        names::INPUT_MESSAGES | names::STEP_INPUT | names::TOOL_CALL_ARGUMENTS => {
            (names::INPUT_VALUE, names::INPUT_MIME_TYPE)
        }
        names::OUTPUT_MESSAGES | names::STEP_OUTPUT | names::TOOL_CALL_RESULT => {
            (names::OUTPUT_VALUE, names::OUTPUT_MIME_TYPE)
        }
        _ => return Vec::new(),
    };
    let is_chat = matches!(name, names::INPUT_MESSAGES | names::OUTPUT_MESSAGES);
    let text = if is_chat { value.pointer("/0/parts/0/content") } else { Some(value) };
    let (text, mime_type) = match text.and_then(JsonValue::as_str) {
        Some(text) => (text.to_owned(), "text/plain"),
        None => (value.to_string(), "application/json"),
    };
    vec![KeyValue::new(key, text), KeyValue::new(type_key, mime_type)]
}
