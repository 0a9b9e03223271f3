//! What a span of each scope is called and says: pure functions from events to names and attributes.

use std::borrow::Cow;

use opentelemetry::{
    Array, KeyValue, StringValue, Value,
    trace::{SpanKind, Status},
};
use serde_json::Value as JsonValue;

use super::names;
use crate::event::{ComponentStatus, Event, EventScope, EventType};

/// The provider of a request whose event does not name one; the conventions require a name and define none for this.
const UNKNOWN_PROVIDER: &str = "unknown";

/// `error.type` where the event has no fixed word for the failure; the conventions' fallback.
const OTHER_ERROR: &str = "_OTHER";

/// The longest `error_code` that is taken for a fixed word.
const MAX_ERROR_TYPE_BYTES: usize = 64;

/// How many numbers and booleans of a report's data become attributes.
const MAX_DATA_ATTRIBUTES: usize = 16;

/// Fields of `data` that hold what was asked or answered, which leaves the process only by the user's choice.
const CONTENT_FIELDS: [&str; 11] = [
    "arguments",
    "chunk",
    "error",
    "input",
    "messages",
    "output",
    "previous_result",
    "response",
    "result",
    "tool_calls",
    "updates",
];

/// How a span begins.
pub(super) struct SpanStart {
    pub(super) name: Cow<'static, str>,
    pub(super) kind: SpanKind,
    pub(super) attributes: Vec<KeyValue>,
}

/// The span of a component whose Started event this is. System events have none.
pub(super) fn start(event: &Event) -> Option<SpanStart> {
    let mut attributes = Attributes(Vec::with_capacity(16));
    let (name, kind) = match event.scope {
        EventScope::Workflow => workflow(event, &mut attributes),
        EventScope::WorkflowStep => step(event, &mut attributes),
        EventScope::Agent => agent(event, &mut attributes),
        EventScope::LlmRequest => llm_request(event, &mut attributes),
        EventScope::Tool => tool(event, &mut attributes),
        EventScope::System => return None,
    };
    if event.scope != EventScope::WorkflowStep {
        attributes.text(names::CONVERSATION_ID, event.data.conversation_id());
    }
    attributes.text(names::COMPONENT_ID, Some(&event.component_id));
    attributes.text(names::WORKFLOW_ID, event.workflow_id.as_deref());
    attributes.text(names::WORKFLOW_PARENT_ID, event.parent_workflow_id.as_deref());
    attributes.int(names::EVENT_OFFSET, event.offset);
    Some(SpanStart { name: name.into(), kind, attributes: attributes.0 })
}

/// What a component's end adds to its span.
pub(super) fn end(event: &Event) -> Vec<KeyValue> {
    let mut attributes = Attributes(Vec::with_capacity(8));
    let data = &event.data;
    if event.event_type == EventType::Completed {
        match event.scope {
            EventScope::LlmRequest => {
                attributes.text(names::RESPONSE_ID, data.response_id());
                attributes.text(names::RESPONSE_MODEL, data.response_model());
                attributes.finish_reason(data.finish_reason());
                if let Some(usage) = data.usage() {
                    attributes.int(names::USAGE_INPUT_TOKENS, Some(usage.prompt_tokens));
                    attributes.int(names::USAGE_OUTPUT_TOKENS, Some(usage.completion_tokens));
                    attributes.int(names::USAGE_CACHE_READ_INPUT_TOKENS, usage.cached_tokens);
                    attributes.int(names::USAGE_REASONING_OUTPUT_TOKENS, usage.reasoning_tokens);
                }
            }
            EventScope::Agent => {
                attributes.int(names::AGENT_ITERATIONS, data.iterations());
                attributes.int(names::AGENT_LLM_CALLS, data.llm_calls());
                attributes.int(names::AGENT_TOOL_CALLS, data.tool_call_count());
                attributes.int(names::AGENT_TOTAL_TOKENS, data.total_tokens());
            }
            EventScope::Workflow | EventScope::WorkflowStep | EventScope::Tool | EventScope::System => {}
        }
    } else {
        attributes.text(names::ERROR_TYPE, Some(&error_type(event)));
        if event.scope == EventScope::LlmRequest {
            attributes.finish_reason(Some("error"));
        }
        if event.event_type == EventType::Canceled {
            attributes.0.push(KeyValue::new(names::CANCELED, true));
        }
    }
    attributes.0
}

/// The span's status after a component's end: unset on success, as the conventions want it.
pub(super) fn status(event: &Event) -> Status {
    match event.status {
        ComponentStatus::Pending | ComponentStatus::Running | ComponentStatus::Completed => Status::Unset,
        ComponentStatus::Failed => Status::error(event.message.clone().unwrap_or_default()),
        ComponentStatus::Canceled => Status::error(event.message.clone().unwrap_or_else(|| "canceled".to_owned())),
    }
}

/// A word of few for how a component failed.
fn error_type(event: &Event) -> Cow<'_, str> {
    if event.event_type == EventType::Canceled {
        return "canceled".into();
    }
    let is_word = |code: &&str| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        !code.is_empty() && code.len() <= MAX_ERROR_TYPE_BYTES && code.chars().all(is_plain)
    };
    event.data.error_code().filter(is_word).map_or(OTHER_ERROR.into(), Cow::from)
}

/// What a report of progress says besides its count; nothing of the content.
pub(super) fn progress(event: &Event) -> Vec<KeyValue> {
    let mut attributes = Attributes(Vec::new());
    if event.scope != EventScope::LlmRequest {
        attributes.text(names::PROGRESS_MESSAGE, event.message.as_deref());
        attributes.data(event);
    }
    attributes.0
}

/// The span event that a system event becomes.
pub(super) fn system(event: &Event) -> (Cow<'static, str>, Vec<KeyValue>) {
    let mut attributes = Attributes(Vec::new());
    attributes.text(names::SYSTEM_EVENT_TYPE, Some(event.event_type.as_str()));
    attributes.text(names::SYSTEM_MESSAGE, event.message.as_deref());
    attributes.text(names::TOOL_NAME, event.data.tool_name());
    attributes.int(names::EVENT_OFFSET, event.offset);
    attributes.data(event);
    (format!("{}{}", names::EVENT_SYSTEM_PREFIX, event.component_name()).into(), attributes.0)
}

fn workflow(event: &Event, attributes: &mut Attributes) -> (String, SpanKind) {
    // The conventions forbid a generated id as the workflow's name.
    let is_generated = Some(&event.component_id) == event.workflow_id.as_ref() || event.component_id.starts_with("wf_");
    let name = Some(event.component_id.as_str()).filter(|_| !is_generated);
    attributes.text(names::OPERATION_NAME, Some("invoke_workflow"));
    attributes.text(names::WORKFLOW_NAME, name);
    (span_name("invoke_workflow", name), SpanKind::Internal)
}

fn step(event: &Event, attributes: &mut Attributes) -> (String, SpanKind) {
    let name = event.data.step_name();
    attributes.text(names::STEP_NAME, name);
    attributes.text(names::STEP_TYPE, event.data.step_type().map(|step_type| step_type.as_str()));
    attributes.int(names::STEP_INDEX, event.component_index());
    (span_name("workflow_step", name), SpanKind::Internal)
}

fn agent(event: &Event, attributes: &mut Attributes) -> (String, SpanKind) {
    let name = event.component_name();
    attributes.text(names::OPERATION_NAME, Some("invoke_agent"));
    attributes.text(names::AGENT_NAME, Some(name));
    attributes.text(names::AGENT_DESCRIPTION, event.data.description());
    attributes.text(names::REQUEST_MODEL, event.data.model());
    (span_name("invoke_agent", Some(name)), SpanKind::Internal)
}

fn llm_request(event: &Event, attributes: &mut Attributes) -> (String, SpanKind) {
    let data = &event.data;
    attributes.text(names::OPERATION_NAME, Some("chat"));
    attributes.text(names::PROVIDER_NAME, data.provider().or(Some(UNKNOWN_PROVIDER)));
    attributes.text(names::REQUEST_MODEL, data.model());
    attributes.text(names::SERVER_ADDRESS, data.server_address());
    attributes.int(names::SERVER_PORT, data.server_address().and(data.server_port()).map(u64::from));
    if data.stream() == Some(true) {
        attributes.0.push(KeyValue::new(names::REQUEST_STREAM, true));
    }
    attributes.double(names::REQUEST_TEMPERATURE, data.temperature());
    attributes.double(names::REQUEST_TOP_P, data.top_p());
    attributes.int(names::REQUEST_MAX_TOKENS, data.max_tokens());
    // Outside of the conventions' table for this span, but one backend's agent timeline cannot do without it.
    attributes.text(names::AGENT_NAME, Some(event.component_name()));
    attributes.int(names::LLM_INDEX, event.component_index());
    (span_name("chat", data.model()), SpanKind::Client)
}

fn tool(event: &Event, attributes: &mut Attributes) -> (String, SpanKind) {
    let name = event.data.tool_name().unwrap_or_else(|| event.component_name());
    attributes.text(names::OPERATION_NAME, Some("execute_tool"));
    attributes.text(names::TOOL_NAME, Some(name));
    attributes.text(names::TOOL_TYPE, Some("function"));
    attributes.text(names::TOOL_DESCRIPTION, event.data.description());
    attributes.text(names::TOOL_CALL_ID, event.data.tool_call_id());
    attributes.text(names::AGENT_NAME, event.data.agent());
    (span_name("execute_tool", Some(name)), SpanKind::Internal)
}

fn span_name(operation: &str, of: Option<&str>) -> String {
    of.map_or_else(|| operation.to_owned(), |name| format!("{operation} {name}"))
}

/// Collects attributes, leaving out what is not known.
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn text(&mut self, key: &'static str, value: Option<&str>) {
        self.0.extend(value.map(|value| KeyValue::new(key, value.to_owned())));
    }

    fn int(&mut self, key: &'static str, value: Option<u64>) {
        self.0.extend(value.map(|value| KeyValue::new(key, i64::try_from(value).unwrap_or(i64::MAX))));
    }

    fn double(&mut self, key: &'static str, value: Option<f64>) {
        self.0.extend(value.map(|value| KeyValue::new(key, value)));
    }

    /// The reason in the conventions' word, where providers have another for it.
    fn finish_reason(&mut self, reason: Option<&str>) {
        let reason = reason.map(|reason| match reason {
            "tool_calls" | "function_call" => "tool_call",
            other => other,
        });
        let list = |reason: &str| Value::Array(Array::String(vec![StringValue::from(reason.to_owned())]));
        self.0.extend(reason.map(|reason| KeyValue::new(names::RESPONSE_FINISH_REASONS, list(reason))));
    }

    /// The numbers and booleans of the event's data: measures are for telemetry, words may be content.
    fn data(&mut self, event: &Event) {
        let fields = event.data.as_object().into_iter().flatten();
        let measures = fields.filter(|(key, _)| !CONTENT_FIELDS.contains(&key.as_str())).filter_map(|(key, value)| {
            let value = match value {
                JsonValue::Bool(value) => Value::from(*value),
                JsonValue::Number(value) => value.as_i64().map(Value::from).or(value.as_f64().map(Value::from))?,
                JsonValue::Null | JsonValue::String(_) | JsonValue::Array(_) | JsonValue::Object(_) => return None,
            };
            Some(KeyValue::new(format!("{}{key}", names::DATA_PREFIX), value))
        });
        self.0.extend(measures.take(MAX_DATA_ATTRIBUTES));
    }
}
