//! What a tool is.

use std::{fmt, future::Future, sync::Arc};

use async_trait::async_trait;
use futures_util::{FutureExt, future::BoxFuture};
use serde_json::Value as JsonValue;

use super::ToolError;

/// The longest progress message in bytes; a longer one is cut, with a marker.
pub const MAX_PROGRESS_MESSAGE_BYTES: usize = 8 * 1024;

/// How many bytes of progress messages one call may emit; what comes after that is dropped, which one last message says.
pub const MAX_PROGRESS_BYTES_PER_CALL: usize = 1024 * 1024;

/// Reports progress: a sentence for people and, if the tool can tell, how far it is in its own measure.
///
/// It may be called from any thread and any number of times; once the tool has ended it does nothing.
pub type ProgressCallback = Arc<dyn Fn(String, Option<u64>) + Send + Sync>;

/// Something that a model can have done.
///
/// ```
/// use agent_runtime::prelude::*;
///
/// #[derive(Debug)]
/// struct Countdown;
///
/// #[async_trait]
/// impl Tool for Countdown {
///     fn name(&self) -> &str { "countdown" }
///     fn description(&self) -> &str { "Counts down from a number." }
///     fn parameters(&self) -> JsonValue {
///         json!({"type": "object", "properties": {"from": {"type": "integer"}}, "required": ["from"]})
///     }
///     async fn execute_with_progress(
///         &self,
///         args: JsonValue,
///         progress: ProgressCallback,
///     ) -> Result<JsonValue, ToolError> {
///         let from = args["from"].as_u64().ok_or("`from` must be a whole number")?;
///         for n in (0..from).rev() {
///             progress(format!("{n} to go"), Some(from - n));
///         }
///         Ok(json!({"done": true}))
///     }
/// }
/// ```
#[async_trait]
pub trait Tool: Send + Sync + fmt::Debug {
    /// The name by which the model calls it.
    fn name(&self) -> &str;

    /// What it does, for the model to read.
    fn description(&self) -> &str;

    /// The JSON Schema of its arguments.
    fn parameters(&self) -> JsonValue;

    /// Does the work. A panic in it is contained and counts as a failure.
    ///
    /// # Errors
    ///
    /// If there is no result; the model is told, and the run goes on.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped where it stands if the run is canceled.
    async fn execute_with_progress(&self, args: JsonValue, progress: ProgressCallback) -> Result<JsonValue, ToolError>;
}

/// A tool made of an async function.
#[derive(Clone)]
pub struct FnTool {
    name: String,
    description: String,
    parameters: JsonValue,
    function: Arc<ToolFn>,
}

type ToolFn = dyn Fn(JsonValue, ProgressCallback) -> BoxFuture<'static, Result<JsonValue, ToolError>> + Send + Sync;

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
        Fut: Future<Output = Result<JsonValue, ToolError>> + Send + 'static,
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

    async fn execute_with_progress(&self, args: JsonValue, progress: ProgressCallback) -> Result<JsonValue, ToolError> {
        (self.function)(args, progress).await
    }
}

impl fmt::Debug for FnTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnTool").field("name", &self.name).finish_non_exhaustive()
    }
}
