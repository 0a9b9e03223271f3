//! What a step is.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use serde_json::Value as JsonValue;

use crate::{
    component::Run,
    event::{EventError, StepType},
    runtime::BoxError,
};

/// One step of a workflow: takes what the step before it returned and returns what the next one takes.
///
/// The workflow runs each step as one component, which it starts and ends; the step does the work and nothing else.
///
/// ```
/// use agent_runtime::{component::Run, event::StepType, prelude::*, runtime::{BoxError, Step}};
///
/// #[derive(Debug)]
/// struct Double;
///
/// #[async_trait]
/// impl Step for Double {
///     fn name(&self) -> &str { "double" }
///     fn step_type(&self) -> StepType { StepType::Custom }
///     async fn run(&self, input: JsonValue, _run: &Run) -> Result<JsonValue, BoxError> {
///         Ok(json!(input.as_u64().ok_or("not a whole number")? * 2))
///     }
/// }
/// let workflow = Workflow::new("arithmetic").add_step(Double).build();
/// ```
#[async_trait]
pub trait Step: Send + Sync + fmt::Debug {
    /// The step's name.
    fn name(&self) -> &str;

    /// What the step does.
    fn step_type(&self) -> StepType;

    /// Checks that the name of everything in the step can be an id; called before a workflow runs. By default, all is well.
    ///
    /// # Errors
    ///
    /// If a name cannot be an id.
    fn validate(&self) -> Result<(), EventError> {
        Ok(())
    }

    /// Does the work. `run` is the run that the step belongs to, which a task that is left behind should not keep.
    ///
    /// # Errors
    ///
    /// If there is no output; the workflow fails with it. A [`RunError`](crate::runtime::RunError) is passed on as it is, any
    /// other error as [`RunError::Step`](crate::runtime::RunError::Step).
    ///
    /// # Panics
    ///
    /// A panic is the run's: the step and all that is around it say Failed, and it goes on to the caller.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped where it stands if the run is canceled.
    async fn run(&self, input: JsonValue, run: &Run) -> Result<JsonValue, BoxError>;
}

#[async_trait]
impl<T: Step + ?Sized> Step for Arc<T> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn step_type(&self) -> StepType {
        (**self).step_type()
    }

    fn validate(&self) -> Result<(), EventError> {
        (**self).validate()
    }

    async fn run(&self, input: JsonValue, run: &Run) -> Result<JsonValue, BoxError> {
        (**self).run(input, run).await
    }
}
