//! A step that calls a function of the user's.

use std::{fmt, future::Future, sync::Arc};

use async_trait::async_trait;
use futures_util::{FutureExt, future::BoxFuture};
use serde_json::Value as JsonValue;

use super::Step;
use crate::{component::Run, event::StepType, runtime::BoxError};

/// A step that calls a function of the user's.
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
