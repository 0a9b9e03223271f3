//! A tool made of a function.

use std::{fmt, future::Future, sync::Arc};

use async_trait::async_trait;
use futures_util::{FutureExt, future::BoxFuture};
use serde_json::Value as JsonValue;

use super::{ProgressCallback, Tool};
use crate::runtime::BoxError;

/// A tool made of an async function.
///
/// ```
/// use agent_runtime::prelude::*;
///
/// let divide = FnTool::new(
///     "divide",
///     "Divides `a` by `b`.",
///     json!({"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}}),
///     async |args: JsonValue, progress| {
///         let (a, b) = args["a"].as_f64().zip(args["b"].as_f64()).ok_or("`a` and `b` must be numbers")?;
///         progress(format!("dividing {a}"), None);
///         if b == 0.0 {
///             return Err(ToolError::with_code("division by zero", "DIV_BY_ZERO").into());
///         }
///         Ok(json!(a / b))
///     },
/// );
/// let agent = Agent::builder("calculator", ScriptedModel::new("script")).with_tool(divide).build();
/// ```
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
    /// `parameters` is the JSON Schema of the arguments. An error of any type is the model's to read, a panic counts as one,
    /// and the future is dropped where it stands if the run is canceled, as for every [`Tool`].
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
