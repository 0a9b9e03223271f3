//! The client: from a request to bytes on the wire.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value as JsonValue, json};

use super::endpoint::{Endpoint, OPENAI_BASE_URL};
use super::peer::Peer;
use super::{answer, provider_error};
use crate::llm::{ChatMessage, ChatModel, ChatRequest, ChatStream, ModelError, ServerAddress, ToolDefinition};

const EVENT_STREAM: &str = "text/event-stream";

/// OpenAI's host, which has replaced `max_tokens` and whose newer models refuse it.
const OPENAI_HOST: &str = "api.openai.com";

/// A client of the OpenAI chat API.
///
/// Cheap to clone; clones share their connections. Answers are streamed, with usage; a server that does not stream is
/// understood too. The text and the tool calls of an answer come through, reasoning and refusals beside the text do not.
///
/// An answer that is interrupted before the model's finish reason is an error; so is a silence of more than the read
/// timeout. Memory per answer is bounded: see [`MAX_EVENT_BYTES`](Self::MAX_EVENT_BYTES).
///
/// # Examples
///
/// ```
/// use agent_runtime::llm::{ChatModel, OpenAiClient};
///
/// let model = OpenAiClient::builder("smollm2").with_base_url("http://127.0.0.1:8080/v1").build()?;
/// assert_eq!(model.model(), "smollm2");
/// assert_eq!(model.server().map(|server| server.port), Some(8080));
/// # Ok::<(), agent_runtime::llm::ModelError>(())
/// ```
#[derive(Clone)]
pub struct OpenAiClient {
    pub(super) model: String,
    pub(super) provider: String,
    pub(super) api_key: Option<String>,
    pub(super) endpoint: Endpoint,
    pub(super) http: Client,
    pub(super) peer: Arc<Peer>,
}

impl OpenAiClient {
    /// The address of the API by default: OpenAI's own, `https://api.openai.com/v1`.
    pub const DEFAULT_BASE_URL: &str = OPENAI_BASE_URL;

    /// The provider by default, in the words of `gen_ai.provider.name`: `openai`.
    pub const DEFAULT_PROVIDER: &str = "openai";

    /// How long to wait for a connection by default: 10 seconds.
    pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

    /// How long to wait for the server's next bytes by default: 5 minutes.
    ///
    /// Long, because some servers send nothing at all while a model reads a long prompt or reasons.
    pub const DEFAULT_READ_TIMEOUT: Duration = Duration::from_secs(300);

    /// The most bytes that may pass before an event of the stream is complete, and the most of an answer that is not
    /// streamed: 4 MiB.
    ///
    /// It bounds what one answer holds in memory in the client, beside one read of the network; a server that sends more
    /// causes [`ModelError::Protocol`]. The answer as a whole has no bound: its reader may or may not keep it.
    pub const MAX_EVENT_BYTES: usize = answer::MAX_EVENT_BYTES;

    /// The most bytes that are read of the body of an answer with an error status: 16 KiB.
    pub const MAX_ERROR_BODY_BYTES: usize = provider_error::MAX_ERROR_BODY_BYTES;

    pub(super) fn post(&self, request: &ChatRequest) -> RequestBuilder {
        let mut post = self.http.post(self.endpoint.url.clone()).header(ACCEPT, EVENT_STREAM).json(&self.body(request));
        for (name, value) in &request.trace_headers {
            post = post.header(name, value);
        }
        match &self.api_key {
            // Marks the header as sensitive, so that HTTP libraries do not log it.
            Some(key) => post.bearer_auth(key),
            None => post,
        }
    }

    pub(super) fn body(&self, request: &ChatRequest) -> JsonValue {
        let messages: Vec<_> = request.messages.iter().map(ChatMessage::to_json).collect();
        let mut body = json!({
            "model": self.model,
            "messages": messages,
            "stream": true,
            "stream_options": {"include_usage": true},
        });
        if !request.tools.is_empty() {
            body["tools"] = request.tools.iter().map(ToolDefinition::to_json).collect();
        }
        let max_tokens = if self.endpoint.server.host == OPENAI_HOST { "max_completion_tokens" } else { "max_tokens" };
        let options = [
            ("temperature", request.options.temperature.map(JsonValue::from)),
            ("top_p", request.options.top_p.map(JsonValue::from)),
            (max_tokens, request.options.max_tokens.map(JsonValue::from)),
        ];
        for (name, value) in options {
            if let Some(value) = value {
                body[name] = value;
            }
        }
        body
    }
}

#[async_trait]
impl ChatModel for OpenAiClient {
    fn provider(&self) -> &str {
        &self.provider
    }

    fn model(&self) -> &str {
        &self.model
    }

    fn server(&self) -> Option<ServerAddress> {
        Some(self.endpoint.server.clone())
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream, ModelError> {
        let response = self.peer.wait_for(self.post(&request).send()).await?;
        if !response.status().is_success() {
            return Err(provider_error::from_response(response, &self.peer).await);
        }
        match media_type(&response).as_deref() {
            None | Some(EVENT_STREAM) => Ok(answer::streamed(response, Arc::clone(&self.peer))),
            Some("application/json") => answer::whole(response, &self.peer).await,
            Some(other) => Err(answer::of_unknown_type(other, response, &self.peer).await),
        }
    }
}

impl fmt::Debug for OpenAiClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiClient")
            .field("model", &self.model)
            .field("provider", &self.provider)
            .field("base_url", &self.endpoint.shown)
            .field("api_key", &self.api_key.as_ref().map(|_| "…"))
            .field("read_timeout", &self.peer.read_timeout())
            .finish_non_exhaustive()
    }
}

/// The answer's content type without parameters, in lower case.
fn media_type(response: &Response) -> Option<String> {
    let value = response.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}
