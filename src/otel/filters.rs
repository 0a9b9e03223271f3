//! What the bridge's layer looks at, and what layers beside it need not see, as filters for single layers.

use tracing::{Level, Metadata, Subscriber, level_filters::LevelFilter, subscriber::Interest};
use tracing_subscriber::layer::{Context, Filter};

use super::spans;
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

/// Lets the bridge's layer ask for no more than it looks at: this crate's own events, and others of level `INFO` and above.
///
/// A layer without a filter asks for everything, so that each `trace!` and each span of any library is made, though nobody
/// looks at it. [`Telemetry::install`](super::Telemetry::install) has this filter; in a registry of the user's it goes on
/// the layer, and other layers still get what they ask for:
///
/// ```
/// use agent_runtime::otel::{BridgeFilter, NeighborFilter, Telemetry};
/// use opentelemetry::trace::TracerProvider as _;
/// use tracing_subscriber::{Layer as _, layer::SubscriberExt as _};
///
/// let telemetry = Telemetry::builder("my-agents").build()?;
/// let tracer = telemetry.tracer_provider().tracer("my-agents");
/// let subscriber = tracing_subscriber::registry()
///     .with(telemetry.layer().with_filter(BridgeFilter))
///     .with(tracing_opentelemetry::layer().with_tracer(tracer).with_filter(NeighborFilter));
/// # drop(subscriber);
/// # Ok::<(), agent_runtime::otel::TelemetrySetupError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct BridgeFilter;

impl<S: Subscriber> Filter<S> for NeighborFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _context: &Context<'_, S>) -> bool {
        !is_ours(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        always_if(!is_ours(metadata))
    }
}

impl<S: Subscriber> Filter<S> for BridgeFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _context: &Context<'_, S>) -> bool {
        is_looked_at(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        always_if(is_looked_at(metadata))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // That of our own progress.
        Some(Level::DEBUG.into())
    }
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target() == TRACING_TARGET
}

fn is_looked_at(metadata: &Metadata<'_>) -> bool {
    !metadata.is_span() && (is_ours(metadata) || spans::takes_user_event(metadata))
}

fn always_if(is_enabled: bool) -> Interest {
    if is_enabled { Interest::always() } else { Interest::never() }
}
