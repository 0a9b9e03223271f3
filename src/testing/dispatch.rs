//! Subscribers of a test, beside those of other tests.

use std::sync::LazyLock;

use tracing::{Dispatch, Subscriber, dispatcher::DefaultGuard, subscriber::NoSubscriber};

/// `tracing` caches for each callsite whether anybody wants it. While one subscriber is alive in the process it asks only
/// that of the thread at hand, which may be a test without a recorder, and remembers its "never" for all. Two that want
/// nothing, kept alive, make it ask all there are.
static IDLE: LazyLock<[Dispatch; 2]> = LazyLock::new(|| [(); 2].map(|()| Dispatch::new(NoSubscriber::new())));

/// Makes a subscriber for one test. Tests without one, at the same time in the same process, do not disturb it.
///
/// A run polled with it is seen by its layers on every thread: `run.with_subscriber(dispatch(registry))`, with
/// [`WithSubscriber`](tracing::instrument::WithSubscriber).
pub fn dispatch(subscriber: impl Subscriber + Send + Sync) -> Dispatch {
    LazyLock::force(&IDLE);
    Dispatch::new(subscriber)
}

/// Makes a subscriber that of the current thread, until the guard is dropped, as [`dispatch`] does.
#[must_use = "the subscriber is the thread's until the guard is dropped"]
pub fn set_default(subscriber: impl Subscriber + Send + Sync) -> DefaultGuard {
    tracing::dispatcher::set_default(&dispatch(subscriber))
}
