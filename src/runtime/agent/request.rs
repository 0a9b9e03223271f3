//! One request to the model as one component, from the question to the last piece of the answer.

use futures_util::StreamExt;

use super::definition::Definition;
use crate::{
    component::{Component, Run},
    event::{EventData, EventScope, FailureDetails, LlmCompleted, LlmStarted},
    llm::{ChatDelta, ChatMessage, ChatRequest, ChatResponse, ModelError, ToolDefinition},
    runtime::{RunError, Tool},
};

/// Sends one request as one component, which lives until the answer has been read to its end.
pub(super) async fn request(agent: &Definition, messages: &[ChatMessage], run: &Run) -> Result<ChatResponse, RunError> {
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

fn definition(tool: &dyn Tool) -> ToolDefinition {
    ToolDefinition::new(tool.name(), tool.description(), tool.parameters())
}
