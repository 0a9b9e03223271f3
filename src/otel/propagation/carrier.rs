//! From the headers of a caller to a context, and from a context to headers.

use opentelemetry::{Context, baggage::BaggageExt as _, propagation::Extractor, trace::TraceContextExt as _};

use super::{baggage, trace_parent};

const TRACE_PARENT: &str = "traceparent";
const TRACE_STATE: &str = "tracestate";
const BAGGAGE: &str = "baggage";

/// Reads the context of a caller from the headers of its request (W3C Trace Context, W3C Baggage).
///
/// A run inside it continues the caller's trace. A `traceparent` that is absent, that comes twice or that is not exactly
/// as W3C writes it is ignored, and the run begins a trace of its own; a malformed `tracestate` is ignored alone, and so
/// is each malformed member of the baggage.
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
    let all = |name| headers.get_all(name).unwrap_or_default();
    // From an empty context: what is active on this thread has nothing to do with the caller.
    let mut context = Context::new();
    if let [parent] = *all(TRACE_PARENT)
        && let Some(parent) = trace_parent::read(parent, &all(TRACE_STATE).join(","))
    {
        context = context.with_remote_span_context(parent);
    }
    let baggage = baggage::read(&all(BAGGAGE).join(","));
    if baggage.is_empty() { context } else { context.with_baggage(baggage) }
}

/// Writes the trace's part of a context as headers; nothing for a context without a span.
pub(in crate::otel) fn trace_headers(context: &Context) -> Vec<(String, String)> {
    let span = context.span();
    let span = span.span_context();
    if !span.is_valid() {
        return Vec::new();
    }
    let state = trace_parent::write_state(span.trace_state()).map(|state| (TRACE_STATE.to_owned(), state));
    std::iter::once((TRACE_PARENT.to_owned(), trace_parent::write(span))).chain(state).collect()
}

/// Writes the baggage of a context as a header, if there is some.
pub(in crate::otel) fn baggage_header(context: &Context) -> Option<(String, String)> {
    baggage::write(context.baggage()).map(|baggage| (BAGGAGE.to_owned(), baggage))
}
