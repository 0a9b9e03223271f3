//! A step that runs a workflow inside this one.

use async_trait::async_trait;
use serde_json::Value as JsonValue;

use super::{BoxError, RunError, Step, Workflow};
use crate::{
    component::{Run, RunOptions},
    event::{EventError, StepType},
};

/// A step that runs a workflow inside this one, with a workflow id of its own.
#[derive(Clone, Debug)]
pub struct SubWorkflowStep {
    name: String,
    workflow: Workflow,
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

#[async_trait]
impl Step for SubWorkflowStep {
    fn name(&self) -> &str {
        &self.name
    }

    fn step_type(&self) -> StepType {
        StepType::Subworkflow
    }

    fn validate(&self) -> Result<(), EventError> {
        self.workflow.validate()
    }

    async fn run(&self, input: JsonValue, run: &Run) -> Result<JsonValue, BoxError> {
        let nested = self.workflow.run(input, &run.nested(self.workflow.name(), RunOptions::default())).await;
        let output = nested.map_err(|source| RunError::SubWorkflow {
            workflow: self.workflow.name().to_owned(),
            source: Box::new(source),
        })?;
        Ok(output.output)
    }
}
