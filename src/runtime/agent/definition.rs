//! An agent: a model with instructions and tools.

use std::{collections::HashSet, sync::Arc, time::Duration};

use super::limits::Limits;
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
///
/// # What counts as an answer
///
/// The text of a model that ended well, or that a limit of tokens cut; the agent's Completed event has the finish reason. A
/// refusal, any other finish reason, an answer without text and calls, and a call that a limit cut fail the request and the
/// run. Arguments that are no JSON object are not passed to a tool: the model hears so in the tool's answer.
///
/// # Bounds
///
/// | what grows | by default | setter |
/// | --- | --- | --- |
/// | rounds with the model | 10 | [`with_max_iterations`](AgentBuilder::with_max_iterations) |
/// | the same call with the same result, in a row | 5 | [`with_max_repetitions`](AgentBuilder::with_max_repetitions) |
/// | retries of a request that failed by itself | 2 | [`with_max_retries`](AgentBuilder::with_max_retries) |
/// | the wait before a retry | 30 s | [`with_max_retry_wait`](AgentBuilder::with_max_retry_wait) |
/// | calls in one answer | 128 | [`with_max_calls_at_once`](AgentBuilder::with_max_calls_at_once) |
/// | bytes of one answer | 1 MiB | [`with_max_answer_bytes`](AgentBuilder::with_max_answer_bytes) |
/// | bytes of one round's results in the chat | 64 KiB | [`with_max_result_bytes`](AgentBuilder::with_max_result_bytes) |
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
    pub(super) limits: Limits,
    pub(super) sends_baggage: bool,
}

impl Agent {
    /// How many rounds with its model an agent may take by default: 10.
    pub const DEFAULT_MAX_ITERATIONS: u32 = Limits::DEFAULT.iterations;

    /// How often in a row the same call may have the same result by default: 5 times.
    pub const DEFAULT_MAX_REPETITIONS: u32 = Limits::DEFAULT.repetitions;

    /// How often a request that failed is sent again by default: 2 times.
    pub const DEFAULT_MAX_RETRIES: u32 = Limits::DEFAULT.retries;

    /// The longest wait before a request is sent again, by default: 30 seconds.
    pub const DEFAULT_MAX_RETRY_WAIT: Duration = Limits::DEFAULT.retry_wait;

    /// How many calls one answer may have by default: 128.
    pub const DEFAULT_MAX_CALLS_AT_ONCE: usize = Limits::DEFAULT.calls_at_once;

    /// How large one answer may be by default, in bytes: 1 MiB.
    pub const DEFAULT_MAX_ANSWER_BYTES: usize = Limits::DEFAULT.answer_bytes;

    /// How much of the results of one round goes back to the model by default, in bytes: 64 KiB.
    pub const DEFAULT_MAX_RESULT_BYTES: usize = Limits::DEFAULT.result_bytes;

    /// Begins an agent with a name and the model that it asks: a model, or an `Arc` of one that others share.
    pub fn builder(name: impl Into<String>, model: impl ChatModel + 'static) -> AgentBuilder {
        AgentBuilder(Definition {
            name: name.into(),
            description: None,
            system_prompt: None,
            model: Arc::new(model),
            tools: Vec::new(),
            options: GenerationOptions::default(),
            limits: Limits::DEFAULT,
            sends_baggage: false,
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
        let mut names = HashSet::new();
        self.0.tools.iter().try_for_each(|tool| {
            let name = tool.name();
            event::check(EventScope::Tool, name)?;
            event::check_numbered(EventScope::Tool, name)?;
            let twice = (!names.insert(name)).then_some("a name that no other tool of the agent has");
            match self.0.model.broken_tool_name_rule(name).or(twice) {
                Some(rule) => Err(EventError::ComponentId { scope: EventScope::Tool, id: name.to_owned(), rule }),
                None => Ok(()),
            }
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
        self.0.limits.iterations = limit;
        self
    }

    /// Sets how often in a row the same call, a tool with the same arguments, may have the same result. A model that makes
    /// it once more fails the run with [`RunError::RepeatedCall`](crate::runtime::RunError::RepeatedCall); a result that
    /// differs starts the count again. By default, [`Agent::DEFAULT_MAX_REPETITIONS`], 5 times.
    pub fn with_max_repetitions(mut self, limit: u32) -> Self {
        self.0.limits.repetitions = limit;
        self
    }

    /// Sets how often a request is sent again whose failure may pass by itself: a connection that failed, a server that is
    /// overloaded or asks to come later. Each try is a request of its own in the events. None follows an answer that has
    /// begun, a wait longer than [`with_max_retry_wait`](Self::with_max_retry_wait), or a refusal that a later try does not
    /// mend. By default, [`Agent::DEFAULT_MAX_RETRIES`], 2 times.
    pub fn with_max_retries(mut self, limit: u32) -> Self {
        self.0.limits.retries = limit;
        self
    }

    /// Sets the longest wait before a request is sent again; a server that asks for a longer one fails the run. Where the
    /// server names none, the waits are half a second, one second, two and so on. By default,
    /// [`Agent::DEFAULT_MAX_RETRY_WAIT`], 30 seconds.
    pub fn with_max_retry_wait(mut self, limit: Duration) -> Self {
        self.0.limits.retry_wait = limit;
        self
    }

    /// Sets how many calls one answer may have; more fail the request. By default,
    /// [`Agent::DEFAULT_MAX_CALLS_AT_ONCE`], 128.
    pub fn with_max_calls_at_once(mut self, limit: usize) -> Self {
        self.0.limits.calls_at_once = limit;
        self
    }

    /// Sets how large one answer may be, in bytes of its text, reasoning and calls; more fail the request. By default,
    /// [`Agent::DEFAULT_MAX_ANSWER_BYTES`], 1 MiB.
    pub fn with_max_answer_bytes(mut self, limit: usize) -> Self {
        self.0.limits.answer_bytes = limit;
        self
    }

    /// Sets how many bytes of the results of one round go back to the model. The longest results are cut and say so;
    /// events have them whole. By default, [`Agent::DEFAULT_MAX_RESULT_BYTES`], 64 KiB.
    pub fn with_max_result_bytes(mut self, limit: usize) -> Self {
        self.0.limits.result_bytes = limit;
        self
    }

    /// Sets whether the model's server gets the caller's baggage along with `traceparent`. By default, it does not:
    /// baggage may name customers, and the server is often somebody else's.
    pub fn with_baggage(mut self, enabled: bool) -> Self {
        self.0.sends_baggage = enabled;
        self
    }

    /// Makes the agent.
    #[must_use]
    pub fn build(self) -> Agent {
        Agent(Arc::new(self.0))
    }
}
