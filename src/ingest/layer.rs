//! The `tracing` layer: which callback does what to a span.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;
use parking_lot::RwLock;
use tracing::{
    Dispatch, Level, Metadata, Subscriber,
    callsite::Identifier,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, Filter},
    registry::{LookupSpan, SpanRef},
};

use super::{
    facts::{Facts, LoggedError},
    names::{Declared, OPERATION},
    span::{IngestedSpan, Shared},
};
use crate::{
    component::{self, Current, EnteredSpan},
    stream::{Callbacks, EventStream, TRACING_TARGET},
};

/// Turns the spans of other libraries into components: those that carry `gen_ai.operation.name`.
///
/// Chats and embeddings become requests, `invoke_agent` and `create_agent` agents, `execute_tool` tools and `invoke_workflow`
/// workflows. Each lies in the component that is current where its span is made, be that one of the runtime, of
/// [`component`](crate::component) or another such span, or in the one of the span's explicit parent; with nothing around it,
/// it begins a run on `stream`.
///
/// - It starts when the span has recorded what it has room for at its start, at the latest when it or the component around it
///   is left and its name is there, when something starts in it, or when it says what only an end has. What was not recorded by
///   then is not in its Started event.
/// - A span that is entered again in a component that lies in it does not lead out of that: libraries enter the span that they
///   were called in.
/// - It ends when the span closes: Failed by `error.type`, `otel.status_code` or an event of level `ERROR` in it, which may have an `error.type`, Canceled
///   if the span has room for an outcome and closes without one, else Completed.
/// - A span that is about the same as the component around it, a request inside a request, is not counted again.
/// - The events are not shown to other `tracing` layers, which have the spans; an [`OtelLayer`] of the same registry has them.
/// - Beside a `tracing-opentelemetry` layer, with the feature `adopt-spans`, the components have that layer's spans and no
///   others; put this layer behind it.
///
/// It keeps no stream open. At most [`MAX_OPEN_SPANS`] spans are components at once, with at most [`MAX_SPAN_BYTES`] of
/// text each; how many are refused beyond that is a system event.
///
/// [`MAX_OPEN_SPANS`]: crate::ingest::MAX_OPEN_SPANS
/// [`MAX_SPAN_BYTES`]: crate::ingest::MAX_SPAN_BYTES
///
/// [`OtelLayer`]: https://docs.rs/agent-runtime-otel/latest/agent_runtime/otel/struct.OtelLayer.html
///
/// ```
/// use agent_runtime::{ingest::ingest, prelude::*};
/// use tracing_subscriber::layer::SubscriberExt as _;
///
/// let stream = EventStream::new();
/// let registry = tracing_subscriber::registry().with(ingest(&stream));
/// tracing::subscriber::with_default(registry, || {
///     let span = tracing::info_span!("tool", gen_ai.operation.name = "execute_tool", gen_ai.tool.name = "search");
///     span.in_scope(|| { /* what the library does */ });
/// });
/// let mut events = stream.subscribe_from(0);
/// assert_eq!(events.try_recv()?.component_id, "search:0");
/// assert_eq!(events.try_recv()?.event_type, EventType::Completed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "it does nothing before it is part of a subscriber"]
pub fn ingest<S>(stream: &EventStream) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = Ingest { shared: Arc::new(Shared::new(stream.downgrade())), declared: RwLock::default() };
    layer.with_filter(GenAiSpans)
}

struct Ingest {
    shared: Arc<Shared>,
    /// What the fields of each kind of span name. There are as many as the program's sources have.
    declared: RwLock<HashMap<Identifier, Arc<Declared>, RandomState>>,
}

/// Lets through what is looked at, so that nothing is made for the layer alone: the spans, and errors in them.
struct GenAiSpans;

impl<S> Layer<S> for Ingest
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        self.shared.set_callbacks(Callbacks::of(subscriber));
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        // Macros that take a parent are also handed the current span.
        let is_elsewhere = attributes.parent().is_some_and(|parent| context.current_span().id() != Some(parent));
        let around = around(is_elsewhere, || outer(&span));
        let declared = self.declared(attributes.metadata());
        let mut facts = Facts::default();
        attributes.record(&mut facts.recorder(&declared));
        let made = Arc::new(IngestedSpan::new(&self.shared, id, declared, facts, around));
        if span.extensions_mut().replace(Arc::clone(&made)).is_none() {
            made.start_if_known();
            if made.waits() {
                component::start_before_leaving(made);
            }
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id).and_then(|span| ingested(&span)) {
            span.record(values);
        }
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        if let Some(span) = context.event_span(event).and_then(|span| ingested(&span)) {
            let mut error = LoggedError::default();
            event.record(&mut error);
            span.log_error(error);
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id).and_then(|span| ingested(&span)) {
            component::enter_span(id.into_u64(), span);
        }
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        // One that was entered further out as well, or elsewhere, is looked up.
        if !component::leave_span(id.into_u64())
            && let Some(span) = context.span(id).and_then(|span| ingested(&span))
        {
            span.start_if_named();
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let ingested = span.extensions_mut().remove::<Arc<IngestedSpan>>();
        if let Some(ingested) = ingested {
            ingested.end(|| outer(&span));
        }
    }
}

impl Ingest {
    fn declared(&self, metadata: &'static Metadata<'static>) -> Arc<Declared> {
        let callsite = metadata.callsite();
        if let Some(known) = self.declared.read().get(&callsite) {
            return Arc::clone(known);
        }
        let declared = Arc::new(Declared::of(metadata));
        self.declared.write().insert(callsite, Arc::clone(&declared));
        declared
    }
}

impl<S> Filter<S> for GenAiSpans {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        is_looked_at(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_looked_at(metadata) { Interest::always() } else { Interest::never() }
    }
}

fn is_looked_at(metadata: &Metadata<'_>) -> bool {
    if metadata.is_span() {
        metadata.fields().field(OPERATION).is_some()
    } else {
        *metadata.level() == Level::ERROR && metadata.target() != TRACING_TARGET
    }
}

/// What was made of a span.
fn ingested<'a, R: LookupSpan<'a>>(span: &SpanRef<'a, R>) -> Option<Arc<IngestedSpan>> {
    span.extensions().get::<Arc<IngestedSpan>>().cloned()
}

/// The nearest span above one that is looked at.
fn outer<'a, R: LookupSpan<'a>>(span: &SpanRef<'a, R>) -> Option<Arc<IngestedSpan>> {
    span.parent().and_then(|parent| ingested(&parent))
}

/// The component that a new span lies in: `outer` finds the nearest span above it that may be one, `is_elsewhere` is whether its
/// parent is not the current span.
fn around(is_elsewhere: bool, outer: impl FnOnce() -> Option<Arc<IngestedSpan>>) -> Current {
    let outer = || outer().and_then(|outer| outer.place()).map(Current::at);
    if is_elsewhere {
        outer().unwrap_or_else(Current::here)
    } else {
        // What is polled or entered last is the nearest, also in another task than the outer span was made in. That holds
        // for a span without parent: libraries make it where they see no span, and there may be a component.
        Some(Current::here()).filter(Current::is_recording).or_else(outer).unwrap_or_default()
    }
}
