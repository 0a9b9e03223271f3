//! Where the current task stands in the tree of components.
//!
//! Ancestry is a matter of the task, never of the thread: it is set around each poll of a component's future and carried
//! into other tasks only by [`spawn`] and [`spawn_blocking`].

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
};

use tokio::task::JoinHandle;

use super::run::Run;
use crate::event::SpanScope;

/// The component whose work is being polled.
#[derive(Clone, Debug)]
pub(super) struct Current {
    pub(super) run: Arc<Run>,
    pub(super) span: Option<Arc<dyn SpanScope>>,
}

tokio::task_local! {
    static CURRENT: Current;
}

impl Current {
    /// The component in whose scope this is called, if any.
    pub(super) fn get() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// What is handed to another task: the component, and the nearest context inside of it.
    fn for_another_task() -> Option<Self> {
        let current = Self::get()?;
        let nearer = current.span.as_ref().and_then(|span| span.nearer());
        Some(Self { span: nearer.or(current.span), ..current })
    }

    /// Polls a future inside this component, always.
    pub(super) async fn run<F: Future>(self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| self.enter(|| future.as_mut().poll(cx))).await
    }

    /// Calls `work` inside this component.
    fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        let mut work = Some(work);
        let mut result = None;
        let mut once = || {
            if let Some(work) = work.take() {
                result = Some(work());
            }
        };
        CURRENT.sync_scope(self.clone(), || match &self.span {
            Some(span) => {
                span.run(&mut once);
                // A scope that does not run its work costs the trace, never the work.
                once();
            }
            None => once(),
        });
        result.expect("`once` ran, since both arms call it")
    }
}

/// Gives the headers (`traceparent` and so on) that carry the current context into another process, for a tool that
/// calls a service itself. Empty outside of a component, and without a bridge.
#[must_use]
pub fn trace_headers() -> Vec<(String, String)> {
    Current::get().and_then(|current| current.span).map(|span| span.headers()).unwrap_or_default()
}

/// Spawns a task whose spans and workflows nest under the component that calls this, in it under whatever span of the
/// user's own is active.
///
/// A bare [`tokio::spawn`] starts a trace of its own. Called outside of a component it is the same as that.
///
/// # Panics
///
/// If called outside of a Tokio runtime.
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
/// If called outside of a Tokio runtime.
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
