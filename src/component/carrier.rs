//! What carries the current component into other tasks, threads and processes.

use std::future::Future;

use tokio::task::JoinHandle;

use super::current::Current;

/// Returns the headers that carry the current context into another process, for a tool that calls a service itself:
/// `traceparent`, `tracestate` and, as that service is one the caller chose, `baggage`. Empty outside a component, and
/// without a bridge.
///
/// Baggage may name customers: leave its header out for a service that is not the user's own.
#[must_use]
pub fn trace_headers() -> Vec<(String, String)> {
    let Some(context) = Current::get().and_then(|current| current.context) else { return Vec::new() };
    context.headers().into_iter().chain(context.baggage_header()).collect()
}

/// Spawns a task whose spans and workflows nest under the component that calls this, under the user's span that is
/// active in it.
///
/// A bare [`tokio::spawn`] starts a trace of its own. Called outside a component it is the same as that.
///
/// # Panics
///
/// If called outside a Tokio runtime.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match Current::for_another_task() {
        Some(current) => tokio::spawn(current.run(future)),
        None => tokio::spawn(future),
    }
}

/// Runs blocking work on Tokio's pool for it; its spans nest where those of [`spawn`] do.
///
/// # Panics
///
/// If called outside a Tokio runtime.
pub fn spawn_blocking<F, R>(work: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    match Current::for_another_task() {
        Some(current) => tokio::task::spawn_blocking(move || current.enter(work)),
        None => tokio::task::spawn_blocking(work),
    }
}
