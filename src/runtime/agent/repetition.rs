//! Calls that a model makes again with the same arguments.

use serde_json::Value as JsonValue;

use crate::{
    component::Run,
    event::{Event, RepeatedCall, ToolCall},
    runtime::tool::parse_arguments,
};

/// The calls of one run of an agent so far.
#[derive(Default)]
pub(super) struct PastCalls(Vec<PastCall>);

/// A tool call with the arguments that were made before in this run of the agent.
struct PastCall {
    name: String,
    arguments: JsonValue,
    count: u32,
    /// The last result; `None` while there is none.
    result: Option<JsonValue>,
    /// How often in a row this was the result.
    same_results: u32,
}

impl PastCalls {
    /// Counts a call that is about to be made; reports one that was made before with the same arguments, in whatever order
    /// their keys are. Returns how often in a row such a call has had one result.
    pub(super) fn begin(&mut self, call: &ToolCall, is_unknown: bool, agent: &str, run: &Run) -> u32 {
        let Ok(arguments) = parse_arguments(&call.arguments) else { return 0 };
        let Some(before) = self.0.iter_mut().find(|before| before.is(&call.name, &arguments)) else {
            self.0.push(PastCall { name: call.name.clone(), arguments, count: 1, result: None, same_results: 0 });
            return 0;
        };
        before.count = before.count.saturating_add(1);
        let mut data = RepeatedCall::new(agent, call.name.as_str(), arguments, before.count)
            .with_previous_result(before.result.clone());
        data.unknown = is_unknown.then_some(true);
        let event = Event::system_progress(
            "system:tool_loop_detection",
            Some(format!("agent {agent:?} called tool {:?} with the same arguments before", call.name)),
            None,
            None,
            data,
        );
        // The id is a constant of the right form.
        drop(run.emit(event));
        before.same_results
    }

    /// Keeps a call's result for comparison.
    pub(super) fn end(&mut self, call: &ToolCall, result: &JsonValue) {
        let Ok(arguments) = parse_arguments(&call.arguments) else { return };
        let Some(past) = self.0.iter_mut().find(|past| past.is(&call.name, &arguments)) else { return };
        if past.result.as_ref() == Some(result) {
            past.same_results = past.same_results.saturating_add(1);
        } else {
            past.same_results = 1;
            past.result = Some(result.clone());
        }
    }
}

impl PastCall {
    fn is(&self, name: &str, arguments: &JsonValue) -> bool {
        self.name == name && self.arguments == *arguments
    }
}
