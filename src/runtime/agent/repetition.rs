//! Calls that a model makes again with the same arguments.

use serde_json::{Value as JsonValue, json};

use crate::{
    component::Run,
    event::{Event, ToolCall},
    runtime::tool::parse_arguments,
};

/// The calls of one run of an agent so far.
#[derive(Default)]
pub(super) struct PastCalls(Vec<PastCall>);

/// A tool call with the arguments that were made before in this run of the agent.
struct PastCall {
    name: String,
    arguments: JsonValue,
    count: u64,
    result: JsonValue,
}

impl PastCalls {
    /// Says when a model makes a call again with the same arguments, in whatever order their keys are.
    pub(super) fn report_repetition(&self, call: &ToolCall, run: &Run) {
        let Ok(arguments) = parse_arguments(&call.arguments) else { return };
        let Some(before) = self.0.iter().find(|before| before.is(&call.name, &arguments)) else { return };
        let event = Event::system_progress(
            "system:tool_loop_detection",
            Some(format!("tool {:?} was called with the same arguments before", call.name)),
            None,
            None,
            json!({
                "tool_name": call.name,
                "arguments": arguments,
                "previous_result": before.result,
                "call_count": before.count + 1,
            }),
        );
        // The id is a constant of the right form.
        drop(run.emit(event));
    }

    /// Keeps a call and its result for comparison.
    pub(super) fn remember(&mut self, call: &ToolCall, result: &JsonValue) {
        let Ok(arguments) = parse_arguments(&call.arguments) else { return };
        match self.0.iter_mut().find(|before| before.is(&call.name, &arguments)) {
            Some(before) => {
                before.count += 1;
                before.result = result.clone();
            }
            None => self.0.push(PastCall { name: call.name.clone(), arguments, count: 1, result: result.clone() }),
        }
    }
}

impl PastCall {
    fn is(&self, name: &str, arguments: &JsonValue) -> bool {
        self.name == name && self.arguments == *arguments
    }
}
