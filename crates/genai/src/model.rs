//! A client of genai as a model.

use std::fmt;

use agent_runtime::llm::{ChatModel, ChatRequest, ChatStream, ModelError};
use async_trait::async_trait;
use genai::{Client, adapter::AdapterKind};

use crate::{answer, error, question};

/// What stands for a provider that genai does not know.
const UNKNOWN: &str = "unknown";

/// A model that a [`genai::Client`] reaches, whoever provides it.
///
/// Retries, time limits and the agent's loop are those of the runtime; keys, addresses and the choice of the provider by the
/// model's name are genai's. The trace's headers go with each request.
///
/// ```no_run
/// use agent_runtime::prelude::*;
/// use agent_runtime_genai::GenaiModel;
///
/// let model = GenaiModel::new(genai::Client::new()?, "claude-haiku-4-5");
/// let agent = Agent::builder("writer", model).build();
/// # Ok::<(), genai::Error>(())
/// ```
#[derive(Clone)]
pub struct GenaiModel {
    client: Client,
    model: String,
    provider: String,
}

impl GenaiModel {
    /// Asks the model that genai knows by a name.
    #[must_use]
    pub fn new(client: Client, model: impl Into<String>) -> Self {
        let model = model.into();
        let provider = AdapterKind::from_model(&model).map_or(UNKNOWN, provider_of).to_owned();
        Self { client, model, provider }
    }

    /// Names the provider in the words of `gen_ai.provider.name`. By default, the one that genai takes for the model's.
    #[must_use]
    pub fn with_provider(mut self, provider: impl Into<String>) -> Self {
        self.provider = provider.into();
        self
    }
}

#[async_trait]
impl ChatModel for GenaiModel {
    fn provider(&self) -> &str {
        &self.provider
    }

    fn model(&self) -> &str {
        &self.model
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream, ModelError> {
        let options = question::options(&request);
        let chat = question::chat(request);
        let answer = self.client.exec_chat_stream(self.model.as_str(), chat, Some(&options)).await;
        Ok(answer::deltas(answer.map_err(error::model_error)?.stream))
    }
}

impl fmt::Debug for GenaiModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GenaiModel")
            .field("model", &self.model)
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

/// The name of a provider in the conventions, where they have one.
fn provider_of(adapter: AdapterKind) -> &'static str {
    match adapter {
        AdapterKind::OpenAI | AdapterKind::OpenAIResp => "openai",
        AdapterKind::Gemini => "gcp.gemini",
        AdapterKind::Vertex => "gcp.vertex_ai",
        AdapterKind::Mistral => "mistral_ai",
        AdapterKind::Xai => "x_ai",
        other => other.as_lower_str(),
    }
}
