//! Where a new span belongs, and what it is linked to.

use opentelemetry::{
    Context,
    trace::{Link, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};

use super::{
    context::{self, MapperId},
    open::{OpenSpan, OpenSpans, recorded},
};
use crate::event::{self, Event, EventScope, TraceContext};

/// Where a component's span belongs: where it was when the event was recorded, else in the context around it if that lies
/// in its parent, else in the parent that it names, else where the ids say, else, as a root, under whatever span of the
/// caller is active.
pub(super) fn parent_context(mapper: MapperId, open: &OpenSpans, event: &Event) -> Context {
    recorded_parent(open, event)
        .or_else(|| context::ambient_for(mapper, event))
        .or_else(|| ended_parent(open, event))
        .or_else(|| open.parent_of(event).map(|parent| parent.context().clone()))
        .unwrap_or_else(Context::current)
}

/// What the event names as related, and the workflow that it is nested in if that one is over and so cannot be its parent.
pub(super) fn links(open: &OpenSpans, event: &Event) -> Vec<Link> {
    let named = event.data.links().unwrap_or_default();
    let ended =
        (event.scope == EventScope::Workflow).then(|| open.ended(event.parent_workflow_id.as_deref())).flatten();
    if named.is_empty() && ended.is_none() {
        return Vec::new();
    }
    named.iter().map(span_context).chain(ended.cloned()).map(Link::with_context).collect()
}

pub(super) fn trace_context(span: &SpanContext, parent: &Context) -> TraceContext {
    let parent = parent.span().span_context().span_id();
    TraceContext {
        trace_id: event::TraceId::from_bytes(span.trace_id().to_bytes()),
        span_id: event::SpanId::from_bytes(span.span_id().to_bytes()),
        parent_span_id: (parent != SpanId::INVALID).then(|| event::SpanId::from_bytes(parent.to_bytes())),
        sampled: span.is_sampled(),
    }
}

/// The component that an event names as its parent, if that is over. By its ids the event might lie in another run under them.
fn ended_parent(open: &OpenSpans, event: &Event) -> Option<Context> {
    open.ended_parent(event).map(|span| Context::new().with_remote_span_context(span.clone()))
}

/// The ids of a span that another layer made. Its parent is not known; it is taken to be the component's, in the same trace.
pub(super) fn adopted_context(span: &SpanContext, parent: &Context) -> TraceContext {
    let is_same_trace = parent.span().span_context().trace_id() == span.trace_id();
    if is_same_trace { trace_context(span, parent) } else { trace_context(span, &Context::new()) }
}

/// The parent that the span of a stored event had. Where that was a span of the user's, only its id is known.
fn recorded_parent(open: &OpenSpans, event: &Event) -> Option<Context> {
    let recorded = recorded(event)?;
    let parent_id = recorded.parent_span_id?;
    if let Some(parent) = open.recorded(event, parent_id) {
        return Some(parent.context().clone());
    }
    // With another id generator than at the recording the trace is another one now, and the id leads nowhere.
    let is_same_trace = |parent: &OpenSpan| parent.trace.trace_id == recorded.trace_id;
    open.parent_of(event).is_none_or(is_same_trace).then(|| {
        let parent = TraceContext { span_id: parent_id, ..recorded };
        Context::new().with_remote_span_context(span_context(&parent))
    })
}

/// The other way round of [`trace_context`].
fn span_context(trace: &TraceContext) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes(trace.trace_id.to_bytes()),
        SpanId::from_bytes(trace.span_id.to_bytes()),
        if trace.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() },
        true,
        TraceState::default(),
    )
}
