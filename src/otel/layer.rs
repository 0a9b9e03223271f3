//! The `tracing` layer: hands native events to the mapper and the mapper's answer back.

use std::{fmt, sync::Arc};

use opentelemetry::trace::Tracer;
use opentelemetry_sdk::trace::SdkTracer;
use tracing::Subscriber;
use tracing_subscriber::{Layer, layer::Context};

use super::{SpanMapper, logs};
use crate::event::{Emission, TRACING_TARGET};

/// A [`Layer`] that turns the events of every [`EventStream`](crate::event::EventStream) of the process into spans.
///
/// It composes with any registry. It sees what the filters before it let through: with an
/// [`EnvFilter`](https://docs.rs/tracing-subscriber/latest/tracing_subscriber/filter/struct.EnvFilter.html) for the
/// whole registry, `agent_runtime::event=debug` must be on (with only `info`, spans are complete but have no progress
/// events); with a filter on another layer alone nothing needs to be done. Beside a `tracing-opentelemetry` layer both
/// kinds of spans nest in each other, provided that layer's context activation is on, as it is by default.
pub struct OtelLayer<T = SdkTracer> {
    mapper: Arc<SpanMapper<T>>,
}

impl<T> OtelLayer<T> {
    /// Makes a layer that gives its events to a mapper, which others may share.
    #[must_use]
    pub const fn new(mapper: Arc<SpanMapper<T>>) -> Self {
        Self { mapper }
    }
}

impl<S, T> Layer<S> for OtelLayer<T>
where
    S: Subscriber,
    T: Tracer + Send + Sync + 'static,
    T::Span: Send + Sync + 'static,
{
    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
        if event.metadata().target() != TRACING_TARGET {
            logs::observe(event);
            return;
        }
        // Events of that target that were not made by an append have no native event behind them.
        Emission::with_current(|emission| {
            if let Some(observed) = self.mapper.observe(emission.event()) {
                emission.set_trace(observed.trace);
                if let Some(scope) = observed.scope {
                    emission.set_scope(scope);
                }
            }
        });
    }
}

impl<T> Clone for OtelLayer<T> {
    fn clone(&self) -> Self {
        Self { mapper: Arc::clone(&self.mapper) }
    }
}

impl<T> fmt::Debug for OtelLayer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtelLayer").field("mapper", &self.mapper).finish()
    }
}
