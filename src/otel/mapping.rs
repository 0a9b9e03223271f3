//! What a span of each scope is called and says: pure functions from events to names and attributes.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use opentelemetry::{KeyValue, trace::SpanKind};

use super::{
    ContentPolicy,
    attributes::Attributes,
    content::{self, OTHER},
    failure, names,
};
use crate::{
    event::{Event, EventData, EventScope, EventType, SharedIds},
    wording,
};

/// The provider of a request whose event does not name one; the conventions require a name and define none for this.
const UNKNOWN_PROVIDER: &str = "unknown";

/// What a workflow's run is called.
pub(super) const INVOKE_WORKFLOW: &str = "invoke_workflow";

/// What an agent's run is called.
pub(super) const INVOKE_AGENT: &str = "invoke_agent";

/// What a request is called: the model is asked in the form of a chat.
pub(super) const CHAT: &str = "chat";

/// The kind of all our tools: the model writes the arguments, we run the code.
pub(super) const TOOL_TYPE: &str = "function";

/// How a span begins.
pub(super) struct SpanStart {
    pub(super) name: Cow<'static, str>,
    pub(super) kind: SpanKind,
    pub(super) attributes: Vec<KeyValue>,
}

/// The span of a component whose Started event this is, with what a sampler may want to know. System events have none.
pub(super) fn start(event: &Event, content: &ContentPolicy) -> Option<SpanStart> {
    let mut attributes = Attributes::with_capacity(16, content);
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
    if content.is_open_inference() {
        attributes.extend(content::open_inference_kind(event.scope));
    }
    Some(SpanStart { name: name.into(), kind, attributes: attributes.into_list() })
}

/// What a component's start says beyond [`start`], for a span that records.
pub(super) fn details(event: &Event, ids: &SharedIds, content: &ContentPolicy) -> Vec<KeyValue> {
    let mut attributes = Attributes::with_capacity(12, content);
    let data = &event.data;
    match event.scope {
        EventScope::WorkflowStep => attributes.int(names::STEP_INDEX, event.component_index()),
        EventScope::Agent => attributes.text(names::AGENT_DESCRIPTION, data.description()),
        EventScope::LlmRequest => {
            if data.stream() == Some(true) {
                attributes.flag(names::REQUEST_STREAM);
            }
            attributes.double(names::REQUEST_TEMPERATURE, data.temperature());
            attributes.double(names::REQUEST_TOP_P, data.top_p());
            attributes.int(names::REQUEST_MAX_TOKENS, data.max_tokens());
            // Outside the conventions' table for this span, but one backend's agent timeline cannot do without it.
            attributes.text(names::AGENT_NAME, Some(event.component_name()));
            attributes.int(names::LLM_INDEX, event.component_index());
        }
        EventScope::Tool => {
            attributes.text(names::TOOL_DESCRIPTION, data.description());
            attributes.identifier(names::TOOL_CALL_ID, data.tool_call_id());
        }
        EventScope::Workflow => {
            attributes.int(names::WORKFLOW_ATTEMPT, data.attempt().map(u64::from));
            attributes.texts(names::WORKFLOW_TAGS, data.tags());
        }
        EventScope::System => {}
    }
    match made_up_id(event) {
        Some(id) => attributes.text(names::COMPONENT_ID, Some(&id)),
        None => attributes.shared(names::COMPONENT_ID, Some(&ids.component)),
    }
    attributes.shared(names::WORKFLOW_ID, ids.workflow.as_ref());
    attributes.text(names::WORKFLOW_PARENT_ID, event.parent_workflow_id.as_deref());
    attributes.int(names::EVENT_OFFSET, event.offset);
    attributes.into_list()
}

/// What a component's end adds to its span: first what must not fall to a limit of attributes, if there is one.
pub(super) fn end(event: &Event, content: &ContentPolicy) -> Vec<KeyValue> {
    let mut attributes = Attributes::new(content);
    let data = &event.data;
    let is_good = event.event_type == EventType::Completed;
    if !is_good {
        attributes.text(names::ERROR_TYPE, Some(&failure::error_type(event)));
        if event.event_type == EventType::Canceled {
            attributes.flag(names::CANCELED);
        }
    }
    match event.scope {
        EventScope::LlmRequest => {
            attributes.int(names::USAGE_INPUT_TOKENS, data.input_tokens());
            attributes.int(names::USAGE_OUTPUT_TOKENS, data.output_tokens());
            attributes.finish_reason(if is_good { data.finish_reason() } else { Some("error") });
            attributes.identifier(names::RESPONSE_MODEL, data.response_model());
            attributes.int(names::USAGE_CACHE_READ_INPUT_TOKENS, data.cached_tokens());
            attributes.int(names::USAGE_CACHE_WRITE_INPUT_TOKENS, data.cache_write_tokens());
            attributes.int(names::USAGE_REASONING_OUTPUT_TOKENS, data.reasoning_tokens());
            attributes.identifier(names::RESPONSE_ID, data.response_id());
        }
        EventScope::Agent => {
            attributes.int(names::AGENT_ITERATIONS, data.iterations());
            attributes.int(names::AGENT_LLM_CALLS, data.llm_calls());
            attributes.int(names::AGENT_TOOL_CALLS, data.tool_call_count());
            attributes.int(names::AGENT_TOTAL_TOKENS, data.total_tokens());
        }
        EventScope::Workflow | EventScope::WorkflowStep | EventScope::Tool | EventScope::System => {}
    }
    attributes.into_list()
}

/// What the span of a component says whose end never came.
pub(super) fn interrupted() -> [KeyValue; 2] {
    [KeyValue::new(names::ERROR_TYPE, failure::INTERRUPTED), KeyValue::new(names::INTERRUPTED, true)]
}

/// What a request's stream adds to its span: how many pieces there were and when the first one came.
///
/// A filter may keep progress from the bridge; the end of our own requests repeats the numbers.
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

/// The workflow's name, unless it is the id of a run, which the conventions forbid as a name.
pub(super) fn workflow_name(event: &Event) -> Option<&str> {
    let name = event.component_id.as_str();
    let is_of_run = [&event.workflow_id, &event.parent_workflow_id].into_iter().any(|id| id.as_deref() == Some(name));
    Some(name).filter(|name| !is_of_run && !is_generated(name))
}

/// Whether a text is the id that a run is given without one: `wf_` and a UUID without hyphens.
fn is_generated(text: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.strip_prefix("wf_").is_some_and(|id| id.len() == 32 && id.bytes().all(is_digit))
}

/// The tool's name, without the number of the call; of a tool that the agent does not have the model made it up.
pub(super) fn tool_name(event: &Event) -> &str {
    let name = || event.data.tool_name().unwrap_or_else(|| event.component_name());
    if event.data.names_unknown_tool() { OTHER } else { name() }
}

/// What stands for the id of a tool whose name the model made up.
fn made_up_id(event: &Event) -> Option<String> {
    let is_made_up = event.scope == EventScope::Tool && event.data.names_unknown_tool();
    is_made_up.then(|| event.component_index().map_or(OTHER.to_owned(), |index| format!("{OTHER}:{index}")))
}

/// The model that answered, if its provider names it by what can be a name.
pub(super) fn response_model(end: &EventData) -> Option<&str> {
    end.response_model().filter(|model| wording::is_identifier(model))
}

/// Who answers a request.
pub(super) fn provider(event: &Event) -> &str {
    event.data.provider().unwrap_or(UNKNOWN_PROVIDER)
}

/// What a report of progress says besides its count.
pub(super) fn progress(message: Option<&str>, data: &EventData, content: &ContentPolicy) -> Vec<KeyValue> {
    let mut attributes = Attributes::new(content);
    attributes.sentence(names::PROGRESS_MESSAGE, message);
    attributes.data(data);
    attributes.into_list()
}

/// The span event that a system event becomes.
pub(super) fn system(event: &Event, content: &ContentPolicy) -> (Cow<'static, str>, Vec<KeyValue>) {
    let mut attributes = Attributes::new(content);
    attributes.word(names::SYSTEM_EVENT_TYPE, event.event_type.as_str());
    attributes.sentence(names::SYSTEM_MESSAGE, event.message.as_deref());
    attributes.text(names::TOOL_NAME, event.data.tool_name().map(|_| tool_name(event)));
    attributes.int(names::EVENT_OFFSET, event.offset);
    attributes.data(&event.data);
    let name = format!("{}{}", names::EVENT_SYSTEM_PREFIX, content.text(event.component_name()));
    (name.into(), attributes.into_list())
}

fn workflow(event: &Event, attributes: &mut Attributes<'_>) -> (String, SpanKind) {
    let name = workflow_name(event);
    attributes.word(names::OPERATION_NAME, INVOKE_WORKFLOW);
    attributes.text(names::AGENT_NAME, name);
    attributes.text(names::WORKFLOW_NAME, name);
    (attributes.span_name(INVOKE_WORKFLOW, name), SpanKind::Internal)
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
    attributes.word(names::OPERATION_NAME, INVOKE_AGENT);
    attributes.text(names::AGENT_NAME, Some(name));
    attributes.text(names::REQUEST_MODEL, event.data.model());
    (attributes.span_name(INVOKE_AGENT, Some(name)), SpanKind::Internal)
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
