//! The agent's loop: ask the model, run the tools it asks for, report their results to it, until it answers.

use futures_util::future::try_join_all;
use serde_json::{Value as JsonValue, json};

use super::{
    definition::{Agent, Definition},
    history::History,
    repetition::PastCalls,
    request::request,
    retry,
};
use crate::{
    component::{Component, Run, with_sources},
    event::{AgentCompleted, AgentProgress, AgentStarted, EventScope, FailureDetails, ToolCall},
    llm::{ChatMessage, ChatResponse},
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
            let output = JsonValue::String(answer.text);
            let Tally { iterations, llm_calls, tool_calls, total_tokens } = tally;
            let duration_ms = component.elapsed_ms();
            component.complete(AgentCompleted {
                output: output.clone(),
                iterations,
                llm_calls,
                tool_calls,
                total_tokens,
                finish_reason: answer.finish_reason,
                duration_ms,
            });
            Ok(output)
        }
        Err(error) => {
            let max_allowed = match &error {
                RunError::IterationLimit { limit, .. } => Some(*limit),
                RunError::RepeatedCall { .. } => Some(agent.limits.repetitions),
                _ => None,
            };
            let iterations = Some(tally.iterations);
            let details = FailureDetails {
                error_summary: Some(error.summary().into_text()),
                iterations,
                max_allowed,
                ..FailureDetails::default()
            };
            component.fail_with(&error, error.code(), details);
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
) -> Result<ChatResponse, RunError> {
    let limit = agent.limits.iterations;
    let mut history = History::new(agent.system_prompt.as_deref(), input);
    let mut past = PastCalls::default();
    while tally.iterations < limit {
        tally.iterations += 1;
        if tally.iterations > 1 {
            let progress = AgentProgress { iteration: tally.iterations, max_iterations: limit };
            component
                .reporter()
                .progress_with(Some(format!("iteration {} of at most {limit}", tally.iterations)), progress);
        }
        let mut response = ask(agent, history.messages(), run, tally).await?;
        tally.total_tokens = tally.total_tokens.saturating_add(response.usage.map_or(0, |usage| usage.total_tokens));
        if response.tool_calls.is_empty() {
            return Ok(response);
        }
        tally.tool_calls =
            tally.tool_calls.saturating_add(u32::try_from(response.tool_calls.len()).unwrap_or(u32::MAX));
        history.identify(&mut response.tool_calls);
        let results = call_tools(agent, &response.tool_calls, &mut past, run).await?;
        history.push(response, &results, agent.limits.result_bytes);
    }
    Err(RunError::IterationLimit { agent: agent.name.clone(), limit })
}

/// Asks the model, again where the failure may pass by itself and nobody has seen a piece of the answer.
async fn ask(
    agent: &Definition,
    messages: &[ChatMessage],
    run: &Run,
    tally: &mut Tally,
) -> Result<ChatResponse, RunError> {
    let mut retries = 0;
    loop {
        tally.llm_calls = tally.llm_calls.saturating_add(1);
        let failure = match request(agent, messages, run).await? {
            Ok(response) => return Ok(response),
            Err(failure) => failure,
        };
        let is_allowed = !failure.has_begun && retries < agent.limits.retries;
        match retry::wait(&failure.error, retries, agent.limits.retry_wait).filter(|_| is_allowed) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return Err(RunError::Model { agent: agent.name.clone(), source: failure.error }),
        }
        retries += 1;
    }
}

/// Runs the tools that the model asked for at once; returns what it is answered, in the order of its calls.
async fn call_tools(
    agent: &Definition,
    calls: &[ToolCall],
    past: &mut PastCalls,
    run: &Run,
) -> Result<Vec<JsonValue>, RunError> {
    for call in calls {
        let is_unknown = !agent.tools.iter().any(|tool| tool.name() == call.name);
        let count = past.begin(call, is_unknown, &agent.name, run);
        if count >= agent.limits.repetitions.max(1) {
            return Err(RunError::RepeatedCall { agent: agent.name.clone(), tool: call.name.clone(), count });
        }
    }
    let results = try_join_all(calls.iter().map(|call| tool::call(&agent.name, &agent.tools, call, run))).await?;
    let results: Vec<_> = results
        .into_iter()
        .map(|result| result.unwrap_or_else(|error| json!({"error": with_sources(&error)})))
        .collect();
    for (call, result) in calls.iter().zip(&results) {
        past.end(call, result);
    }
    Ok(results)
}
