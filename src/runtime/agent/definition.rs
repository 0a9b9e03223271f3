//! An agent: a model with instructions and tools.

use std::sync::Arc;

use crate::{
    event::{self, EventError, EventScope},
    llm::{ChatModel, GenerationOptions},
    runtime::Tool,
};

/// A model with instructions and tools, which works on an input until it has an answer. Cheap to clone.
///
/// ```
/// use agent_runtime::prelude::*;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let add = FnTool::new("add", "Adds two numbers.", json!({"type": "object"}), async |args: JsonValue, _progress| {
///     Ok(json!(args["a"].as_i64().unwrap_or(0) + args["b"].as_i64().unwrap_or(0)))
/// });
/// let model = ScriptedModel::new("script")
///     .with_reply(ScriptedReply::tool_calls([("add", json!({"a": 2, "b": 3}))]))
///     .with_reply(ScriptedReply::text("It is 5."));
/// let agent = Agent::builder("calculator", model).with_tool(add).build();
/// let workflow = Workflow::new("sum").add_step(AgentStep::new(agent)).build();
/// assert_eq!(Runtime::new().execute(&workflow, "2 + 3?").await?.output, "It is 5.");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Agent(Arc<Definition>);

/// How an [`Agent`] is put together.
#[derive(Debug)]
#[must_use]
pub struct AgentBuilder(Definition);

#[derive(Debug)]
pub(in crate::runtime) struct Definition {
    pub(in crate::runtime) name: String,
    pub(super) description: Option<String>,
    pub(super) system_prompt: Option<String>,
    pub(super) model: Arc<dyn ChatModel>,
    pub(in crate::runtime) tools: Vec<Arc<dyn Tool>>,
    pub(super) options: GenerationOptions,
    pub(super) max_iterations: u32,
}

impl Agent {
    /// How many rounds with its model an agent may take by default.
    pub const DEFAULT_MAX_ITERATIONS: u32 = 10;

    /// Begins an agent with a name and the model that it asks: a model, or an `Arc` of one that others share.
    pub fn builder(name: impl Into<String>, model: impl ChatModel + 'static) -> AgentBuilder {
        AgentBuilder(Definition {
            name: name.into(),
            description: None,
            system_prompt: None,
            model: Arc::new(model),
            tools: Vec::new(),
            options: GenerationOptions::default(),
            max_iterations: Self::DEFAULT_MAX_ITERATIONS,
        })
    }

    /// The agent's name, which is the id of its events.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub(super) fn definition(&self) -> &Definition {
        &self.0
    }

    pub(in crate::runtime) fn validate(&self) -> Result<(), EventError> {
        event::check(EventScope::Agent, &self.0.name)?;
        event::check_numbered(EventScope::LlmRequest, &format!("{}:llm", self.0.name))?;
        self.0.tools.iter().try_for_each(|tool| {
            event::check(EventScope::Tool, tool.name())?;
            event::check_numbered(EventScope::Tool, tool.name())
        })
    }
}

impl AgentBuilder {
    /// Says what the agent is for, for people who read its trace. By default, nothing.
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.0.description = Some(description.into());
        self
    }

    /// Sets the instructions that every chat begins with. By default, none.
    pub fn with_system_prompt(mut self, prompt: impl Into<String>) -> Self {
        self.0.system_prompt = Some(prompt.into());
        self
    }

    /// Adds a tool that the model may call, or an `Arc` of one that others share. By default, none.
    pub fn with_tool(mut self, tool: impl Tool + 'static) -> Self {
        self.0.tools.push(Arc::new(tool));
        self
    }

    /// Adds tools that the model may call.
    pub fn with_tools(mut self, tools: impl IntoIterator<Item = impl Tool + 'static>) -> Self {
        self.0.tools.extend(tools.into_iter().map(|tool| Arc::new(tool) as Arc<dyn Tool>));
        self
    }

    /// Sets how the model is to generate. By default, as the provider does.
    pub fn with_generation_options(mut self, options: GenerationOptions) -> Self {
        self.0.options = options;
        self
    }

    /// Sets how many rounds the agent may take; 0 fails every run. By default, [`Agent::DEFAULT_MAX_ITERATIONS`].
    pub fn with_max_iterations(mut self, limit: u32) -> Self {
        self.0.max_iterations = limit;
        self
    }

    /// Makes the agent.
    #[must_use]
    pub fn build(self) -> Agent {
        Agent(Arc::new(self.0))
    }
}
