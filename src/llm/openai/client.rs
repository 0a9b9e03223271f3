//! The client: from a request to bytes on the wire.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use reqwest::{
    Client, RequestBuilder,
    header::{ACCEPT, HeaderMap},
};
use serde_json::{Map, Value as JsonValue, json};

use super::{
    answer,
    dialect::{Dialect, Known},
    endpoint::{Endpoint, OPENAI_BASE_URL},
    frames,
    peer::Peer,
    provider_error,
};
use crate::llm::{ChatMessage, ChatModel, ChatRequest, ChatStream, ModelError, ServerAddress, ToolDefinition};

/// OpenAI's host, which has replaced `max_tokens` and whose newer models refuse it.
const OPENAI_HOST: &str = "api.openai.com";

/// The longest name of a tool that OpenAI takes.
const MAX_TOOL_NAME_BYTES: usize = 64;

/// The most fields that one request leaves out on refusals, each at the price of a request more.
const MAX_REFUSALS: usize = 8;

/// A client of the OpenAI chat API.
///
/// Cheap to clone; clones share their connections and what they have found out about the server. Answers are streamed,
/// with usage; a server that does not stream is understood too, whatever label its answers have.
///
/// A server that refuses a request for an optional field, by its name, is asked again without the field, and later
/// requests go without it from the start. Retries for any other reason are left to the caller: an
/// [`Agent`](crate::runtime::Agent) has some.
///
/// Fields that came with a model's message, such as its reasoning, go back with the message if their names are among
/// [`CARRIED_FIELDS`](Self::CARRIED_FIELDS).
///
/// An answer that is interrupted before the model's finish reason is an error; so is a silence of more than the read
/// timeout. Once the answer is whole, the rest of the body is waited for at most
/// [`FINISH_GRACE`](Self::FINISH_GRACE). Memory per answer is bounded: see [`MAX_EVENT_BYTES`](Self::MAX_EVENT_BYTES).
///
/// No error shows the key, a header's value, or credentials and parameters of the base URL, also if the server repeats
/// them.
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
    pub(super) headers: HeaderMap,
    pub(super) extra_body: Map<String, JsonValue>,
    pub(super) token_limit: Option<String>,
    pub(super) carried: Vec<String>,
    pub(super) http: Client,
    pub(super) known: Arc<Known>,
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

    /// How long the rest of an answer is waited for once the model has said why it stopped: 2 seconds, of which at most
    /// half a second behind `[DONE]`.
    pub const FINISH_GRACE: Duration = answer::FINISH_GRACE;

    /// The fields beside text and calls that go back to the server with the message that they came with.
    pub const CARRIED_FIELDS: &[&str] = &[
        "extra_content",
        "reasoning",
        "reasoning_content",
        "reasoning_details",
        "thinking",
        "thinking_blocks",
        "thought_signature",
        "thought_signatures",
    ];

    /// The most bytes that may pass before an event of the stream is complete, and the most of an answer that is not
    /// streamed: 4 MiB.
    ///
    /// It bounds what one answer holds in memory in the client, beside one read of the network; a server that sends more
    /// causes [`ModelError::Protocol`]. The answer as a whole has no bound: its reader may or may not keep it.
    pub const MAX_EVENT_BYTES: usize = frames::MAX_EVENT_BYTES;

    /// The most bytes that are read of the body of an answer with an error status: 16 KiB.
    pub const MAX_ERROR_BODY_BYTES: usize = provider_error::MAX_ERROR_BODY_BYTES;

    pub(super) fn post(&self, request: &ChatRequest, body: &Map<String, JsonValue>) -> RequestBuilder {
        let accept = if body.contains_key("stream") { "text/event-stream" } else { "application/json" };
        let mut post = self.http.post(self.endpoint.url.clone()).header(ACCEPT, accept).json(body);
        for (name, value) in &request.trace_headers {
            post = post.header(name, value);
        }
        post = match &self.api_key {
            // Marks the header as sensitive, so that HTTP libraries do not log it.
            Some(key) => post.bearer_auth(key),
            None => post,
        };
        // Replaces what has the same name.
        post.headers(self.headers.clone())
    }

    pub(super) fn body(&self, request: &ChatRequest, dialect: &Dialect) -> Map<String, JsonValue> {
        let messages: Vec<_> = request.messages.iter().map(|message| self.message(message)).collect();
        let mut body = Map::new();
        let mut add = |name: &str, value: JsonValue| drop(body.insert(name.to_owned(), value));
        add("model", json!(self.model));
        add("messages", messages.into());
        add("stream", json!(true));
        add("stream_options", json!({"include_usage": true}));
        if !request.tools.is_empty() {
            add("tools", request.tools.iter().map(ToolDefinition::to_json).collect());
        }
        let default = if self.endpoint.server.host == OPENAI_HOST { "max_completion_tokens" } else { "max_tokens" };
        let options = [
            ("temperature", request.options.temperature.map(JsonValue::from)),
            ("top_p", request.options.top_p.map(JsonValue::from)),
            (self.token_limit.as_deref().unwrap_or(default), request.options.max_tokens.map(JsonValue::from)),
        ];
        for (name, value) in options {
            value.into_iter().for_each(|value| add(name, value));
        }
        body.extend(self.extra_body.clone());
        dialect.apply(&mut body);
        body
    }

    /// A message with those of its fields that the server wants back.
    fn message(&self, message: &ChatMessage) -> JsonValue {
        let is_carried = |name: &str| self.carried.iter().any(|carried| carried == name);
        if message.extra.keys().all(|name| is_carried(name)) {
            return message.to_json();
        }
        let mut message = message.clone();
        message.extra.retain(|name, _| is_carried(name));
        message.to_json()
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

    fn is_streaming(&self) -> bool {
        self.known.get().has("stream")
    }

    fn broken_tool_name_rule(&self, name: &str) -> Option<&'static str> {
        let is_valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let can_be_sent = (1..=MAX_TOOL_NAME_BYTES).contains(&name.len()) && name.chars().all(is_valid);
        (!can_be_sent).then_some("1 to 64 letters of ASCII, digits, `_` and `-`, as OpenAI has it")
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream, ModelError> {
        let mut dialect = self.known.get();
        let mut refusals = 0;
        loop {
            let body = self.body(&request, &dialect);
            let response = self.peer.wait_for(self.post(&request, &body).send()).await?;
            if response.status().is_success() {
                if refusals > 0 {
                    self.known.set(dialect);
                }
                let tools = request.tools.into_iter().map(|tool| tool.name).collect();
                return Ok(answer::read(response, tools, Arc::clone(&self.peer)));
            }
            let (said, refusal) =
                provider_error::from_response(response, &self.peer, self.endpoint.has_version()).await;
            let may_be_about_a_field = matches!(refusal.status, 400 | 422) && refusals < MAX_REFUSALS;
            match may_be_about_a_field.then(|| dialect.after(&said, &body)).flatten() {
                Some(next) => dialect = next,
                None => return Err(refusal.into()),
            }
            refusals += 1;
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
            .field("headers", &self.headers)
            .field("read_timeout", &self.peer.read_timeout())
            .finish_non_exhaustive()
    }
}
