//! One call of a tool, as one component.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use serde_json::{Value as JsonValue, json};

use super::{ProgressCallback, Tool, arguments::parse_arguments};
use crate::{
    component::{Component, Run},
    event::{self, EventScope, FailureDetails, ToolCall, ToolCompleted, ToolStarted},
    runtime::{RunError, ToolError},
    stream::discard,
};

/// The name for a tool whose own, made up by a model, cannot be one.
pub(in crate::runtime) const UNNAMED_TOOL: &str = "unnamed_tool";

/// Runs a tool of an agent and returns its result or why there is none.
///
/// The outer error is one of the run; that a tool fails is for the model to hear.
pub(in crate::runtime) async fn call(
    agent: &str,
    tools: &[Arc<dyn Tool>],
    call: &ToolCall,
    run: &Run,
) -> Result<Result<JsonValue, ToolError>, RunError> {
    let tool = tools.iter().find(|tool| tool.name() == call.name);
    let arguments = parse_arguments(&call.arguments);
    let is_valid = event::check_numbered(EventScope::Tool, &call.name).is_ok();
    let component = Component::start(
        run,
        EventScope::Tool,
        run.numbered(if is_valid { &call.name } else { UNNAMED_TOOL }),
        ToolStarted {
            tool_name: call.name.clone(),
            arguments: arguments.as_ref().map_or_else(|_| json!(call.arguments), Clone::clone),
            tool_call_id: Some(call.id.clone()).filter(|id| !id.is_empty()),
            agent: Some(agent.to_owned()),
            description: tool.map(|tool| tool.description().to_owned()),
            unknown: tool.is_none().then_some(true),
        },
    )?;
    let result = match (tool, arguments) {
        (Some(tool), Ok(arguments)) => {
            let progress = ProgressCallback::of(component.reporter(), call.name.clone());
            component.run(contain_panic(&**tool, arguments, progress)).await
        }
        (Some(_), Err(error)) => Err(error),
        (None, _) => Err(unknown(&call.name, tools)),
    };
    match &result {
        Ok(value) => {
            let duration_ms = component.elapsed_ms();
            component.complete(ToolCompleted { tool_name: call.name.clone(), result: value.clone(), duration_ms });
        }
        Err(error) => {
            let details = FailureDetails {
                error_summary: Some(error.summary().into_text()),
                tool_name: Some(call.name.clone()),
                ..FailureDetails::default()
            };
            component.fail_with(error, error.code(), details);
        }
    }
    Ok(result)
}

async fn contain_panic(
    tool: &dyn Tool,
    arguments: JsonValue,
    progress: ProgressCallback,
) -> Result<JsonValue, ToolError> {
    // The tool's own state may be left half-changed by its panic, which is no more than a failing tool may do anyhow.
    let work = AssertUnwindSafe(async { tool.execute_with_progress(arguments, progress).await });
    match work.catch_unwind().await {
        Ok(result) => result.map_err(ToolError::of),
        Err(panic) => {
            let message = panic_message(&*panic).to_owned();
            discard(panic);
            Err(ToolError::Panicked { message })
        }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

fn unknown(name: &str, tools: &[Arc<dyn Tool>]) -> ToolError {
    let names: Vec<_> = tools.iter().map(|tool| tool.name()).collect();
    let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    ToolError::Unknown { name: name.to_owned(), known }
}
