//! What a component's good end says: the payload of its scope, completed by what the component knows of itself.

use std::{mem, sync::atomic::Ordering, time::Duration};

use serde_json::Value as JsonValue;

use super::tally::{Ended, Tally};
use crate::event::{
    AgentCompleted, EventData, EventScope, FailureDetails, LlmCompleted, StepCompleted, ToolCompleted,
    WorkflowCompleted,
};

/// What a component can be completed with: the payload of its scope, JSON, or `()` for what it knows itself.
///
/// What a payload leaves open is filled in: a duration of zero, the usage and the text of a request that reported them, the
/// counts of an agent whose requests and tools are components.
pub trait Completion: Send + 'static {
    #[doc(hidden)]
    fn into_end(self, ended: &mut Ended<'_>) -> EventData;
}

impl Ended<'_> {
    fn name(&self) -> String {
        self.name.unwrap_or_default().to_owned()
    }

    fn output(&mut self) -> JsonValue {
        self.tally.output.take().unwrap_or_default()
    }

    fn duration_ms(&self, said: u64) -> u64 {
        if said == 0 { self.duration_ms } else { said }
    }

    /// Fills in what is known of a failure.
    pub(super) fn complete_failure(&mut self, details: &mut FailureDetails) {
        let name = self.name.map(str::to_owned);
        match self.scope {
            EventScope::WorkflowStep => details.step_name = details.step_name.take().or(name),
            EventScope::Tool => details.tool_name = details.tool_name.take().or(name),
            EventScope::LlmRequest => {
                let Tally { usage, chunks, first_chunk_ms, text, .. } = &mut self.tally;
                details.usage = details.usage.or(*usage);
                details.chunk_count = details.chunk_count.or_else(|| Some(*chunks).filter(|chunks| *chunks > 0));
                details.time_to_first_chunk_ms = details.time_to_first_chunk_ms.or(*first_chunk_ms);
                if details.response.is_none() && !text.is_empty() {
                    details.response = Some(mem::take(text));
                }
                *usage = details.usage;
            }
            EventScope::Workflow | EventScope::Agent | EventScope::System => {}
        }
    }
}

impl Completion for () {
    fn into_end(self, ended: &mut Ended<'_>) -> EventData {
        if let Some(outcome) = ended.tally.outcome.take() {
            return outcome(ended);
        }
        let output = ended.output();
        match ended.scope {
            EventScope::Workflow => WorkflowCompleted { output, duration_ms: 0 }.into_end(ended),
            EventScope::WorkflowStep => {
                StepCompleted { step_name: ended.name(), output, duration_ms: 0 }.into_end(ended)
            }
            EventScope::Agent => AgentCompleted::new(output, Duration::ZERO).into_end(ended),
            EventScope::LlmRequest => {
                let response = match output {
                    JsonValue::String(text) => text,
                    JsonValue::Null => String::new(),
                    other => other.to_string(),
                };
                LlmCompleted::new(response, Duration::ZERO).into_end(ended)
            }
            EventScope::Tool => {
                ToolCompleted { tool_name: ended.name(), result: output, duration_ms: 0 }.into_end(ended)
            }
            EventScope::System => EventData::default(),
        }
    }
}

impl Completion for EventData {
    fn into_end(self, _: &mut Ended<'_>) -> EventData {
        self
    }
}

impl Completion for JsonValue {
    fn into_end(self, _: &mut Ended<'_>) -> EventData {
        self.into()
    }
}

impl Completion for WorkflowCompleted {
    fn into_end(mut self, ended: &mut Ended<'_>) -> EventData {
        self.duration_ms = ended.duration_ms(self.duration_ms);
        self.into()
    }
}

impl Completion for StepCompleted {
    fn into_end(mut self, ended: &mut Ended<'_>) -> EventData {
        self.duration_ms = ended.duration_ms(self.duration_ms);
        self.into()
    }
}

impl Completion for ToolCompleted {
    fn into_end(mut self, ended: &mut Ended<'_>) -> EventData {
        self.duration_ms = ended.duration_ms(self.duration_ms);
        self.into()
    }
}

impl Completion for AgentCompleted {
    fn into_end(mut self, ended: &mut Ended<'_>) -> EventData {
        self.duration_ms = ended.duration_ms(self.duration_ms);
        if (self.llm_calls, self.tool_calls, self.total_tokens) == (0, 0, 0) {
            self.llm_calls = ended.calls.llm.load(Ordering::Relaxed);
            self.tool_calls = ended.calls.tool.load(Ordering::Relaxed);
            self.total_tokens = ended.calls.tokens.load(Ordering::Relaxed);
        }
        if self.iterations == 0 {
            self.iterations = self.llm_calls;
        }
        self.into()
    }
}

impl Completion for LlmCompleted {
    fn into_end(mut self, ended: &mut Ended<'_>) -> EventData {
        self.duration_ms = ended.duration_ms(self.duration_ms);
        let tally = &mut ended.tally;
        self.usage = self.usage.or(tally.usage);
        tally.usage = self.usage;
        self.time_to_first_chunk_ms = self.time_to_first_chunk_ms.or(tally.first_chunk_ms);
        if self.chunk_count == 0 {
            self.chunk_count = tally.chunks;
        }
        if self.response.is_empty() {
            self.response = mem::take(&mut tally.text);
        }
        self.into()
    }
}
