//! The filter for layers beside ours.

use tracing::{Metadata, Subscriber, subscriber::Interest};
use tracing_subscriber::layer::{Context, Filter};

use crate::stream::TRACING_TARGET;

/// Keeps this crate's own events from a layer beside the bridge's, such as one of `tracing-opentelemetry`, a log bridge or
/// `fmt`, which then sees everything else.
///
/// Those events carry no text, and they take no room on the user's span. A layer that exports what it sees would send
/// them all the same, one for each piece of an answer.
///
/// ```
/// use agent_runtime::otel::NeighborFilter;
/// use tracing_subscriber::{Layer as _, layer::SubscriberExt as _};
///
/// let log = tracing_subscriber::fmt::layer().with_filter(NeighborFilter);
/// let subscriber = tracing_subscriber::registry().with(log);
/// # drop(subscriber);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct NeighborFilter;

impl<S: Subscriber> Filter<S> for NeighborFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _context: &Context<'_, S>) -> bool {
        metadata.target() != TRACING_TARGET
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.target() == TRACING_TARGET { Interest::never() } else { Interest::always() }
    }
}
