//! The client: how a request is put on the wire.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value as JsonValue, json};

use super::builder::{Endpoint, OpenAiClientBuilder, from_lookup};
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
/// An answer that breaks off before it says why the model stopped is an error; so is a silence of more than the read
/// timeout. Memory per answer is bounded: see [`MAX_EVENT_BYTES`](super::MAX_EVENT_BYTES).
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
    /// Sets up a client for a model.
    pub fn builder(model: impl Into<String>) -> OpenAiClientBuilder {
        OpenAiClientBuilder::new(model)
    }

    /// Makes a client from the environment.
    ///
    /// `OPENAI_MODEL` names the model. `OPENAI_BASE_URL` is the address of the API, by default
    /// [`DEFAULT_BASE_URL`](super::DEFAULT_BASE_URL). `OPENAI_API_KEY` is the key, required only by that default. An
    /// empty variable counts as not set.
    ///
    /// # Errors
    ///
    /// [`ModelError::Configuration`]
    ///
    /// - if a required variable is not set, or one is not UTF-8; the error names it,
    /// - if [`build`](OpenAiClientBuilder::build) refuses the values.
    pub fn from_env() -> Result<Self, ModelError> {
        from_lookup(|name| std::env::var_os(name))
    }

    fn post(&self, request: &ChatRequest) -> RequestBuilder {
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

    fn body(&self, request: &ChatRequest) -> JsonValue {
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

#[cfg(test)]
mod tests {
    use reqwest::header::AUTHORIZATION;

    use super::*;
    use crate::llm::GenerationOptions;

    #[test]
    fn the_key_travels_once_and_as_a_secret() {
        let builder = OpenAiClient::builder("m").with_base_url("http://user:hush@a.example/v1");
        let check = |builder: OpenAiClientBuilder, expected: &str| {
            let request = builder.build().unwrap().post(&ChatRequest::default()).build().unwrap();
            let values: Vec<_> = request.headers().get_all(AUTHORIZATION).iter().collect();
            assert!(values.iter().all(|value| value.is_sensitive()));
            assert_eq!(values, [expected]);
            assert!(!format!("{request:?}").contains("hush"), "{request:?}");
        };
        check(builder.clone().with_api_key("hush"), "Bearer hush");
        check(builder, "Basic dXNlcjpodXNo");
    }

    #[test]
    fn the_limit_of_tokens_goes_by_the_name_that_the_server_knows() {
        let check = |base_url: &str, name: &str| {
            let client = OpenAiClient::builder("m").with_base_url(base_url).build().unwrap();
            let options = GenerationOptions { max_tokens: Some(5), ..GenerationOptions::default() };
            let body = client.body(&ChatRequest { options, ..ChatRequest::default() });
            assert_eq!(body[name], 5, "{body}");
            let names = ["max_tokens", "max_completion_tokens"];
            assert_eq!(names.iter().filter(|name| body.get(name).is_some()).count(), 1, "{body}");
        };
        check("https://api.openai.com/v1", "max_completion_tokens");
        check("http://localhost:11434/v1", "max_tokens");
    }
}
