//! What carries the current component into other tasks, threads and processes.

use std::future::Future;

use tokio::task::JoinHandle;

use super::{current::current, place::Place};

/// Carries the current component along with a future: into a [`JoinSet`](tokio::task::JoinSet), a
/// `FuturesUnordered`, a bare [`tokio::spawn`].
///
/// ```
/// use agent_runtime::{component::{self, InCurrent as _}, prelude::*};
/// use tokio::task::JoinSet;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let stream = EventStream::new();
/// let fetch_all = async {
///     let mut fetches = JoinSet::new();
///     for page in 0..3 {
///         fetches.spawn(component::tool("fetch").run(async move { Ok::<_, BoxError>(page) }).in_current());
///     }
///     fetches.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()
/// };
/// component::workflow(&stream, "report").run(fetch_all).await?;
/// # let events = stream.get_events(0).await;
/// # assert_eq!(events.iter().filter(|event| event.scope == EventScope::Tool).count(), 6);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
pub trait InCurrent: Future + Sized {
    /// Returns the future that is polled, and dropped, inside the component that this is called in; outside every component
    /// the same as the future itself.
    fn in_current(self) -> impl Future<Output = Self::Output>;
}

impl<F: Future> InCurrent for F {
    fn in_current(self) -> impl Future<Output = Self::Output> {
        current().run(self)
    }
}

/// Returns the headers that carry the current context into another process, for a tool that calls a service itself:
/// `traceparent`, `tracestate` and, as that service is one the caller chose, `baggage`. Empty outside a component, and
/// without a bridge.
///
/// Baggage may name customers: leave its header out for a service that is not the user's own.
#[must_use]
pub fn trace_headers() -> Vec<(String, String)> {
    let Some(context) = Place::get().and_then(|place| place.context) else { return Vec::new() };
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
    tokio::spawn(current().run(future))
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
    let here = current();
    tokio::task::spawn_blocking(move || here.enter(work))
}
