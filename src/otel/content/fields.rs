//! Which fields of an event are content, and the attributes that they become.

use serde_json::Value as JsonValue;

use super::{
    finish_reason::{finish_reason, implied},
    messages,
    shape::Shape,
};
use crate::{
    event::{Event, EventScope, EventType},
    otel::names,
};

/// The content of one event, as it is, before the policy is applied.
#[derive(Debug)]
pub(in crate::otel) struct Fields {
    pub(super) list: Vec<Field>,
    /// Whether they are a request's, whose messages no reader wants in another form.
    pub(super) is_request: bool,
    /// Where the whole can be read if some of it is cut off.
    pub(super) offset: Option<u64>,
    pub(super) offset_name: &'static str,
}

/// One attribute.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) value: JsonValue,
}

/// What a component was asked, by its Started event.
pub(in crate::otel) fn input(event: &Event) -> Fields {
    let data = &event.data;
    let mut list = Vec::with_capacity(2);
    let mut add = |name, shape, value| list.push(Field { name, shape, value });
    match event.scope {
        EventScope::Workflow | EventScope::Agent => {
            if let Some(input) = data.input() {
                add(names::INPUT_MESSAGES, Shape::Chat, messages::asked(input));
            }
        }
        EventScope::WorkflowStep => {
            if let Some(input) = data.input() {
                add(names::STEP_INPUT, Shape::Free, input.clone());
            }
        }
        EventScope::LlmRequest => {
            if let Some(history) = data.messages() {
                add(names::INPUT_MESSAGES, Shape::Chat, messages::chat(history));
            }
            if let Some(tools) = data.tools().filter(|tools| !tools.is_empty()) {
                add(names::TOOL_DEFINITIONS, Shape::Definitions, messages::definitions(tools));
            }
        }
        EventScope::Tool => {
            if let Some(arguments) = data.arguments() {
                add(names::TOOL_CALL_ARGUMENTS, Shape::Object, messages::object(arguments, "arguments"));
            }
        }
        EventScope::System => {}
    }
    let is_request = event.scope == EventScope::LlmRequest;
    Fields { list, is_request, offset: event.offset, offset_name: names::CONTENT_INPUT_OFFSET }
}

/// What a component returned, by its end; `partial` is what came of a model's answer before it.
pub(in crate::otel) fn output(event: &Event, partial: Option<&str>) -> Fields {
    let data = &event.data;
    let is_complete = event.event_type == EventType::Completed;
    let mut list = Vec::with_capacity(1);
    let mut add = |name, shape, value| list.push(Field { name, shape, value });
    match event.scope {
        EventScope::LlmRequest => {
            if let Some(answer) = answer(event, partial) {
                add(names::OUTPUT_MESSAGES, Shape::Answer, answer);
            }
        }
        EventScope::Workflow | EventScope::Agent => {
            if let Some(output) = data.output().filter(|_| is_complete) {
                add(names::OUTPUT_MESSAGES, Shape::Answer, messages::given(output));
            }
        }
        EventScope::WorkflowStep => {
            if let Some(output) = data.output().filter(|_| is_complete) {
                add(names::STEP_OUTPUT, Shape::Free, output.clone());
            }
        }
        EventScope::Tool => {
            if let Some(result) = data.result().filter(|_| is_complete) {
                add(names::TOOL_CALL_RESULT, Shape::Object, messages::object(result, "result"));
            }
        }
        EventScope::System => {}
    }
    let is_request = event.scope == EventScope::LlmRequest;
    Fields { list, is_request, offset: event.offset, offset_name: names::CONTENT_OUTPUT_OFFSET }
}

/// What came of a model's answer whose end was never reported.
pub(in crate::otel) fn interrupted(partial: &str) -> Fields {
    let value = messages::answer(partial, &[], "error");
    let list = vec![Field { name: names::OUTPUT_MESSAGES, shape: Shape::Answer, value }];
    Fields { list, is_request: true, offset: None, offset_name: names::CONTENT_OUTPUT_OFFSET }
}

/// A model's answer. Of a request that did not complete, only what really came.
fn answer(event: &Event, partial: Option<&str>) -> Option<JsonValue> {
    let data = &event.data;
    let calls = data.tool_call_list().map(Vec::as_slice).unwrap_or_default();
    let text = data.response().or(partial);
    if event.event_type == EventType::Completed {
        text.or((!calls.is_empty()).then_some(""))?;
        let reason = data.finish_reason().map_or(implied(!calls.is_empty()), finish_reason);
        Some(messages::answer(text.unwrap_or_default(), calls, reason))
    } else {
        let text = text.filter(|text| !text.is_empty())?;
        Some(messages::answer(text, &[], "error"))
    }
}
