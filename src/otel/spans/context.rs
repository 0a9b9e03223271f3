//! The OpenTelemetry context of a component, which its work is polled in.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use opentelemetry::{Context, KeyValue, SpanId, trace::TraceContextExt as _};

use crate::{
    event::{Event, EventScope, SharedIds},
    otel::propagation,
    stream::ComponentContext,
};

/// Polls a component's work with its span as the current one.
#[derive(Debug)]
pub(super) struct OtelContext(Context);

/// Marks a context as lying inside a component, also below spans of the user's own.
///
/// Without it the bridge could not tell a user's span inside of a component, under which new components belong, from one
/// around hand-made events, which nest by their ids.
#[derive(Debug)]
struct Inside {
    place: Place,
    /// How many of the user's own `tracing` events came to the component's span.
    logs: AtomicU32,
}

/// Where a context lies: the workflow and the span of its component.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) workflow_id: Option<Arc<str>>,
    pub(super) span_id: SpanId,
}

impl OtelContext {
    pub(super) const fn new(context: Context) -> Self {
        Self(context)
    }

    pub(super) const fn context(&self) -> &Context {
        &self.0
    }

    /// The current context if it lies in the same component.
    fn nearer_context(&self) -> Option<Context> {
        let component = |context: &Context| context.get::<Inside>().map(|inside| inside.place.span_id);
        let own = component(&self.0);
        Context::map_current(|current| (own.is_some() && component(current) == own).then(|| current.clone()))
    }
}

/// The current context for a component that gets no span, so that what its caller sent goes on; none if nothing did.
pub(in crate::otel) fn of_the_caller() -> Option<Arc<dyn ComponentContext>> {
    Context::map_current(|current| current.has_active_span().then(|| Arc::new(OtelContext(current.clone())) as _))
}

impl ComponentContext for OtelContext {
    fn run(&self, work: &mut dyn FnMut()) {
        let _active = self.0.clone().attach();
        work();
    }

    fn headers(&self) -> Vec<(String, String)> {
        // The user's span inside the component is nearer than the component's.
        propagation::trace_headers(self.nearer_context().as_ref().unwrap_or(&self.0))
    }

    fn baggage_header(&self) -> Option<(String, String)> {
        propagation::baggage_header(self.nearer_context().as_ref().unwrap_or(&self.0))
    }

    fn nearer(&self) -> Option<Arc<dyn ComponentContext>> {
        self.nearer_context().map(|context| Arc::new(Self(context)) as _)
    }
}

/// How many of the user's `tracing` events one span takes; the rest is counted.
const MAX_LOGS: u32 = 16;

/// The ids of a component, that of its workflow shared with the component around it.
pub(super) fn ids_of(event: &Event, parent: &Context) -> SharedIds {
    let around = parent.get::<Inside>().and_then(|around| around.place.workflow_id.as_ref());
    let workflow = match (around, event.workflow_id.as_deref()) {
        (Some(around), Some(own)) if **around == *own => Some(Arc::clone(around)),
        (_, own) => own.map(Arc::from),
    };
    SharedIds { component: event.component_id.as_str().into(), workflow }
}

/// Marks the context of a component's span.
pub(super) fn mark(context: &Context, ids: &SharedIds) -> Context {
    let place = Place { workflow_id: ids.workflow.clone(), span_id: context.span().span_context().span_id() };
    context.with_value(Inside { place, logs: AtomicU32::new(0) })
}

/// How many of the user's `tracing` events found no room on the span of a component.
pub(super) fn dropped_logs(context: &Context) -> u32 {
    context.get::<Inside>().map_or(0, |inside| inside.logs.load(Ordering::Relaxed).saturating_sub(MAX_LOGS))
}

/// Adds a `tracing` event of the user's to the span of the component around it, if that is the innermost span there: in
/// a span of the user's own it is for the layer that made that one.
pub(super) fn add_log(name: &'static str, attributes: impl FnOnce() -> Vec<KeyValue>) {
    let with_room = Context::map_current(|current| {
        let inside = current.get::<Inside>()?;
        let span = current.span();
        let is_innermost = span.span_context().span_id() == inside.place.span_id;
        if !is_innermost || !span.is_recording() || current.is_telemetry_suppressed() {
            return None;
        }
        (inside.logs.fetch_add(1, Ordering::Relaxed) < MAX_LOGS).then(|| current.clone())
    });
    // The attributes pass the user's redactor, for which the current context must not be borrowed.
    if let Some(context) = with_room {
        context.span().add_event(name, attributes());
    }
}

/// The current context, if it lies inside the workflow that the event's component belongs into.
pub(super) fn ambient_for(event: &Event) -> Option<Context> {
    let own = event.workflow_id.as_deref();
    let belongs = |inside: &Inside| {
        let inside = inside.place.workflow_id.as_deref();
        let nested = event.scope == EventScope::Workflow && event.parent_workflow_id.is_some();
        if nested { inside == event.parent_workflow_id.as_deref() } else { inside == own && inside.is_some() }
    };
    Context::map_current(|current| current.get::<Inside>().is_some_and(belongs).then(|| current.clone()))
}

/// The place that the current context lies in.
pub(super) fn current_place() -> Option<Place> {
    Context::map_current(|current| current.get::<Inside>().map(|inside| inside.place.clone()))
}
