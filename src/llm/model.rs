//! The trait that agents ask for answers.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use super::{ChatDelta, ChatRequest, ModelError};

/// The pieces of an answer, in order; dropping the stream cancels the request. An error is the last item, and an agent
/// does not poll the stream behind its end.
pub type ChatStream = BoxStream<'static, Result<ChatDelta, ModelError>>;

/// A chat model that answers in pieces.
///
/// # Examples
///
/// Implementing it for another provider takes a name and the pieces. No events are emitted here, no retries are made and no
/// finish reason is judged: the agent does all that.
///
/// ```
/// use agent_runtime::{
///     llm::{ChatDelta, ChatModel, ChatRequest, ChatStream, ModelError},
///     prelude::*,
/// };
/// use futures_util::{StreamExt, stream};
///
/// #[derive(Debug)]
/// struct Echo;
///
/// #[async_trait]
/// impl ChatModel for Echo {
///     fn provider(&self) -> &str { "echo" }
///     fn model(&self) -> &str { "echo-1" }
///     async fn stream(&self, request: ChatRequest) -> Result<ChatStream, ModelError> {
///         let last = request.messages.last().ok_or_else(|| ModelError::protocol("there is no message"))?;
///         let pieces = [ChatDelta::Text(last.content.clone()), ChatDelta::Finish("stop".to_owned())];
///         Ok(stream::iter(pieces.map(Ok)).boxed())
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let workflow = Workflow::new("mirror").add_step(AgentStep::new(Agent::builder("echo", Echo).build())).build();
/// assert_eq!(Runtime::new().execute(&workflow, "Hello").await?.output, "Hello");
/// # Ok::<(), RunError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Asking one directly, without an agent:
///
/// ```
/// use agent_runtime::llm::{ChatMessage, ChatModel, ChatRequest, ChatResponse, ModelError, ScriptedModel, ScriptedReply};
/// use futures_util::TryStreamExt;
///
/// async fn ask(model: &dyn ChatModel, question: &str) -> Result<ChatResponse, ModelError> {
///     let stream = model.stream(ChatRequest::new([ChatMessage::user(question)])).await?;
///     stream.try_collect().await
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
/// let model = ScriptedModel::new("parrot").with_reply(ScriptedReply::text("Hello you"));
/// assert_eq!(ask(&model, "Hi").await?.text, "Hello you");
/// # Ok::<(), ModelError>(())
/// # })?;
/// # Ok::<(), ModelError>(())
/// ```
#[async_trait]
pub trait ChatModel: Send + Sync + fmt::Debug {
    /// Returns who answers, in the words of the OpenTelemetry attribute `gen_ai.provider.name`: `openai`, `anthropic`, ….
    fn provider(&self) -> &str;

    /// Returns the model that is asked.
    fn model(&self) -> &str;

    /// Returns the server that answers; `None` if there is none, which is the default.
    fn server(&self) -> Option<ServerAddress> {
        None
    }

    /// Returns whether answers come in pieces, which is the default, or each as one.
    fn is_streaming(&self) -> bool {
        true
    }

    /// Returns the rule that a tool's name breaks; `None` if the model can be offered a tool of this name, which is the
    /// default.
    ///
    /// An agent asks for each of its tools before its first request.
    fn broken_tool_name_rule(&self, name: &str) -> Option<&'static str> {
        let _ = name;
        None
    }

    /// Sends a request and returns the answer's pieces as they come.
    ///
    /// # Errors
    ///
    /// If the request could not be sent or was refused. What goes wrong later is an item of the stream, its last.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future or the stream cancels the request.
    async fn stream(&self, request: ChatRequest) -> Result<ChatStream, ModelError>;
}

/// Where a model's server is. Shown as `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerAddress {
    /// Host name or address; an IPv6 address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl ServerAddress {
    /// Makes an address from a host name or address and a TCP port.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[async_trait]
impl<T: ChatModel + ?Sized> ChatModel for Arc<T> {
    fn provider(&self) -> &str {
        (**self).provider()
    }

    fn model(&self) -> &str {
        (**self).model()
    }

    fn server(&self) -> Option<ServerAddress> {
        (**self).server()
    }

    fn is_streaming(&self) -> bool {
        (**self).is_streaming()
    }

    fn broken_tool_name_rule(&self, name: &str) -> Option<&'static str> {
        (**self).broken_tool_name_rule(name)
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream, ModelError> {
        (**self).stream(request).await
    }
}
