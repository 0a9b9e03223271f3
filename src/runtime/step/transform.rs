//! A step that calls a function of the user's.

use std::{convert::Infallible, fmt, future::Future, sync::Arc};

use async_trait::async_trait;
use futures_util::{FutureExt, future::BoxFuture};
use serde_json::Value as JsonValue;

use super::Step;
use crate::{component::Run, event::StepType, runtime::BoxError};

/// A step that calls a function of the user's.
///
/// | the function | cannot fail | can fail, with any error |
/// | --- | --- | --- |
/// | is async | [`then`](Self::then) | [`new`](Self::new) |
/// | is not | [`map`](Self::map) | [`try_map`](Self::try_map) |
///
/// ```
/// use agent_runtime::prelude::*;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let parse = TransformStep::try_map("parse", |text| text.as_str().unwrap_or_default().parse::<u64>().map(|n| json!(n)));
/// let double = TransformStep::map("double", |n| json!(n.as_u64().unwrap_or(0) * 2));
/// let workflow = Workflow::new("arithmetic").add_step(parse).add_step(double).build();
/// assert_eq!(Runtime::new().execute(&workflow, "21").await?.output, 42);
/// let error = Runtime::new().execute(&workflow, "many").await.expect_err("that is no number");
/// assert_eq!((error.code(), error.to_string()), ("transform", "step \"parse\" failed".to_owned()));
/// # Ok::<(), RunError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TransformStep {
    name: String,
    function: Arc<Function>,
}

type Function = dyn Fn(JsonValue) -> BoxFuture<'static, Result<JsonValue, BoxError>> + Send + Sync;

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

    /// Calls an async function that cannot fail.
    pub fn then<F, Fut>(name: impl Into<String>, function: F) -> Self
    where
        F: Fn(JsonValue) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = JsonValue> + Send + 'static,
    {
        let function = move |input| function(input).map(Ok).boxed();
        Self { name: name.into(), function: Arc::new(function) }
    }

    /// Calls a function that is not async and cannot fail. It runs on the task's thread, so it should be short.
    pub fn map(name: impl Into<String>, function: impl Fn(JsonValue) -> JsonValue + Send + Sync + 'static) -> Self {
        Self::try_map(name, move |input| Ok::<_, Infallible>(function(input)))
    }

    /// Calls a function that is not async. It runs on the task's thread, so it should be short.
    pub fn try_map<F, E>(name: impl Into<String>, function: F) -> Self
    where
        F: Fn(JsonValue) -> Result<JsonValue, E> + Send + Sync + 'static,
        E: Into<BoxError>,
    {
        let function = Arc::new(function);
        // Called when the step is polled, so that a panic is the step's.
        let function = move |input| {
            let function = Arc::clone(&function);
            async move { function(input).map_err(Into::into) }.boxed()
        };
        Self { name: name.into(), function: Arc::new(function) }
    }
}

#[async_trait]
impl Step for TransformStep {
    fn name(&self) -> &str {
        &self.name
    }

    fn step_type(&self) -> StepType {
        StepType::Transform
    }

    async fn run(&self, input: JsonValue, _run: &Run) -> Result<JsonValue, BoxError> {
        (self.function)(input).await
    }
}

impl fmt::Debug for TransformStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransformStep").field("name", &self.name).finish_non_exhaustive()
    }
}
