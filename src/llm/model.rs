//! What an agent asks of a model.

use std::fmt;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use super::{ChatDelta, ChatRequest, ModelError};

/// The pieces of an answer, in order; dropping it gives the request up.
pub type ChatStream = BoxStream<'static, Result<ChatDelta, ModelError>>;

/// A chat model that answers in pieces.
#[async_trait]
pub trait ChatModel: Send + Sync + fmt::Debug {
    /// Who answers, in the words of the OpenTelemetry attribute `gen_ai.provider.name`: `openai`, `anthropic`, ….
    fn provider(&self) -> &str;

    /// The model asked for.
    fn model(&self) -> &str;

    /// The server that answers, if there is one.
    fn server(&self) -> Option<ServerAddress> {
        None
    }

    /// Sends a request and gives the answer as it comes.
    ///
    /// # Errors
    ///
    /// If the request could not be sent or was refused; what goes wrong later is an item of the stream.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future or the stream gives the request up.
    async fn stream(&self, request: ChatRequest) -> Result<ChatStream, ModelError>;
}

/// Where a model's server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}
