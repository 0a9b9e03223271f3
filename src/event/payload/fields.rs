//! The fields of each payload by name, and payloads as the data of events.

use std::sync::Arc;

use serde_json::Value as JsonValue;

use super::{
    AgentCompleted, AgentProgress, AgentStarted, Failure, FailureDetails, LlmCompleted, LlmStarted, MissedEvents,
    RepeatedCall, StepCompleted, StepStarted, StepType, ToolCall, ToolCompleted, ToolProgress, ToolStarted, Usage,
    WorkflowCompleted, WorkflowStarted,
};
use crate::event::{
    EventData,
    data::Payload,
    field,
    field_value::{Field, FieldValue, heap_of, object_bytes},
};

macro_rules! payloads {
    ($($payload:ident { $($field:ident)* })*) => {$(
        impl Payload for $payload {
            const FIELDS: usize = [$(stringify!($field)),*].len();

            fn field(&self, name: &str) -> Option<FieldValue<'_>> {
                match name {
                    $(stringify!($field) => self.$field.value(),)*
                    _ => None,
                }
            }

            fn heap(&self) -> usize {
                0 $(+ self.$field.heap())*
            }
        }
    )*};
}

payloads! {
    WorkflowStarted { input links attempt }
    WorkflowCompleted { output duration_ms }
    StepStarted { step_name step_type input }
    StepCompleted { step_name output duration_ms }
    AgentStarted { input model description }
    AgentProgress { iteration max_iterations }
    AgentCompleted { output iterations llm_calls tool_calls total_tokens finish_reason duration_ms }
    LlmStarted { messages model stream provider server_address server_port temperature top_p max_tokens tools }
    LlmCompleted {
        response usage finish_reason tool_calls response_id response_model chunk_count time_to_first_chunk_ms
        duration_ms
    }
    ToolStarted { tool_name arguments tool_call_id agent description unknown }
    ToolProgress { tool_name progress }
    ToolCompleted { tool_name result duration_ms }
    RepeatedCall { tool_name arguments previous_result call_count agent unknown }
    MissedEvents { missed first_offset last_offset }
    FailureDetails {
        error error_summary step_name tool_name iterations max_allowed retry_after retry_after_ms response chunk_count
        time_to_first_chunk_ms usage response_id response_model
    }
}

impl Payload for Failure {
    const FIELDS: usize = 2 + FailureDetails::FIELDS;

    fn field(&self, name: &str) -> Option<FieldValue<'_>> {
        match name {
            field::ERROR_CODE => self.error_code.value(),
            field::DURATION_MS => self.duration_ms.value(),
            _ => self.details.field(name),
        }
    }

    fn heap(&self) -> usize {
        self.error_code.heap() + self.details.heap()
    }
}

impl Field for Vec<ToolCall> {
    fn value(&self) -> Option<FieldValue<'_>> {
        Some(FieldValue::AsJson)
    }

    fn heap(&self) -> usize {
        let extra =
            |call: &ToolCall| call.extra.iter().map(|(name, value)| name.heap() + heap_of(value)).sum::<usize>();
        let heap = |call: &ToolCall| call.id.heap() + call.name.heap() + call.arguments.heap() + extra(call);
        let bytes = |call: &ToolCall| size_of::<ToolCall>() + object_bytes(4 + call.extra.len()) + heap(call);
        self.iter().map(bytes).sum()
    }
}

impl Field for StepType {
    fn value(&self) -> Option<FieldValue<'_>> {
        Some(FieldValue::Text(self.as_str()))
    }
}

impl Field for Usage {
    fn value(&self) -> Option<FieldValue<'_>> {
        Some(FieldValue::AsJson)
    }

    fn heap(&self) -> usize {
        object_bytes(6)
    }
}

macro_rules! into_event_data {
    ($($payload:ident)*) => {$(
        impl From<$payload> for EventData {
            fn from(payload: $payload) -> Self {
                Self::typed(payload)
            }
        }
    )*};
}

into_event_data! {
    WorkflowStarted WorkflowCompleted StepStarted StepCompleted AgentStarted AgentProgress AgentCompleted
    LlmStarted LlmCompleted ToolStarted ToolProgress ToolCompleted Failure
    RepeatedCall MissedEvents
}

impl EventData {
    /// The data with the user's conversation id in it.
    pub(crate) fn in_conversation(self, id: &str) -> Self {
        self.with_field(field::CONVERSATION_ID, Arc::new(id.into()))
    }

    /// The data with the tags of its run in it.
    pub(crate) fn with_tags(self, tags: &Arc<JsonValue>) -> Self {
        self.with_field(field::TAGS, Arc::clone(tags))
    }
}
