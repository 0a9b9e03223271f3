//! The trace's context on its way into and out of the process, as W3C `traceparent`, `tracestate` and `baggage` headers.

use std::{collections::HashMap, sync::LazyLock};

use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapCompositePropagator, TextMapPropagator as _},
};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};

static W3C: LazyLock<TextMapCompositePropagator> = LazyLock::new(|| {
    TextMapCompositePropagator::new(vec![Box::new(TraceContextPropagator::new()), Box::new(BaggagePropagator::new())])
});

/// Reads the context of a caller from the headers of its request (W3C Trace Context, W3C Baggage).
///
/// A run inside of it continues the caller's trace. Headers that are absent or malformed give a context without a span.
///
/// ```
/// use std::collections::HashMap;
///
/// use agent_runtime::{llm::ScriptedModel, otel, prelude::*};
/// use opentelemetry::trace::FutureExt as _;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let headers = HashMap::from([(
///     "traceparent".to_owned(),
///     "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
/// )]);
/// let workflow = Workflow::new("answer").build();
/// let run = Runtime::new().execute(&workflow, "hello").with_context(otel::extract_context(&headers)).await?;
/// assert_eq!(run.output, "hello");
/// # Ok::<(), RunError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn extract_context(headers: &dyn Extractor) -> Context {
    // From an empty context: what is active on this thread has nothing to do with the caller.
    W3C.extract_with_context(&Context::new(), headers)
}

/// Writes a context as headers.
pub(super) fn headers(context: &Context) -> Vec<(String, String)> {
    let mut headers = HashMap::new();
    W3C.inject_context(context, &mut headers);
    // What came from a caller may hold what no header can carry, and must not fail the request that it would be added to.
    let is_sendable = |value: &str| !value.is_empty() && value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let mut headers: Vec<_> = headers.into_iter().filter(|(_, value): &(_, String)| is_sendable(value)).collect();
    headers.sort_unstable();
    headers
}
