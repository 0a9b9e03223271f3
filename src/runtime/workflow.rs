//! A workflow: named steps, each takes what the one before it returned.

use std::sync::Arc;

use serde_json::Value as JsonValue;
use tokio::sync::mpsc;

use super::{RunError, RunOutput, Step, channel, step};
use crate::{
    component::{Component, Run, RunOptions, begin_run},
    event::{self, Event, EventError, EventScope, FailureDetails, WorkflowCompleted, WorkflowStarted},
    stream::EventStream,
};

/// Named steps that run one after the other. Cheap to clone.
///
/// ```
/// use agent_runtime::prelude::*;
///
/// let ask = |name: &str| AgentStep::new(Agent::builder(name, ScriptedModel::new("script")).build());
/// let review = Workflow::new("review").add_step(ask("critic")).build();
/// let article = Workflow::new("article").add_step(ask("writer")).add_step(SubWorkflowStep::new(review)).build();
/// let steps: Vec<_> = article.steps().iter().map(|step| step.name()).collect();
/// assert_eq!((article.name(), steps), ("article", vec!["writer", "review"]));
/// ```
#[derive(Clone, Debug)]
pub struct Workflow {
    name: Arc<str>,
    steps: Arc<[Arc<dyn Step>]>,
}

/// How a [`Workflow`] is put together.
#[derive(Debug)]
#[must_use]
pub struct WorkflowBuilder {
    name: String,
    steps: Vec<Arc<dyn Step>>,
}

impl Workflow {
    /// Begins a workflow. The name is the id of its events and the name of its span, so it should be one of few.
    #[expect(clippy::new_ret_no_self, reason = "the guide fixes `Workflow::new(name).add_step(..).build()`")]
    pub fn new(name: impl Into<String>) -> WorkflowBuilder {
        WorkflowBuilder { name: name.into(), steps: Vec::new() }
    }

    /// The workflow's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The steps, in order.
    #[must_use]
    pub fn steps(&self) -> &[Arc<dyn Step>] {
        &self.steps
    }

    /// Runs the workflow and sends its events to a channel.
    ///
    /// A task of its own moves the events from the run's log to the channel, so a slow receiver never holds up the run. When
    /// this call returns, all events that fit are in the channel; the task moves the others, until all are sent or the
    /// receiver is gone. Then its end of the channel is closed, whoever still holds something of the run, such as a tool's
    /// progress callback. If the receiver falls behind the whole log, a `system:event_stream` event says which offsets are
    /// missing.
    ///
    /// # Errors
    ///
    /// - [`RunError::InvalidName`] if a component's name cannot be an id; nothing was run then.
    /// - [`RunError::NoTokioRuntime`] without a Tokio runtime.
    /// - Any other [`RunError`] if a step failed; its events have been sent.
    ///
    /// # Panics
    ///
    /// If a step or a model does. Each component around it has then said Failed, with the code `panic`; the panic of a tool
    /// is contained.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the run: every component that is open says Canceled, innermost first.
    pub async fn execute(
        &self,
        input: impl Into<JsonValue>,
        events: &mpsc::Sender<Event>,
    ) -> Result<RunOutput, RunError> {
        self.execute_with(input, events, RunOptions::default()).await
    }

    /// Runs the workflow as [`execute`](Self::execute) does, with options.
    ///
    /// # Errors
    ///
    /// Those of [`execute`](Self::execute).
    ///
    /// # Panics
    ///
    /// As [`execute`](Self::execute) does.
    ///
    /// # Cancel safety
    ///
    /// That of [`execute`](Self::execute).
    pub async fn execute_with(
        &self,
        input: impl Into<JsonValue>,
        events: &mpsc::Sender<Event>,
        options: RunOptions,
    ) -> Result<RunOutput, RunError> {
        let (stream, channel) = channel::stream_into(events.clone())?;
        let result = self.run_on(stream, input.into(), options).await;
        channel.finish().await;
        result
    }

    /// Runs the workflow on a stream, as a run of its own.
    pub(super) async fn run_on(
        &self,
        stream: EventStream,
        input: JsonValue,
        options: RunOptions,
    ) -> Result<RunOutput, RunError> {
        self.validate()?;
        self.run(input, &begin_run(stream, &self.name, options)).await
    }

    /// Checks that every component's name can be an id.
    pub(super) fn validate(&self) -> Result<(), EventError> {
        event::check(EventScope::Workflow, &self.name)?;
        self.steps.iter().enumerate().try_for_each(|(index, step)| {
            event::check(EventScope::WorkflowStep, &self.step_id(index))?;
            step.validate()
        })
    }

    /// Runs the steps as one component.
    pub(super) async fn run(&self, input: JsonValue, run: &Run) -> Result<RunOutput, RunError> {
        let component = Component::start(
            run,
            EventScope::Workflow,
            &*self.name,
            WorkflowStarted { input: input.clone(), links: run.links().to_vec(), attempt: run.attempt() },
        )?;
        match component.run(self.run_steps(input, run)).await {
            Ok(output) => {
                let trace = component.trace();
                let duration_ms = component.elapsed_ms();
                component.complete(WorkflowCompleted { output: output.clone(), duration_ms });
                Ok(RunOutput { trace, ..RunOutput::new(run.workflow_id(), output) })
            }
            Err(error) => {
                let details =
                    FailureDetails { error_summary: Some(error.summary().into_text()), ..FailureDetails::default() };
                component.fail_with(&error, error.code(), details);
                Err(error)
            }
        }
    }

    async fn run_steps(&self, input: JsonValue, run: &Run) -> Result<JsonValue, RunError> {
        let mut value = input;
        for (index, step) in self.steps.iter().enumerate() {
            value = step::execute(&**step, self.step_id(index), value, run).await?;
        }
        Ok(value)
    }

    fn step_id(&self, index: usize) -> String {
        format!("{}:step:{index}", self.name)
    }
}

impl WorkflowBuilder {
    /// Adds a step at the end.
    pub fn add_step(mut self, step: impl Step + 'static) -> Self {
        self.steps.push(Arc::new(step));
        self
    }

    /// Ends the workflow. Without a step it returns its input.
    #[must_use]
    pub fn build(self) -> Workflow {
        Workflow { name: self.name.into(), steps: self.steps.into() }
    }
}
