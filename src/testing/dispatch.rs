//! Subscribers of a test, beside those of other tests.

use tracing::{Dispatch, Subscriber, dispatcher::DefaultGuard};

use crate::otel::keep_idle_subscribers;

/// Makes a subscriber for one test. Tests without one, at the same time in the same process, do not disturb it.
///
/// A run polled with it is seen by its layers on every thread: `run.with_subscriber(dispatch(registry))`, with
/// [`WithSubscriber`](tracing::instrument::WithSubscriber).
pub fn dispatch(subscriber: impl Subscriber + Send + Sync) -> Dispatch {
    keep_idle_subscribers();
    Dispatch::new(subscriber)
}

/// Makes a subscriber that of the current thread, until the guard is dropped, as [`dispatch`] does.
#[must_use = "the subscriber is the thread's until the guard is dropped"]
pub fn set_default(subscriber: impl Subscriber + Send + Sync) -> DefaultGuard {
    tracing::dispatcher::set_default(&dispatch(subscriber))
}
