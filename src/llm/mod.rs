//! Language models: the trait that agents use and its providers.
//!
//! In flows a [`ChatRequest`], out flows a [`ChatStream`] of [`ChatDelta`]s, which a [`ChatResponse`] gathers into a
//! whole. No file here emits events: the agent does, as it reads the stream.

mod error;
mod finish;
mod message;
mod model;
#[cfg(feature = "openai")]
mod openai;
mod response;
mod scripted;

pub use error::{ModelError, StatusError};
pub(crate) use finish::Finish;
pub use message::{ChatMessage, ChatRequest, GenerationOptions, Role, ToolDefinition};
pub use model::{ChatModel, ChatStream, ServerAddress};
#[cfg(feature = "openai")]
pub use openai::{OpenAiClient, OpenAiClientBuilder};
pub use response::{ChatDelta, ChatResponse, ToolCallDelta};
pub use scripted::{ScriptedModel, ScriptedReply};
