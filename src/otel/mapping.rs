//! What a span of each scope is called and says: pure functions from events to names and attributes.

use std::{borrow::Cow, sync::Arc};

use chrono::{DateTime, Utc};
use opentelemetry::{
    Array, KeyValue, StringValue, Value,
    trace::{SpanKind, Status},
};
use serde_json::Value as JsonValue;

use super::{ContentPolicy, content, names};
use crate::event::{ComponentStatus, Event, EventData, EventScope, EventType, SharedIds};

/// The provider of a request whose event does not name one; the conventions require a name and define none for this.
const UNKNOWN_PROVIDER: &str = "unknown";

/// What stands for a value outside of a list of few, such as an `error.type`; the conventions' word for it.
pub(super) const OTHER: &str = "_OTHER";

/// `error.type` of a component whose end was never told.
pub(super) const INTERRUPTED: &str = "interrupted";

/// What a request is called: the model is asked in the form of a chat.
pub(super) const CHAT: &str = "chat";

/// The kind of all our tools: the model writes the arguments, we run the code.
pub(super) const TOOL_TYPE: &str = "function";

/// The longest `error_code`, or name of a field, that is taken for a word.
const MAX_WORD_BYTES: usize = 64;

/// How many numbers and booleans of a report's data become attributes.
const MAX_DATA_ATTRIBUTES: usize = 16;

/// Fields of `data` that hold what was asked or answered, which leaves the process only by the user's choice.
const CONTENT_FIELDS: [&str; 21] = [
    "answer",
    "arguments",
    "chunk",
    "completion",
    "content",
    "error",
    "input",
    "messages",
    "output",
    "partial_result",
    "previous_arguments",
    "previous_result",
    "prompt",
    "query",
    "reasoning",
    "response",
    "result",
    "text",
    "tool_calls",
    "tools",
    "updates",
];

/// How a span begins.
pub(super) struct SpanStart {
    pub(super) name: Cow<'static, str>,
    pub(super) kind: SpanKind,
    pub(super) attributes: Vec<KeyValue>,
}

/// The span of a component whose Started event this is, with what a sampler may want to know. System events have none.
pub(super) fn start(event: &Event, content: &ContentPolicy) -> Option<SpanStart> {
    let mut attributes = Attributes { list: Vec::with_capacity(16), content };
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
    Some(SpanStart { name: name.into(), kind, attributes: attributes.list })
}

/// What a component's start says beyond [`start`], for a span that records.
pub(super) fn details(event: &Event, ids: &SharedIds, content: &ContentPolicy) -> Vec<KeyValue> {
    let mut attributes = Attributes { list: Vec::with_capacity(12), content };
    let data = &event.data;
    match event.scope {
        EventScope::WorkflowStep => attributes.int(names::STEP_INDEX, event.component_index()),
        EventScope::Agent => attributes.text(names::AGENT_DESCRIPTION, data.description()),
        EventScope::LlmRequest => {
            if data.stream() == Some(true) {
                attributes.list.push(KeyValue::new(names::REQUEST_STREAM, true));
            }
            attributes.double(names::REQUEST_TEMPERATURE, data.temperature());
            attributes.double(names::REQUEST_TOP_P, data.top_p());
            attributes.int(names::REQUEST_MAX_TOKENS, data.max_tokens());
            // Outside of the conventions' table for this span, but one backend's agent timeline cannot do without it.
            attributes.text(names::AGENT_NAME, Some(event.component_name()));
            attributes.int(names::LLM_INDEX, event.component_index());
        }
        EventScope::Tool => {
            attributes.text(names::TOOL_DESCRIPTION, data.description());
            attributes.text(names::TOOL_CALL_ID, data.tool_call_id());
        }
        EventScope::Workflow | EventScope::System => {}
    }
    attributes.shared(names::COMPONENT_ID, Some(&ids.component));
    attributes.shared(names::WORKFLOW_ID, ids.workflow.as_ref());
    attributes.text(names::WORKFLOW_PARENT_ID, event.parent_workflow_id.as_deref());
    attributes.int(names::EVENT_OFFSET, event.offset);
    attributes.list
}

/// What a component's end adds to its span.
pub(super) fn end(event: &Event, content: &ContentPolicy) -> Vec<KeyValue> {
    let mut attributes = Attributes { list: Vec::new(), content };
    let data = &event.data;
    let is_good = event.event_type == EventType::Completed;
    match event.scope {
        EventScope::LlmRequest => {
            attributes.text(names::RESPONSE_ID, data.response_id());
            attributes.text(names::RESPONSE_MODEL, data.response_model());
            attributes.finish_reason(if is_good { data.finish_reason() } else { Some("error") });
            if let Some(usage) = data.usage() {
                attributes.int(names::USAGE_INPUT_TOKENS, Some(usage.prompt_tokens));
                attributes.int(names::USAGE_OUTPUT_TOKENS, Some(usage.completion_tokens));
                attributes.int(names::USAGE_CACHE_READ_INPUT_TOKENS, usage.cached_tokens);
                attributes.int(names::USAGE_CACHE_WRITE_INPUT_TOKENS, usage.cache_write_tokens);
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
    if !is_good {
        attributes.text(names::ERROR_TYPE, Some(&error_type(event)));
        if event.event_type == EventType::Canceled {
            attributes.list.push(KeyValue::new(names::CANCELED, true));
        }
    }
    attributes.list
}

/// What is told of a component whose end never came.
pub(super) fn interrupted() -> [KeyValue; 2] {
    [KeyValue::new(names::INTERRUPTED, true), KeyValue::new(names::ERROR_TYPE, INTERRUPTED)]
}

/// What a request's stream adds to its span: how many pieces there were and when the first one came.
///
/// A filter may keep progress from the bridge; the end of our own requests tells the same numbers.
pub(super) fn stream(
    end: Option<&Event>,
    started: DateTime<Utc>,
    chunks_seen: u64,
    first_seen: Option<DateTime<Utc>>,
) -> Vec<KeyValue> {
    let chunks = Some(chunks_seen).filter(|chunks| *chunks > 0).or_else(|| end?.data.chunk_count());
    let first =
        first_seen.and_then(|first| (first - started).to_std().ok()).or_else(|| end?.data.time_to_first_chunk());
    let chunks = chunks.map(|chunks| KeyValue::new(names::LLM_CHUNK_COUNT, i64::try_from(chunks).unwrap_or(i64::MAX)));
    let first = first.map(|first| KeyValue::new(names::RESPONSE_TIME_TO_FIRST_CHUNK, first.as_secs_f64()));
    chunks.into_iter().chain(first).collect()
}

/// The span's status after a component's end: unset on success, as the conventions want it.
pub(super) fn status(event: &Event, content: &ContentPolicy) -> Status {
    let message = || event.message.as_deref().map(|message| content.error_on_span(message));
    match event.status {
        ComponentStatus::Pending | ComponentStatus::Running | ComponentStatus::Completed => Status::Unset,
        ComponentStatus::Failed => Status::error(message().unwrap_or_default()),
        ComponentStatus::Canceled => Status::error(message().unwrap_or_else(|| "canceled".to_owned())),
    }
}

/// A word of few for how a component failed.
pub(super) fn error_type(event: &Event) -> Cow<'_, str> {
    if event.event_type == EventType::Canceled {
        return "canceled".into();
    }
    event.data.error_code().filter(|code| is_word(code)).map_or(OTHER.into(), Cow::from)
}

/// The workflow's name, unless it is a generated id, which the conventions forbid as a name.
pub(super) fn workflow_name(event: &Event) -> Option<&str> {
    let is_generated = Some(&event.component_id) == event.workflow_id.as_ref() || event.component_id.starts_with("wf_");
    Some(event.component_id.as_str()).filter(|_| !is_generated)
}

/// The tool's name, without the number of the call.
pub(super) fn tool_name(event: &Event) -> &str {
    event.data.tool_name().unwrap_or_else(|| event.component_name())
}

/// Who answers a request.
pub(super) fn provider(event: &Event) -> &str {
    event.data.provider().unwrap_or(UNKNOWN_PROVIDER)
}

/// Whether a text can be one of few words, and is no sentence.
fn is_word(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !text.is_empty() && text.len() <= MAX_WORD_BYTES && text.chars().all(is_plain)
}

/// What a report of progress says besides its count.
pub(super) fn progress(message: Option<&str>, data: &EventData, content: &ContentPolicy) -> Vec<KeyValue> {
    let mut attributes = Attributes { list: Vec::new(), content };
    attributes.text(names::PROGRESS_MESSAGE, message);
    attributes.data(data);
    attributes.list
}

/// The span event that a system event becomes.
pub(super) fn system(event: &Event, content: &ContentPolicy) -> (Cow<'static, str>, Vec<KeyValue>) {
    let mut attributes = Attributes { list: Vec::new(), content };
    attributes.word(names::SYSTEM_EVENT_TYPE, event.event_type.as_str());
    attributes.text(names::SYSTEM_MESSAGE, event.message.as_deref());
    attributes.text(names::TOOL_NAME, event.data.tool_name());
    attributes.int(names::EVENT_OFFSET, event.offset);
    attributes.data(&event.data);
    let name = format!("{}{}", names::EVENT_SYSTEM_PREFIX, content.text(event.component_name()));
    (name.into(), attributes.list)
}

fn workflow(event: &Event, attributes: &mut Attributes<'_>) -> (String, SpanKind) {
    let name = workflow_name(event);
    attributes.word(names::OPERATION_NAME, "invoke_workflow");
    attributes.text(names::WORKFLOW_NAME, name);
    (attributes.span_name("invoke_workflow", name), SpanKind::Internal)
}

fn step(event: &Event, attributes: &mut Attributes<'_>) -> (String, SpanKind) {
    let name = event.data.step_name();
    attributes.text(names::STEP_NAME, name);
    if let Some(step_type) = event.data.step_type() {
        attributes.word(names::STEP_TYPE, step_type.as_str());
    }
    (attributes.span_name("workflow_step", name), SpanKind::Internal)
}

fn agent(event: &Event, attributes: &mut Attributes<'_>) -> (String, SpanKind) {
    let name = event.component_name();
    attributes.word(names::OPERATION_NAME, "invoke_agent");
    attributes.text(names::AGENT_NAME, Some(name));
    attributes.text(names::REQUEST_MODEL, event.data.model());
    (attributes.span_name("invoke_agent", Some(name)), SpanKind::Internal)
}

fn llm_request(event: &Event, attributes: &mut Attributes<'_>) -> (String, SpanKind) {
    let data = &event.data;
    attributes.word(names::OPERATION_NAME, CHAT);
    attributes.text(names::PROVIDER_NAME, Some(provider(event)));
    attributes.text(names::REQUEST_MODEL, data.model());
    attributes.text(names::SERVER_ADDRESS, data.server_address());
    attributes.int(names::SERVER_PORT, data.server_address().and(data.server_port()).map(u64::from));
    (attributes.span_name("chat", data.model()), SpanKind::Client)
}

fn tool(event: &Event, attributes: &mut Attributes<'_>) -> (String, SpanKind) {
    let name = tool_name(event);
    attributes.word(names::OPERATION_NAME, "execute_tool");
    attributes.text(names::TOOL_NAME, Some(name));
    attributes.word(names::TOOL_TYPE, TOOL_TYPE);
    attributes.text(names::AGENT_NAME, event.data.agent());
    (attributes.span_name("execute_tool", Some(name)), SpanKind::Internal)
}

/// Collects attributes, leaving out what is not known and what may not leave the process.
struct Attributes<'a> {
    list: Vec<KeyValue>,
    content: &'a ContentPolicy,
}

impl Attributes<'_> {
    /// Adds a word of the bridge's own.
    fn word(&mut self, key: &'static str, word: &'static str) {
        self.list.push(KeyValue::new(key, word));
    }

    fn text(&mut self, key: &'static str, value: Option<&str>) {
        self.list.extend(value.map(|value| KeyValue::new(key, self.content.text(value).into_owned())));
    }

    /// Adds a text that others keep too, as it is if the policy leaves it so.
    fn shared(&mut self, key: &'static str, value: Option<&Arc<str>>) {
        let text = |value: &Arc<str>| match self.content.text(value) {
            Cow::Borrowed(same) if same.len() == value.len() => StringValue::from(Arc::clone(value)),
            changed => StringValue::from(changed.into_owned()),
        };
        self.list.extend(value.map(|value| KeyValue::new(key, text(value))));
    }

    fn span_name(&self, operation: &str, of: Option<&str>) -> String {
        of.map_or_else(|| operation.to_owned(), |name| [operation, " ", &self.content.text(name)].concat())
    }

    fn int(&mut self, key: &'static str, value: Option<u64>) {
        self.list.extend(value.map(|value| KeyValue::new(key, i64::try_from(value).unwrap_or(i64::MAX))));
    }

    fn double(&mut self, key: &'static str, value: Option<f64>) {
        self.list.extend(value.map(|value| KeyValue::new(key, value)));
    }

    fn finish_reason(&mut self, reason: Option<&str>) {
        let list = |reason: &str| {
            let reason = self.content.text(content::finish_reason(reason)).into_owned();
            Value::Array(Array::String(vec![StringValue::from(reason)]))
        };
        self.list.extend(reason.map(|reason| KeyValue::new(names::RESPONSE_FINISH_REASONS, list(reason))));
    }

    /// The numbers and booleans of an event's data: measures are for telemetry, words may be content.
    fn data(&mut self, data: &EventData) {
        let fields = data.as_object().into_iter().flatten();
        let is_measure = |field: &str| is_word(field) && !CONTENT_FIELDS.contains(&field);
        let measures = fields.filter(|(field, _)| is_measure(field)).filter_map(|(field, value)| {
            let value = match value {
                JsonValue::Bool(value) => Value::from(*value),
                JsonValue::Number(value) => match self.content.redacted_number(field, value) {
                    Some(redacted) => Value::from(redacted),
                    None => value.as_i64().map(Value::from).or(value.as_f64().map(Value::from))?,
                },
                JsonValue::Null | JsonValue::String(_) | JsonValue::Array(_) | JsonValue::Object(_) => return None,
            };
            Some(KeyValue::new(format!("{}{field}", names::DATA_PREFIX), value))
        });
        self.list.extend(measures.take(MAX_DATA_ATTRIBUTES));
    }
}
