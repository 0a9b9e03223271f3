//! The agent's loop: ask the model, run the tools it asks for, tell it their results, until it answers.

use std::sync::Arc;

use futures_util::{StreamExt, future::try_join_all};
use serde_json::{Value as JsonValue, json};

use super::{
    Agent, RunError,
    agent::Definition,
    component::Component,
    run::Run,
    tool_call::{self, parse_arguments},
};
use crate::{
    event::{
        AgentCompleted, AgentProgress, AgentStarted, Event, EventData, EventScope, FailureDetails, LlmCompleted,
        LlmStarted, ToolCall,
    },
    llm::{ChatDelta, ChatMessage, ChatRequest, ChatResponse, ModelError, ToolDefinition},
};

/// What an agent has done so far.
#[derive(Default)]
struct Tally {
    iterations: u32,
    llm_calls: u32,
    tool_calls: u32,
    total_tokens: u64,
}

/// A tool call with the arguments that were made before in this run of the agent.
struct PastCall {
    name: String,
    arguments: JsonValue,
    count: u64,
    result: JsonValue,
}

/// Runs an agent as one component.
pub(super) async fn run(agent: &Agent, input: JsonValue, run: &Arc<Run>) -> Result<JsonValue, RunError> {
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
    run: &Arc<Run>,
    component: &Component,
    tally: &mut Tally,
) -> Result<String, RunError> {
    let mut messages: Vec<_> = agent.system_prompt.iter().map(ChatMessage::system).collect();
    messages.push(ChatMessage::user(as_text(input)));
    let mut past = Vec::new();
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

/// Sends one request as one component, which lives until the answer has been read to its end.
async fn request(agent: &Definition, messages: &[ChatMessage], run: &Arc<Run>) -> Result<ChatResponse, RunError> {
    let model = &*agent.model;
    let server = model.server();
    let tools: Vec<_> = agent.tools.iter().map(|tool| definition(&**tool)).collect();
    let started = LlmStarted {
        messages: messages.iter().map(ChatMessage::to_json).collect(),
        model: model.model().to_owned(),
        stream: true,
        provider: model.provider().to_owned(),
        server_address: server.as_ref().map(|server| server.host.clone()),
        server_port: server.as_ref().map(|server| server.port),
        temperature: agent.options.temperature,
        top_p: agent.options.top_p,
        max_tokens: agent.options.max_tokens,
        tools: tools.iter().map(ToolDefinition::to_json).collect(),
    };
    let id = run.numbered(&format!("{}:llm", agent.name));
    let component = Component::start(run, EventScope::LlmRequest, id, started)?;
    let request = ChatRequest::new(messages.to_vec())
        .with_tools(tools)
        .with_options(agent.options.clone())
        .with_trace_headers(component.headers());
    let mut answer = Answer::default();
    match component.run(answer.read(agent, request, &component)).await {
        Ok(()) => {
            let duration_ms = component.elapsed_ms();
            component.complete(answer.completed(duration_ms));
            Ok(answer.response)
        }
        Err(error) => {
            component.fail(&error, error.code(), answer.failure_details(&error));
            Err(RunError::Model { agent: agent.name.clone(), source: error })
        }
    }
}

/// An answer while it comes in.
#[derive(Default)]
struct Answer {
    response: ChatResponse,
    chunk_count: u64,
    time_to_first_chunk_ms: Option<u64>,
}

impl Answer {
    async fn read(
        &mut self,
        agent: &Definition,
        request: ChatRequest,
        component: &Component,
    ) -> Result<(), ModelError> {
        let mut stream = agent.model.stream(request).await?;
        while let Some(delta) = stream.next().await {
            let delta = delta?;
            if matches!(delta, ChatDelta::Text(_) | ChatDelta::ToolCall(_)) {
                self.time_to_first_chunk_ms.get_or_insert_with(|| component.elapsed_ms());
            }
            if let ChatDelta::Text(text) = &delta {
                self.chunk_count += 1;
                component.progress(Some(text.clone()), EventData::chunk(text.as_str()));
            }
            self.response.push(delta);
            // A model that always has the next piece ready would otherwise starve the readers on this thread.
            tokio::task::consume_budget().await;
        }
        Ok(())
    }

    fn completed(&self, duration_ms: u64) -> LlmCompleted {
        LlmCompleted {
            response: self.response.text.clone(),
            usage: self.response.usage,
            finish_reason: self.response.finish_reason.clone(),
            tool_calls: self.response.tool_calls.clone(),
            response_id: self.response.id.clone(),
            response_model: self.response.model.clone(),
            chunk_count: self.chunk_count,
            time_to_first_chunk_ms: self.time_to_first_chunk_ms,
            duration_ms,
        }
    }

    fn failure_details(&self, error: &ModelError) -> FailureDetails {
        let has_text = self.chunk_count > 0;
        FailureDetails {
            retry_after: error.retry_after().map(|after| after.as_secs()),
            response: has_text.then(|| self.response.text.clone()),
            chunk_count: has_text.then_some(self.chunk_count),
            time_to_first_chunk_ms: self.time_to_first_chunk_ms,
            usage: self.response.usage,
            response_id: self.response.id.clone(),
            response_model: self.response.model.clone(),
            ..FailureDetails::default()
        }
    }
}

/// Runs the tools that the model asked for at once and gives what it is to be told, in the order of its calls.
async fn call_tools(
    agent: &Definition,
    calls: &[ToolCall],
    past: &mut Vec<PastCall>,
    run: &Arc<Run>,
) -> Result<Vec<JsonValue>, RunError> {
    for call in calls {
        report_repetition(call, past, run);
    }
    let results = try_join_all(calls.iter().map(|call| tool_call::run(agent, call, run))).await?;
    let results: Vec<_> = results
        .into_iter()
        .map(|result| result.unwrap_or_else(|error| json!({"error": super::error::with_sources(&error)})))
        .collect();
    for (call, result) in calls.iter().zip(&results) {
        remember(call, result, past);
    }
    Ok(results)
}

/// Says when a model makes a call again with the same arguments, in whatever order their keys are.
fn report_repetition(call: &ToolCall, past: &[PastCall], run: &Arc<Run>) {
    let Ok(arguments) = parse_arguments(&call.arguments) else { return };
    let Some(before) = past.iter().find(|before| before.is(&call.name, &arguments)) else { return };
    let event = Event::system_progress(
        "system:tool_loop_detection",
        Some(format!("tool {:?} was called with the same arguments before", call.name)),
        Some(run.workflow_id.clone()),
        run.parent_workflow_id.clone(),
        json!({
            "tool_name": call.name,
            "arguments": arguments,
            "previous_result": before.result,
            "call_count": before.count + 1,
        }),
    );
    // The id is a constant of the right form.
    drop(run.stream.append(event));
}

fn remember(call: &ToolCall, result: &JsonValue, past: &mut Vec<PastCall>) {
    let Ok(arguments) = parse_arguments(&call.arguments) else { return };
    match past.iter_mut().find(|before| before.is(&call.name, &arguments)) {
        Some(before) => {
            before.count += 1;
            before.result = result.clone();
        }
        None => past.push(PastCall { name: call.name.clone(), arguments, count: 1, result: result.clone() }),
    }
}

impl PastCall {
    fn is(&self, name: &str, arguments: &JsonValue) -> bool {
        self.name == name && self.arguments == *arguments
    }
}

fn definition(tool: &dyn super::Tool) -> ToolDefinition {
    ToolDefinition::new(tool.name(), tool.description(), tool.parameters())
}

/// A JSON value as a model reads it: a string bare, everything else as JSON.
fn as_text(value: &JsonValue) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
