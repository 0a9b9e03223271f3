//! Runs workflows on an event stream.

use std::{future::Future, pin::Pin};

use serde_json::Value as JsonValue;

use super::{RunError, RunOutput, Workflow};
use crate::{
    component::{RunOptions, begin_run},
    stream::{EventStream, Subscription},
};

/// Runs workflows whose events all go to one stream. Cheap to clone.
///
/// ```
/// use agent_runtime::prelude::*;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let trim = TransformStep::new("trim", async |text: JsonValue| Ok::<_, RunError>(json!(text.as_str().unwrap_or("").trim())));
/// let runtime = Runtime::new();
/// let run = runtime.execute(&Workflow::new("tidy").add_step(trim).build(), "  hello ").await?;
/// assert_eq!(run.output, "hello");
///
/// let history = runtime.event_stream().get_events(0).await;
/// assert!(history.iter().all(|event| event.workflow_id.as_deref() == Some(run.workflow_id.as_str())));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Runtime {
    stream: EventStream,
}

/// A run that was [started](Runtime::start); it does nothing until it is polled.
pub type RunFuture = Pin<Box<dyn Future<Output = Result<RunOutput, RunError>> + Send>>;

impl Runtime {
    /// Makes a runtime with an event stream of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a runtime whose events go to a given stream.
    #[must_use]
    pub const fn with_event_stream(stream: EventStream) -> Self {
        Self { stream }
    }

    /// The stream of all events of this runtime.
    #[must_use]
    pub const fn event_stream(&self) -> &EventStream {
        &self.stream
    }

    /// Runs a workflow. Called inside a component (a tool, a transform), the run is nested in the component's run.
    ///
    /// # Errors
    ///
    /// - [`RunError::InvalidName`] if a component's name cannot be an id; nothing was run then.
    /// - Any other [`RunError`] if a step failed.
    ///
    /// # Panics
    ///
    /// If a step or a model does. Each component around it has then said Failed, with the code `panic`; the panic of a tool
    /// is contained.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the run: every component that is open says Canceled, innermost first.
    pub async fn execute(&self, workflow: &Workflow, input: impl Into<JsonValue>) -> Result<RunOutput, RunError> {
        self.execute_with(workflow, input, RunOptions::default()).await
    }

    /// Runs a workflow as [`execute`](Self::execute) does, with options.
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
        workflow: &Workflow,
        input: impl Into<JsonValue>,
        options: RunOptions,
    ) -> Result<RunOutput, RunError> {
        workflow.run_on(self.stream.clone(), input.into(), options).await
    }

    /// Starts a run and subscribes to it: the events of the run and of all runs nested in it, and the run itself as a future.
    ///
    /// The subscription ends with the run, however that ends; poll both, each in a task of its own or joined. A run whose
    /// future is dropped before it is polled has no events.
    ///
    /// ```
    /// use agent_runtime::prelude::*;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let double = TransformStep::new("double", async |n: JsonValue| Ok::<_, RunError>(json!(n.as_u64().unwrap_or(0) * 2)));
    /// let workflow = Workflow::new("arithmetic").add_step(double).build();
    /// let (mut events, run) = Runtime::new().start(&workflow, 21);
    /// let watch = async {
    ///     let mut seen = 0;
    ///     while events.recv().await.is_ok() {
    ///         seen += 1;
    ///     }
    ///     seen
    /// };
    /// let (output, seen) = tokio::join!(run, watch);
    /// assert_eq!((output?.output, seen), (json!(42), 4));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`execute`](Self::execute), as the future's output.
    ///
    /// # Panics
    ///
    /// The future, as [`execute`](Self::execute) does.
    ///
    /// # Cancel safety
    ///
    /// That of [`execute`](Self::execute).
    #[must_use = "nothing runs until the future is polled"]
    pub fn start(&self, workflow: &Workflow, input: impl Into<JsonValue>) -> (Subscription, RunFuture) {
        self.start_with(workflow, input, RunOptions::default())
    }

    /// Starts a run as [`start`](Self::start) does, with options.
    ///
    /// # Errors
    ///
    /// Those of [`execute`](Self::execute), as the future's output.
    ///
    /// # Panics
    ///
    /// The future, as [`execute`](Self::execute) does.
    ///
    /// # Cancel safety
    ///
    /// That of [`execute`](Self::execute).
    #[must_use = "nothing runs until the future is polled"]
    pub fn start_with(
        &self,
        workflow: &Workflow,
        input: impl Into<JsonValue>,
        options: RunOptions,
    ) -> (Subscription, RunFuture) {
        let run = begin_run(self.stream.clone(), workflow.name(), options);
        let (events, end) = self.stream.subscribe().filter_run(run.workflow_id()).until_dropped();
        let (workflow, input) = (workflow.clone(), input.into());
        let run = Box::pin(async move {
            // Dropped last, after the run's last event.
            let _end = end;
            workflow.validate()?;
            workflow.run(input, &run).await
        });
        (events, run)
    }
}
