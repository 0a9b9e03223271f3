//! What a tool is.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use serde_json::Value as JsonValue;

use super::ProgressCallback;
use crate::runtime::BoxError;

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
///     ) -> Result<JsonValue, BoxError> {
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
    /// Tools of one answer run at once. [`Run::current`](crate::component::Run::current) is the run that this call is in;
    /// workflows, components and spans that are started here nest below it, also in tasks of
    /// [`component::spawn`](crate::component::spawn).
    ///
    /// # Errors
    ///
    /// If there is no result; the model hears why, and the run goes on. Any error will do; a
    /// [`ToolError`](crate::runtime::ToolError) has a code of the tool's, for `error_code` in events and telemetry.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped where it stands if the run is canceled.
    async fn execute_with_progress(&self, args: JsonValue, progress: ProgressCallback) -> Result<JsonValue, BoxError>;
}

#[async_trait]
impl<T: Tool + ?Sized> Tool for Arc<T> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn description(&self) -> &str {
        (**self).description()
    }

    fn parameters(&self) -> JsonValue {
        (**self).parameters()
    }

    async fn execute_with_progress(&self, args: JsonValue, progress: ProgressCallback) -> Result<JsonValue, BoxError> {
        (**self).execute_with_progress(args, progress).await
    }
}
