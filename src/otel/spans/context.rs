//! The OpenTelemetry context of a component, which its work is polled in.

use std::{
    any::Any,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use opentelemetry::{Context, KeyValue, SpanId, trace::TraceContextExt as _};
use uuid::Uuid;

use crate::{
    event::{self, Event, EventScope, SharedIds, TraceId},
    otel::propagation,
    stream::{Carried, ComponentContext},
};

/// How many of the user's `tracing` events one span takes; the rest is counted.
const MAX_LOGS: u32 = 16;

/// Polls a component's work with its span as the current one.
#[derive(Debug)]
pub(super) struct OtelContext(Context);

/// Which mapper a mark is of: each of several bridges has spans of its own in one and the same component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MapperId(u64);

/// Marks a context as lying inside a component, also below the user's spans.
///
/// Without it the bridge could not tell a user's span inside a component, under which new components belong, from one
/// around hand-made events, which nest by their ids.
#[derive(Debug)]
struct Inside {
    mark: Arc<Mark>,
    /// The marks of other mappers.
    others: Vec<Arc<Mark>>,
}

/// One mapper's component.
#[derive(Debug)]
struct Mark {
    mapper: MapperId,
    place: Place,
    /// The context with the component's span as the active one.
    component: Context,
    /// Whether the component's span was made by another layer, which then has the user's events, too.
    is_adopted: bool,
    /// What stands for the component, once it has started.
    carried: OnceLock<Arc<dyn Any + Send + Sync>>,
    /// How many of the user's `tracing` events came to the component's span.
    logs: AtomicU32,
}

/// Where a context lies: the workflow, and its component with the span of that.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) workflow_id: Option<Arc<str>>,
    /// The id of the start of the run's workflow, which distinguishes runs under one id.
    workflow_start: Option<Uuid>,
    start_id: Uuid,
    pub(super) span_id: SpanId,
    pub(super) trace_id: TraceId,
}

impl MapperId {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Inside {
    fn marks(&self) -> impl Iterator<Item = &Arc<Mark>> {
        std::iter::once(&self.mark).chain(&self.others)
    }

    fn of(&self, mapper: MapperId) -> Option<&Arc<Mark>> {
        self.marks().find(|mark| mark.mapper == mapper)
    }

    fn others_than(&self, mapper: MapperId) -> Vec<Arc<Mark>> {
        self.marks().filter(|mark| mark.mapper != mapper).cloned().collect()
    }

    /// Whether a span is the component's own for some mapper, and so none of the user's.
    fn is_component(&self, span_id: SpanId) -> bool {
        self.marks().any(|mark| mark.place.span_id == span_id)
    }
}

impl Place {
    /// Whether a component belongs in here: by the start that it names as its parent's, else by the ids of the runs.
    fn takes(&self, event: &Event) -> bool {
        if let Some(parent) = event.parent_start_id {
            return self.start_id == parent || self.workflow_start == Some(parent);
        }
        let (inside, own) = (self.workflow_id.as_deref(), event.workflow_id.as_deref());
        let is_nested = event.scope == EventScope::Workflow && event.parent_workflow_id.is_some();
        if is_nested { inside == event.parent_workflow_id.as_deref() } else { inside == own && inside.is_some() }
    }
}

impl OtelContext {
    pub(super) const fn new(context: Context) -> Self {
        Self(context)
    }

    pub(super) const fn context(&self) -> &Context {
        &self.0
    }

    /// The context to poll in: it keeps the marks that other mappers have set around it.
    fn with_marks_around(&self) -> Context {
        let Some(own) = self.0.get::<Inside>() else { return self.0.clone() };
        let mapper = own.mark.mapper;
        let others = Context::map_current(|current| {
            current.get::<Inside>().map(|around| around.others_than(mapper)).unwrap_or_default()
        });
        if others.is_empty() {
            return self.0.clone();
        }
        self.0.with_value(Inside { mark: Arc::clone(&own.mark), others })
    }

    /// The current context if it lies in the same component.
    fn nearer_context(&self) -> Option<Context> {
        let own = &self.0.get::<Inside>()?.mark;
        let is_own = |inside: &Inside| inside.of(own.mapper).is_some_and(|mark| Arc::ptr_eq(mark, own));
        Context::map_current(|current| current.get::<Inside>().is_some_and(is_own).then(|| current.clone()))
    }
}

/// The current context for a component that gets no span, so that what its caller sent goes on; none if nothing did.
pub(in crate::otel) fn of_the_caller() -> Option<Arc<dyn ComponentContext>> {
    Context::map_current(|current| current.has_active_span().then(|| Arc::new(OtelContext(current.clone())) as _))
}

impl ComponentContext for OtelContext {
    fn run(&self, work: &mut dyn FnMut()) {
        let _active = self.with_marks_around().attach();
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

    fn carry(&self, component: Arc<dyn Any + Send + Sync>) {
        if let Some(inside) = self.0.get::<Inside>() {
            inside.mark.carried.get_or_init(|| component);
        }
    }

    fn activate(&self) -> Option<Box<dyn Any>> {
        Some(Box::new(self.with_marks_around().attach()))
    }
}

/// The component that the current context lies in, and that context.
pub(super) fn carried() -> Option<Carried> {
    Context::map_current(|current| {
        let component = Arc::clone(current.get::<Inside>()?.mark.carried.get()?);
        Some(Carried { component, context: Arc::new(OtelContext(current.clone())) })
    })
}

/// The ids of a component, that of its workflow shared with the component around it.
pub(super) fn ids_of(mapper: MapperId, event: &Event, parent: &Context) -> SharedIds {
    let around = parent.get::<Inside>().and_then(|around| around.of(mapper)?.place.workflow_id.as_ref());
    let workflow = match (around, event.workflow_id.as_deref()) {
        (Some(around), Some(own)) if **around == *own => Some(Arc::clone(around)),
        (_, own) => own.map(Arc::from),
    };
    SharedIds { component: event.component_id.as_str().into(), workflow }
}

/// Marks the context of the span of a component that begins.
pub(super) fn mark(mapper: MapperId, context: &Context, started: &Event, ids: &SharedIds) -> Context {
    marked(mapper, context, context.get(), started, ids, false)
}

/// Marks the context of a span that another layer made, of a component that begins in `parent`.
pub(super) fn mark_adopted(
    mapper: MapperId,
    made: &Context,
    parent: &Context,
    started: &Event,
    ids: &SharedIds,
) -> Context {
    marked(mapper, made, parent.get(), started, ids, true)
}

fn marked(
    mapper: MapperId,
    context: &Context,
    around: Option<&Inside>,
    started: &Event,
    ids: &SharedIds,
    is_adopted: bool,
) -> Context {
    let (span_id, trace_id) = {
        let span = context.span();
        (span.span_context().span_id(), event::TraceId::from_bytes(span.span_context().trace_id().to_bytes()))
    };
    let others = around.map(|around| around.others_than(mapper)).unwrap_or_default();
    let of_run = |place: &Place| if place.workflow_id == ids.workflow { place.workflow_start } else { None };
    let workflow_start = match started.scope {
        EventScope::Workflow => Some(started.event_id),
        _ => around.and_then(|around| of_run(&around.of(mapper)?.place)),
    };
    let start_id = started.event_id;
    let place = Place { workflow_id: ids.workflow.clone(), workflow_start, start_id, span_id, trace_id };
    let mark = Mark {
        mapper,
        place,
        component: context.clone(),
        is_adopted,
        carried: OnceLock::new(),
        logs: AtomicU32::new(0),
    };
    context.with_value(Inside { mark: Arc::new(mark), others })
}

/// How many of the user's `tracing` events found no room on the span of a component.
pub(super) fn dropped_logs(context: &Context) -> u32 {
    context.get::<Inside>().map_or(0, |inside| inside.mark.logs.load(Ordering::Relaxed).saturating_sub(MAX_LOGS))
}

/// Adds a `tracing` event of the user's to the span of the component around it, if that is the innermost span there: in
/// a span of the user's it is for the layer that made that one.
pub(super) fn add_log(mapper: MapperId, name: &'static str, attributes: impl FnOnce() -> Vec<KeyValue>) {
    let with_room = Context::map_current(|current| {
        let inside = current.get::<Inside>()?;
        let mark = inside.of(mapper)?;
        let is_innermost = inside.is_component(current.span().span_context().span_id());
        if !is_innermost
            || mark.is_adopted
            || !mark.component.span().is_recording()
            || current.is_telemetry_suppressed()
        {
            return None;
        }
        (mark.logs.fetch_add(1, Ordering::Relaxed) < MAX_LOGS).then(|| Arc::clone(mark))
    });
    // The attributes pass the user's redactor, for which the current context must not be borrowed.
    if let Some(mark) = with_room {
        mark.component.span().add_event(name, attributes());
    }
}

/// The current context, if it lies where the event's component belongs.
pub(super) fn ambient_for(mapper: MapperId, event: &Event) -> Option<Context> {
    Context::map_current(|current| {
        let inside = current.get::<Inside>()?;
        let mark = inside.of(mapper)?;
        mark.place
            .takes(event)
            .then(|| if is_foreign(current, inside, mark) { mark.component.clone() } else { current.clone() })
    })
}

/// Whether the active span is one that another bridge alone knows: its own of the component, or a user's in its trace.
fn is_foreign(current: &Context, inside: &Inside, own: &Mark) -> bool {
    let (active, component) = (current.span(), own.component.span());
    let (active, component) = (active.span_context(), component.span_context());
    active.span_id() != component.span_id()
        && !inside.others.is_empty()
        && (active.trace_id() != component.trace_id() || inside.is_component(active.span_id()))
}

/// The place that the current context lies in.
pub(super) fn current_place(mapper: MapperId) -> Option<Place> {
    Context::map_current(|current| current.get::<Inside>()?.of(mapper).map(|mark| mark.place.clone()))
}
