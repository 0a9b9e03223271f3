//! A model that answers from a script.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;

use super::reply::ScriptedReply;
use crate::llm::{ChatModel, ChatRequest, ChatStream, ModelError, Role};

type ReplyFn = Arc<dyn Fn(&ChatRequest) -> ScriptedReply + Send + Sync>;

/// A model that answers from a script, streaming like a real one.
///
/// Either the replies are a sequence, or each is a function of its request, which stays deterministic however many
/// agents share the model. A clone shares the script, and so does whoever holds the model in an `Arc`.
///
/// An answer consists of its id, its model, its text, its tool calls, its finish reason and its usage, in this order.
/// Unless the script says otherwise, the finish reason is `tool_calls` or `stop`, and the usage counts words, separated
/// by white space: the contents and the tool calls of the request's messages, and the text and the tool calls of the
/// reply, where a tool call counts its name as a word.
///
/// # Examples
///
/// ```
/// use agent_runtime::llm::{ChatMessage, ChatModel, ChatRequest, ChatResponse, ScriptedModel, ScriptedReply};
/// use futures_util::TryStreamExt;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let model = ScriptedModel::new("parrot").with_reply(ScriptedReply::text("Hello you"));
/// let request = ChatRequest::new([ChatMessage::user("Hi")]);
///
/// let response: ChatResponse = model.stream(request).await?.try_collect().await?;
/// assert_eq!(response.text, "Hello you");
/// assert_eq!(response.usage.map(|usage| usage.total_tokens), Some(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ScriptedModel {
    name: String,
    script: Script,
    /// How many requests there were.
    requests: Arc<AtomicUsize>,
}

#[derive(Clone)]
enum Script {
    Sequence(Vec<ScriptedReply>),
    Function(ReplyFn),
}

impl ScriptedModel {
    /// Makes a model with an empty script.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), script: Script::Sequence(Vec::new()), requests: Arc::default() }
    }

    /// Makes a model whose replies are a function of the request.
    ///
    /// Its name is `scripted`. The ids of its tool calls number the request by the assistant's messages in it, so that
    /// they too depend on nothing but the request.
    #[must_use]
    pub fn answering(reply: impl Fn(&ChatRequest) -> ScriptedReply + Send + Sync + 'static) -> Self {
        Self { name: "scripted".to_owned(), script: Script::Function(Arc::new(reply)), requests: Arc::default() }
    }

    /// Sets the model's name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Adds the next reply. A model made by [`answering`](Self::answering) becomes one with a sequence, this reply its
    /// first.
    #[must_use]
    pub fn with_reply(mut self, reply: ScriptedReply) -> Self {
        match &mut self.script {
            Script::Sequence(replies) => replies.push(reply),
            Script::Function(_) => self.script = Script::Sequence(vec![reply]),
        }
        self
    }

    /// Returns how many requests there were so far, also those for which the script had no reply.
    #[must_use]
    pub fn request_count(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// The reply to a request and the number that its ids begin with.
    fn reply_to(&self, request: &ChatRequest) -> Result<(ScriptedReply, usize), ModelError> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        match &self.script {
            Script::Sequence(replies) => replies.get(number).cloned().map(|reply| (reply, number)).ok_or_else(|| {
                ModelError::Configuration(format!(
                    "the script of `{}` is used up: it has {} replies and this is request {}",
                    self.name,
                    replies.len(),
                    number + 1
                ))
            }),
            Script::Function(reply) => {
                let turn = request.messages.iter().filter(|message| message.role == Role::Assistant).count();
                Ok((reply(request), turn))
            }
        }
    }
}

#[async_trait]
impl ChatModel for ScriptedModel {
    fn provider(&self) -> &str {
        "scripted"
    }

    fn model(&self) -> &str {
        &self.name
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream, ModelError> {
        let (reply, number) = self.reply_to(&request)?;
        reply.play(&request, &self.name, number).await
    }
}

impl fmt::Debug for ScriptedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ScriptedModel");
        debug.field("name", &self.name);
        match &self.script {
            Script::Sequence(replies) => debug.field("replies", replies),
            Script::Function(_) => debug.field("replies", &"a function of the request"),
        };
        debug.field("request_count", &self.request_count()).finish()
    }
}
