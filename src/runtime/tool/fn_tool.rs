//! A tool made of a function.

use std::{fmt, future::Future, sync::Arc};

use async_trait::async_trait;
use futures_util::{FutureExt, future::BoxFuture};
use serde_json::Value as JsonValue;

use super::{ProgressCallback, Tool};
use crate::runtime::BoxError;

/// A tool made of an async function.
#[derive(Clone)]
pub struct FnTool {
    name: String,
    description: String,
    parameters: JsonValue,
    function: Arc<ToolFn>,
}

type ToolFn = dyn Fn(JsonValue, ProgressCallback) -> BoxFuture<'static, Result<JsonValue, BoxError>> + Send + Sync;

impl FnTool {
    /// Makes a tool of a function of the arguments and the progress callback.
    ///
    /// `parameters` is the JSON Schema of the arguments.
    pub fn new<F, Fut>(
        name: impl Into<String>,
        description: impl Into<String>,
        parameters: JsonValue,
        function: F,
    ) -> Self
    where
        F: Fn(JsonValue, ProgressCallback) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<JsonValue, BoxError>> + Send + 'static,
    {
        let function = move |args, progress| function(args, progress).boxed();
        Self { name: name.into(), description: description.into(), parameters, function: Arc::new(function) }
    }
}

#[async_trait]
impl Tool for FnTool {
    fn name(&self) -> &str {
        &self.name
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn parameters(&self) -> JsonValue {
        self.parameters.clone()
    }

    async fn execute_with_progress(&self, args: JsonValue, progress: ProgressCallback) -> Result<JsonValue, BoxError> {
        (self.function)(args, progress).await
    }
}

impl fmt::Debug for FnTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnTool").field("name", &self.name).finish_non_exhaustive()
    }
}
