//! The `tracing` layer: hands native events to the mapper and to the metrics, and the mapper's answer back.

#[cfg(feature = "ingest")]
use std::sync::OnceLock;
use std::{fmt, sync::Arc};

use opentelemetry::trace::Tracer;
use opentelemetry_sdk::trace::SdkTracer;
#[cfg(feature = "ingest")]
use tracing::Dispatch;
use tracing::Subscriber;
use tracing_subscriber::{Layer, layer::Context};

use super::{LogEmitter, MetricsRecorder, SpanMapper, keep_idle_subscribers, spans};
#[cfg(feature = "ingest")]
use crate::stream::{Bridge, register_bridge};
use crate::{
    event::{EventType, TraceContext},
    stream::{Emission, TRACING_TARGET, leave},
};

/// A [`Layer`] that turns the events of every [`EventStream`](crate::stream::EventStream) of the process into spans,
/// metrics or both.
///
/// It composes with any registry. It sees what the filters before it let through: with an
/// [`EnvFilter`](https://docs.rs/tracing-subscriber/latest/tracing_subscriber/filter/struct.EnvFilter.html) for the
/// whole registry, `agent_runtime::event=debug` must be on (with only `info`, spans are complete but have no progress
/// events, and there is no metric of the time between chunks); with a filter on another layer alone nothing needs to be
/// done. It asks for everything, unless a [`BridgeFilter`](super::BridgeFilter) is on it. Beside a `tracing-opentelemetry`
/// layer both kinds of spans nest in each other, provided that layer's context activation is on, as it is by default.
///
/// Put it before layers that may panic: `tracing` does not show an event to the layers behind one that does, which
/// [`EventStream::layer_panics`](crate::stream::EventStream::layer_panics) counts. Several of them, each with a provider of its
/// own, make a whole tree each.
///
/// ```
/// use std::sync::Arc;
///
/// use agent_runtime::{otel::{OtelLayer, SpanMapper}, prelude::*};
/// use opentelemetry::trace::TracerProvider as _;
/// use tracing_subscriber::layer::SubscriberExt as _;
///
/// let provider = opentelemetry_sdk::trace::SdkTracerProvider::default();
/// let layer = OtelLayer::new(Arc::new(SpanMapper::new(provider.tracer("agents"))));
/// let registry = tracing_subscriber::registry().with(layer);
/// let appended = tracing::subscriber::with_default(registry, || {
///     EventStream::new().append(Event::agent_started("writer", None, None, json!({})))
/// })?;
/// assert!(appended.trace.is_some(), "the event names its span");
/// # Ok::<(), EventError>(())
/// ```
pub struct OtelLayer<T = SdkTracer> {
    readers: Readers<T>,
    /// What is handed the events that a layer made of foreign spans.
    #[cfg(feature = "ingest")]
    bridge: OnceLock<Arc<dyn Bridge>>,
}

/// Who reads the events.
struct Readers<T> {
    mapper: Option<Arc<SpanMapper<T>>>,
    metrics: Option<Arc<MetricsRecorder>>,
    log_events: Option<Arc<LogEmitter>>,
}

impl<T> OtelLayer<T> {
    /// Makes a layer that hands its events to a mapper, which others may share.
    #[must_use]
    pub fn new(mapper: Arc<SpanMapper<T>>) -> Self {
        keep_idle_subscribers();
        Self::of(Readers { mapper: Some(mapper), metrics: None, log_events: None })
    }

    /// Hands each event to a recorder of metrics as well, which others may share. By default, there are none.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Arc<MetricsRecorder>) -> Self {
        self.readers.metrics = Some(metrics);
        self
    }

    /// Hands the events also to an emitter of log events, with the spans that they became. By default, to none.
    #[must_use]
    pub fn with_log_events(mut self, emitter: Arc<LogEmitter>) -> Self {
        self.readers.log_events = Some(emitter);
        self
    }

    const fn of(readers: Readers<T>) -> Self {
        Self {
            readers,
            #[cfg(feature = "ingest")]
            bridge: OnceLock::new(),
        }
    }
}

impl OtelLayer {
    /// Makes a layer that records metrics and makes no spans.
    #[must_use]
    pub fn metrics_only(metrics: Arc<MetricsRecorder>) -> Self {
        keep_idle_subscribers();
        Self::of(Readers { mapper: None, metrics: Some(metrics), log_events: None })
    }
}

impl<S, T> Layer<S> for OtelLayer<T>
where
    S: Subscriber,
    T: Tracer + Send + Sync + 'static,
    T::Span: Send + Sync + 'static,
{
    #[cfg(feature = "ingest")]
    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        register_bridge(subscriber, self.bridge.get_or_init(|| Arc::new(self.readers.clone())));
    }

    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
        if event.metadata().target() == TRACING_TARGET {
            self.readers.observe();
        } else if let Some(mapper) = &self.readers.mapper {
            mapper.observe_user_event(event);
        }
    }
}

impl<T> Readers<T>
where
    T: Tracer,
    T::Span: Send + Sync + 'static,
{
    /// Reads the current emission. Events of our target that were not made by an append have none behind them.
    fn observe(&self) {
        Emission::with_current(|emission| {
            if emission.start_is_unseen() {
                return;
            }
            let observe = |mapper: &Arc<SpanMapper<T>>| match foreign_span(emission) {
                Some(span) => mapper.adopt_in_turn(emission.event(), &span),
                None => mapper.observe_in_turn(emission.event()),
            };
            let observe = |mapper| emission.contain(|| observe(mapper));
            let (observed, left) = self.mapper.as_ref().and_then(observe).unwrap_or_default();
            if let Some(left) = left {
                leave(|| left.write());
            }
            if let Some(observed) = observed {
                emission.set_trace(observed.trace);
                if let Some(emitter) = &self.log_events {
                    log(emitter, emission, observed.trace);
                }
                if let Some(context) = observed.context {
                    emission.set_context(context);
                }
            } else if emission.event().event_type == EventType::Started
                && let Some(context) = spans::of_the_caller()
            {
                emission.set_context(context);
            }
            if let Some(metrics) = &self.metrics {
                emission.contain(|| metrics.observe(emission.event()));
            }
        });
    }
}

/// Hands an event to an emitter of log events, which makes them when the turn is over.
fn log(emitter: &Arc<LogEmitter>, emission: &Emission, trace: TraceContext) {
    let observe = || emitter.observe_in_turn(emission.event(), trace);
    if let Some(left) = emission.contain(observe).flatten() {
        let emitter = Arc::clone(emitter);
        leave(move || emitter.write(left));
    }
}

/// The context of the span that a `tracing-opentelemetry` layer has made of the span that a start is about.
#[cfg(feature = "adopt-spans")]
fn foreign_span(emission: &Emission) -> Option<opentelemetry::Context> {
    if emission.event().event_type != EventType::Started {
        return None;
    }
    let (subscriber, id) = emission.span()?;
    tracing_opentelemetry::get_otel_context(id, &subscriber)
}

#[cfg(not(feature = "adopt-spans"))]
const fn foreign_span(_: &Emission) -> Option<opentelemetry::Context> {
    None
}

#[cfg(feature = "ingest")]
impl<T> Bridge for Readers<T>
where
    T: Tracer + Send + Sync,
    T::Span: Send + Sync + 'static,
{
    fn observe(&self) {
        Self::observe(self);
    }
}

impl<T> Clone for OtelLayer<T> {
    fn clone(&self) -> Self {
        Self::of(self.readers.clone())
    }
}

impl<T> Clone for Readers<T> {
    fn clone(&self) -> Self {
        Self { mapper: self.mapper.clone(), metrics: self.metrics.clone(), log_events: self.log_events.clone() }
    }
}

impl<T> fmt::Debug for OtelLayer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtelLayer")
            .field("mapper", &self.readers.mapper)
            .field("metrics", &self.readers.metrics)
            .finish()
    }
}
