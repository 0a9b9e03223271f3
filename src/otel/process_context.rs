//! The trace's context on its way from one process into another, in environment variables.

use std::{collections::HashMap, process::Command};

use opentelemetry::Context;

use super::propagation::{extract_context, trace_headers};
use crate::environment;

/// The variables by the headers that they stand for.
const VARIABLES: [(&str, &str); 2] = [("traceparent", "TRACEPARENT"), ("tracestate", "TRACESTATE")];

/// Reads the context of whoever started this process from `TRACEPARENT` and `TRACESTATE` (OpenTelemetry specification,
/// "Environment Variables as Context Propagation Carriers").
///
/// A run inside it continues the caller's trace. Variables that are absent or malformed make a context without a span.
///
/// ```
/// use agent_runtime::{otel, prelude::*};
/// use opentelemetry::trace::FutureExt as _;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let workflow = Workflow::new("answer").build();
/// let run = Runtime::new().execute(&workflow, "hello").with_context(otel::context_from_env()).await?;
/// assert_eq!(run.output, "hello");
/// # Ok::<(), RunError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn context_from_env() -> Context {
    let values = VARIABLES.map(|(header, variable)| Some((header.to_owned(), environment::text(variable).ok()??)));
    extract_context(&values.into_iter().flatten().collect::<HashMap<_, _>>())
}

/// Passes the current context on to a process that is to be started, as [`context_from_env`] reads it there: in a tool,
/// that of the tool's span. Without a current span, what this process was started with is not passed on either.
///
/// ```
/// use std::process::Command;
///
/// let mut command = Command::new("git");
/// agent_runtime::otel::pass_context_to(&mut command);
/// assert!(command.get_envs().all(|(_, value)| value.is_none()), "there is no span here");
/// ```
pub fn pass_context_to(command: &mut Command) {
    let headers: HashMap<_, _> = trace_headers(&Context::current()).into_iter().collect();
    for (header, variable) in VARIABLES {
        match headers.get(header) {
            Some(value) => command.env(variable, value),
            None => command.env_remove(variable),
        };
    }
}
