//! The kinds of steps.

use std::{fmt, future::Future, sync::Arc};

use futures_util::{FutureExt, future::BoxFuture};
use serde_json::Value as JsonValue;

use super::{Agent, BoxError, RunError, Workflow, agent_loop, component::Component, run::Run};
use crate::event::{EventError, EventScope, FailureDetails, StepCompleted, StepStarted, StepType};

/// One step of a workflow.
#[derive(Clone, Debug)]
pub enum Step {
    /// Runs an agent.
    Agent(AgentStep),
    /// Calls a function.
    Transform(TransformStep),
    /// Runs a workflow.
    SubWorkflow(SubWorkflowStep),
}

/// A step that gives its input to an agent and takes the agent's answer.
#[derive(Clone, Debug)]
pub struct AgentStep {
    name: String,
    agent: Agent,
}

/// A step that calls a function of the user's.
#[derive(Clone)]
pub struct TransformStep {
    name: String,
    function: Arc<TransformFn>,
}

/// A step that runs a workflow inside this one, with a workflow id of its own.
#[derive(Clone, Debug)]
pub struct SubWorkflowStep {
    name: String,
    workflow: Workflow,
}

type TransformFn = dyn Fn(JsonValue) -> BoxFuture<'static, Result<JsonValue, BoxError>> + Send + Sync;

impl Step {
    /// The step's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Agent(step) => &step.name,
            Self::Transform(step) => &step.name,
            Self::SubWorkflow(step) => &step.name,
        }
    }

    /// What the step does.
    #[must_use]
    pub const fn step_type(&self) -> StepType {
        match self {
            Self::Agent(_) => StepType::Agent,
            Self::Transform(_) => StepType::Transform,
            Self::SubWorkflow(_) => StepType::Subworkflow,
        }
    }

    pub(super) fn validate(&self) -> Result<(), EventError> {
        match self {
            Self::Agent(step) => step.agent.validate(),
            Self::Transform(_) => Ok(()),
            Self::SubWorkflow(step) => step.workflow.validate(),
        }
    }

    /// Runs the step as one component.
    pub(super) async fn run(&self, id: &str, input: JsonValue, run: &Arc<Run>) -> Result<JsonValue, RunError> {
        let step_name = self.name().to_owned();
        let started = StepStarted { step_name: step_name.clone(), step_type: self.step_type(), input: input.clone() };
        let component = Component::start(run, EventScope::WorkflowStep, id, started)?;
        match component.run(self.work(input, run)).await {
            Ok(output) => {
                let duration_ms = component.elapsed_ms();
                component.complete(StepCompleted { step_name, output: output.clone(), duration_ms });
                Ok(output)
            }
            Err(error) => {
                let details = FailureDetails { step_name: Some(step_name), ..FailureDetails::default() };
                component.fail(&error, error.code(), details);
                Err(error)
            }
        }
    }

    /// The step's work. Boxed, since a workflow may hold a workflow.
    fn work<'a>(&'a self, input: JsonValue, run: &'a Arc<Run>) -> BoxFuture<'a, Result<JsonValue, RunError>> {
        match self {
            Self::Agent(step) => agent_loop::run(&step.agent, input, run).boxed(),
            Self::Transform(step) => async move {
                let result = (step.function)(input).await;
                result.map_err(|source| RunError::Transform { step: step.name.clone(), source })
            }
            .boxed(),
            Self::SubWorkflow(step) => async move {
                let result = step.workflow.run(input, &run.nested()).await;
                result.map(|run| run.output).map_err(|source| RunError::SubWorkflow {
                    workflow: step.workflow.name().to_owned(),
                    source: Box::new(source),
                })
            }
            .boxed(),
        }
    }
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

impl TransformStep {
    /// Calls an async function with the step's input; its output is the step's.
    pub fn new<F, Fut, E>(name: impl Into<String>, function: F) -> Self
    where
        F: Fn(JsonValue) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<JsonValue, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let function = move |input| function(input).map(|result| result.map_err(Into::into)).boxed();
        Self { name: name.into(), function: Arc::new(function) }
    }
}

impl SubWorkflowStep {
    /// Runs a workflow; the step is named after it.
    #[must_use]
    pub fn new(workflow: Workflow) -> Self {
        Self { name: workflow.name().to_owned(), workflow }
    }

    /// Names the step. By default, the workflow's name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }
}

impl From<AgentStep> for Step {
    fn from(step: AgentStep) -> Self {
        Self::Agent(step)
    }
}

impl From<TransformStep> for Step {
    fn from(step: TransformStep) -> Self {
        Self::Transform(step)
    }
}

impl From<SubWorkflowStep> for Step {
    fn from(step: SubWorkflowStep) -> Self {
        Self::SubWorkflow(step)
    }
}

impl fmt::Debug for TransformStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransformStep").field("name", &self.name).finish_non_exhaustive()
    }
}
