//! The OpenTelemetry context of a component, which its work is polled in.

use std::sync::Arc;

use opentelemetry::{Context, SpanId, trace::TraceContextExt as _};

use crate::event::{Event, EventScope, SpanScope};

/// Polls a component's work with its span as the current one.
#[derive(Debug)]
pub(super) struct OtelScope(Context);

/// Marks a context as lying inside a component of a workflow, also below spans of the user's own.
///
/// Without it the bridge could not tell a user's span inside of a component, under which new components belong, from one
/// around hand-made events, which nest by their ids.
#[derive(Clone, Debug)]
pub(super) struct Inside {
    pub(super) workflow_id: Option<Arc<str>>,
    pub(super) span_id: SpanId,
}

impl OtelScope {
    pub(super) const fn new(context: Context) -> Self {
        Self(context)
    }
}

impl SpanScope for OtelScope {
    fn run(&self, work: &mut dyn FnMut()) {
        let _active = self.0.clone().attach();
        work();
    }
}

/// Marks the context of a component's span.
pub(super) fn mark(context: &Context, event: &Event) -> Context {
    let span_id = context.span().span_context().span_id();
    context.with_value(Inside { workflow_id: event.workflow_id.as_deref().map(Arc::from), span_id })
}

/// The current context, if it lies inside the workflow that the event's component belongs into.
pub(super) fn ambient_for(event: &Event) -> Option<Context> {
    let own = event.workflow_id.as_deref();
    let belongs = |inside: &Inside| {
        let inside = inside.workflow_id.as_deref();
        let nested = event.scope == EventScope::Workflow && event.parent_workflow_id.is_some();
        if nested { inside == event.parent_workflow_id.as_deref() } else { inside == own && inside.is_some() }
    };
    Context::map_current(|current| current.get::<Inside>().is_some_and(belongs).then(|| current.clone()))
}

/// The component that the current context lies in.
pub(super) fn current_component() -> Option<Inside> {
    Context::map_current(|current| current.get::<Inside>().cloned())
}
