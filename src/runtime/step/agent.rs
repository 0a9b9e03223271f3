//! A step that asks an agent.

use async_trait::async_trait;
use serde_json::Value as JsonValue;

use super::Step;
use crate::{
    component::Run,
    event::{EventError, StepType},
    runtime::{Agent, BoxError, agent},
};

/// A step that hands its input to an agent and returns the agent's answer.
#[derive(Clone, Debug)]
pub struct AgentStep {
    name: String,
    agent: Agent,
}

impl AgentStep {
    /// Runs an agent; the step is named after it.
    #[must_use]
    pub fn new(agent: Agent) -> Self {
        Self { name: agent.name().to_owned(), agent }
    }

    /// Names the step. By default, the agent's name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }
}

#[async_trait]
impl Step for AgentStep {
    fn name(&self) -> &str {
        &self.name
    }

    fn step_type(&self) -> StepType {
        StepType::Agent
    }

    fn validate(&self) -> Result<(), EventError> {
        self.agent.validate()
    }

    async fn run(&self, input: JsonValue, run: &Run) -> Result<JsonValue, BoxError> {
        Ok(agent::run(&self.agent, input, run).await?)
    }
}
