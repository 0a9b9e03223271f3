//! A step that chooses between steps.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use serde_json::Value as JsonValue;

use super::Step;
use crate::{
    component::Run,
    event::{EventError, StepType},
    runtime::BoxError,
};

/// A step that looks at its input and does the work of one of two steps, of any kind.
///
/// It is one component: the chosen step works in it, under its name. Without a step for a case the input passes unchanged.
///
/// ```
/// use agent_runtime::prelude::*;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let shorten = TransformStep::map("shorten", |text| json!(text.as_str().unwrap_or("").chars().take(5).collect::<String>()));
/// let fit = ConditionalStep::new("fit", |text| text.as_str().is_some_and(|text| text.len() > 5)).then(shorten);
/// let workflow = Workflow::new("label").add_step(fit).build();
/// let runtime = Runtime::new();
/// assert_eq!(runtime.execute(&workflow, "a long label").await?.output, "a lon");
/// assert_eq!(runtime.execute(&workflow, "short").await?.output, "short");
/// # Ok::<(), RunError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ConditionalStep {
    name: String,
    condition: Arc<Condition>,
    then: Option<Arc<dyn Step>>,
    otherwise: Option<Arc<dyn Step>>,
}

type Condition = dyn Fn(&JsonValue) -> bool + Send + Sync;

impl ConditionalStep {
    /// Makes a step that asks a condition of its input.
    pub fn new(name: impl Into<String>, condition: impl Fn(&JsonValue) -> bool + Send + Sync + 'static) -> Self {
        Self { name: name.into(), condition: Arc::new(condition), then: None, otherwise: None }
    }

    /// Sets what is done where the condition holds. By default, nothing.
    #[must_use]
    pub fn then(mut self, step: impl Step + 'static) -> Self {
        self.then = Some(Arc::new(step));
        self
    }

    /// Sets what is done where the condition does not hold. By default, nothing.
    #[must_use]
    pub fn otherwise(mut self, step: impl Step + 'static) -> Self {
        self.otherwise = Some(Arc::new(step));
        self
    }
}

#[async_trait]
impl Step for ConditionalStep {
    fn name(&self) -> &str {
        &self.name
    }

    fn step_type(&self) -> StepType {
        StepType::Conditional
    }

    fn validate(&self) -> Result<(), EventError> {
        [&self.then, &self.otherwise].into_iter().flatten().try_for_each(Step::validate)
    }

    async fn run(&self, input: JsonValue, run: &Run) -> Result<JsonValue, BoxError> {
        let chosen = if (self.condition)(&input) { &self.then } else { &self.otherwise };
        match chosen {
            Some(step) => step.run(input, run).await,
            None => Ok(input),
        }
    }
}

impl fmt::Debug for ConditionalStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConditionalStep")
            .field("name", &self.name)
            .field("then", &self.then)
            .field("otherwise", &self.otherwise)
            .finish_non_exhaustive()
    }
}
