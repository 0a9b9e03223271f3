//! One request to the model as one component, from the question to the last piece of the answer.

use futures_util::StreamExt;
use serde_json::json;

use super::{definition::Definition, ending};
use crate::{
    component::{Component, Run},
    event::{EventData, EventScope, FailureDetails, LlmCompleted, LlmStarted},
    llm::{ChatDelta, ChatMessage, ChatRequest, ChatResponse, ModelError, ToolDefinition},
    runtime::{RunError, Tool},
};

/// Why a request has no answer.
pub(super) struct Failure {
    pub(super) error: ModelError,
    /// Whether readers have seen a piece of an answer.
    pub(super) has_begun: bool,
}

/// Sends one request as one component, which lives until the answer has been read to its end.
///
/// The outer error is one of the run, by which nothing was sent.
pub(super) async fn request(
    agent: &Definition,
    messages: &[ChatMessage],
    run: &Run,
) -> Result<Result<ChatResponse, Failure>, RunError> {
    let model = &*agent.model;
    let server = model.server();
    let tools: Vec<_> = agent.tools.iter().map(|tool| definition(&**tool)).collect();
    let started = LlmStarted {
        messages: messages.iter().map(ChatMessage::to_json).collect(),
        model: model.model().to_owned(),
        stream: model.is_streaming(),
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
        .with_trace_headers(if agent.sends_baggage { component.headers_with_baggage() } else { component.headers() });
    let mut answer = Answer::default();
    match component.run(answer.read(agent, request, &component)).await {
        Ok(()) => {
            let duration_ms = component.elapsed_ms();
            component.complete(answer.completed(duration_ms));
            Ok(Ok(answer.response))
        }
        Err(error) => {
            component.fail_with(&error, error.code(), answer.failure_details(&error));
            Ok(Err(Failure { error, has_begun: answer.has_begun }))
        }
    }
}

/// An answer while it comes in.
#[derive(Default)]
struct Answer {
    response: ChatResponse,
    has_begun: bool,
    bytes: usize,
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
            self.report(&delta, component);
            self.bytes = self.bytes.saturating_add(size(&delta));
            self.response.push(delta);
            let limits = &agent.limits;
            let (bytes, calls) = (limits.answer_bytes, limits.calls_at_once);
            if self.bytes > bytes {
                return Err(ModelError::TooLarge { limit: bytes, unit: "bytes" });
            }
            if self.response.tool_calls.len() > calls {
                return Err(ModelError::TooLarge { limit: calls, unit: "tool calls" });
            }
            // A model that always has the next piece ready would otherwise starve the readers on this thread.
            tokio::task::consume_budget().await;
        }
        ending::check(&self.response)
    }

    /// Reports a piece to the readers.
    fn report(&mut self, delta: &ChatDelta, component: &Component) {
        let progress = match delta {
            ChatDelta::Text(text) | ChatDelta::Refusal(text) => {
                Some((Some(text.clone()), EventData::chunk(text.as_str())))
            }
            ChatDelta::Reasoning(text) => Some((None, EventData::reasoning(text))),
            ChatDelta::ToolCall(_) => None,
            ChatDelta::Extra(..)
            | ChatDelta::Id(_)
            | ChatDelta::Model(_)
            | ChatDelta::Finish(_)
            | ChatDelta::Usage(_) => {
                return;
            }
        };
        self.has_begun = true;
        self.time_to_first_chunk_ms.get_or_insert_with(|| component.elapsed_ms());
        if let Some((message, data)) = progress {
            self.chunk_count += 1;
            component.reporter().progress_with(message, data);
        }
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
        let has_text = !self.response.text.is_empty();
        FailureDetails {
            error_summary: Some(error.summary().into_text()),
            retry_after: error.retry_after().map(|after| after.as_secs() + u64::from(after.subsec_nanos() > 0)),
            retry_after_ms: error.retry_after().map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
            response: has_text.then(|| self.response.text.clone()),
            chunk_count: (self.chunk_count > 0).then_some(self.chunk_count),
            time_to_first_chunk_ms: self.time_to_first_chunk_ms,
            usage: self.response.usage,
            response_id: self.response.id.clone(),
            response_model: self.response.model.clone(),
            ..FailureDetails::default()
        }
    }
}

fn definition(tool: &dyn Tool) -> ToolDefinition {
    // Servers refuse a schema that is `null`, as a tool without parameters may have it.
    let parameters = Some(tool.parameters()).filter(|parameters| !parameters.is_null());
    let parameters = parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}}));
    ToolDefinition::new(tool.name(), tool.description(), parameters)
}

/// How many bytes a piece adds to what is held of an answer.
fn size(delta: &ChatDelta) -> usize {
    match delta {
        ChatDelta::Text(text) | ChatDelta::Reasoning(text) | ChatDelta::Refusal(text) => text.len(),
        ChatDelta::ToolCall(piece) => {
            let words = [&piece.id, &piece.name].into_iter().flatten().map(String::len).sum::<usize>();
            let extra = if piece.extra.is_empty() { 0 } else { json!(piece.extra).to_string().len() };
            words + piece.arguments.len() + extra
        }
        ChatDelta::Extra(name, value) => name.len() + value.as_str().map_or_else(|| value.to_string().len(), str::len),
        ChatDelta::Id(word) | ChatDelta::Model(word) | ChatDelta::Finish(word) => word.len(),
        ChatDelta::Usage(_) => 0,
    }
}
