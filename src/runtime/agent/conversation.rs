//! The agent's loop: ask the model, run the tools it asks for, tell it their results, until it answers.

use futures_util::future::try_join_all;
use serde_json::{Value as JsonValue, json};

use super::{
    definition::{Agent, Definition},
    repetition::PastCalls,
    request::request,
};
use crate::{
    component::{Component, Run, with_sources},
    event::{AgentCompleted, AgentProgress, AgentStarted, EventScope, FailureDetails, ToolCall},
    llm::ChatMessage,
    runtime::{RunError, tool},
};

/// What an agent has done so far.
#[derive(Default)]
struct Tally {
    iterations: u32,
    llm_calls: u32,
    tool_calls: u32,
    total_tokens: u64,
}

/// Runs an agent as one component.
pub(in crate::runtime) async fn run(agent: &Agent, input: JsonValue, run: &Run) -> Result<JsonValue, RunError> {
    let agent = agent.definition();
    let started = AgentStarted {
        input: input.clone(),
        model: Some(agent.model.model().to_owned()),
        description: agent.description.clone(),
    };
    let component = Component::start(run, EventScope::Agent, &agent.name, started)?;
    let mut tally = Tally::default();
    match component.run(converse(agent, &input, run, &component, &mut tally)).await {
        Ok(answer) => {
            let output = JsonValue::String(answer);
            let Tally { iterations, llm_calls, tool_calls, total_tokens } = tally;
            let duration_ms = component.elapsed_ms();
            component.complete(AgentCompleted {
                output: output.clone(),
                iterations,
                llm_calls,
                tool_calls,
                total_tokens,
                duration_ms,
            });
            Ok(output)
        }
        Err(error) => {
            let max_allowed = match &error {
                RunError::IterationLimit { limit, .. } => Some(*limit),
                _ => None,
            };
            let iterations = Some(tally.iterations);
            let details = FailureDetails { iterations, max_allowed, ..FailureDetails::default() };
            component.fail(&error, error.code(), details);
            Err(error)
        }
    }
}

async fn converse(
    agent: &Definition,
    input: &JsonValue,
    run: &Run,
    component: &Component,
    tally: &mut Tally,
) -> Result<String, RunError> {
    let mut messages: Vec<_> = agent.system_prompt.iter().map(ChatMessage::system).collect();
    messages.push(ChatMessage::user(as_text(input)));
    let mut past = PastCalls::default();
    while tally.iterations < agent.max_iterations {
        tally.iterations += 1;
        if tally.iterations > 1 {
            let progress = AgentProgress { iteration: tally.iterations, max_iterations: agent.max_iterations };
            let message = format!("iteration {} of at most {}", tally.iterations, agent.max_iterations);
            component.progress(Some(message), progress);
        }
        tally.llm_calls += 1;
        let response = request(agent, &messages, run).await?;
        tally.total_tokens += response.usage.map_or(0, |usage| usage.total_tokens);
        if response.tool_calls.is_empty() {
            return Ok(response.text);
        }
        tally.tool_calls += u32::try_from(response.tool_calls.len()).unwrap_or(u32::MAX);
        let results = call_tools(agent, &response.tool_calls, &mut past, run).await?;
        let answers = response
            .tool_calls
            .iter()
            .zip(&results)
            .map(|(call, result)| ChatMessage::tool(as_text(result), call.id.clone()));
        let answers: Vec<_> = answers.collect();
        messages.push(ChatMessage::assistant(response.text, response.tool_calls));
        messages.extend(answers);
    }
    Err(RunError::IterationLimit { agent: agent.name.clone(), limit: agent.max_iterations })
}

/// Runs the tools that the model asked for at once; returns what it is answered, in the order of its calls.
async fn call_tools(
    agent: &Definition,
    calls: &[ToolCall],
    past: &mut PastCalls,
    run: &Run,
) -> Result<Vec<JsonValue>, RunError> {
    for call in calls {
        past.report_repetition(call, run);
    }
    let results = try_join_all(calls.iter().map(|call| tool::call(agent, call, run))).await?;
    let results: Vec<_> = results
        .into_iter()
        .map(|result| result.unwrap_or_else(|error| json!({"error": with_sources(&error)})))
        .collect();
    for (call, result) in calls.iter().zip(&results) {
        past.remember(call, result);
    }
    Ok(results)
}

/// A JSON value as a model reads it: a string bare, everything else as JSON.
fn as_text(value: &JsonValue) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
