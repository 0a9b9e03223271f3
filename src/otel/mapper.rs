//! The state machine from events to spans.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use opentelemetry::{
    Context, KeyValue,
    trace::{
        Link, Span, SpanBuilder, SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
        Tracer,
    },
};
use parking_lot::Mutex;

use super::{
    ContentPolicy, PartialAnswer,
    coalesce::{Coalescer, DEFAULT_MAX_PROGRESS_EVENTS, ProgressEvent},
    content, ids,
    mapping::{self, SpanStart},
    names,
    open_spans::{OpenSpan, OpenSpans},
    scope::{self, OtelScope},
};
use crate::event::{self, Event, EventScope, EventType, SpanScope, TraceContext};

/// How many spans may be open at once by default; beyond it the oldest is ended as interrupted.
pub const DEFAULT_MAX_OPEN_SPANS: usize = 65_536;

/// How long a span may stay open by default before it is ended as interrupted.
pub const DEFAULT_MAX_SPAN_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// How many system events one span takes.
const MAX_SYSTEM_EVENTS: u32 = 16;

/// Turns events into spans of a [`Tracer`], with the events' own times.
///
/// It knows neither `tracing` nor an exporter: [`OtelLayer`](super::OtelLayer) gives it live events, a replay may give it
/// stored ones. Events of one component must come in order; components may interleave in any way.
pub struct SpanMapper<T> {
    tracer: T,
    max_open_spans: usize,
    max_span_age: TimeDelta,
    max_progress_events: u32,
    content: ContentPolicy,
    open: Mutex<OpenSpans>,
    interrupted: AtomicU64,
}

/// What became of an event.
#[derive(Debug)]
pub struct Observed {
    /// The span of the event's component.
    pub trace: TraceContext,
    /// For a Started event, the context that the component's work should run in.
    pub scope: Option<Arc<dyn SpanScope>>,
}

impl<T> SpanMapper<T>
where
    T: Tracer,
    T::Span: Send + Sync + 'static,
{
    /// Makes a mapper that starts its spans with a tracer.
    #[must_use]
    pub fn new(tracer: T) -> Self {
        Self {
            tracer,
            max_open_spans: DEFAULT_MAX_OPEN_SPANS,
            max_span_age: TimeDelta::from_std(DEFAULT_MAX_SPAN_AGE).unwrap_or(TimeDelta::MAX),
            max_progress_events: DEFAULT_MAX_PROGRESS_EVENTS,
            content: ContentPolicy::default(),
            open: Mutex::default(),
            interrupted: AtomicU64::new(0),
        }
    }

    /// Sets how many spans may be open at once; at least 1. By default, [`DEFAULT_MAX_OPEN_SPANS`].
    #[must_use]
    pub fn with_max_open_spans(mut self, spans: usize) -> Self {
        self.max_open_spans = spans.max(1);
        self
    }

    /// Sets how long a span may stay open; it is looked at when the next span starts. By default,
    /// [`DEFAULT_MAX_SPAN_AGE`].
    #[must_use]
    pub fn with_max_span_age(mut self, age: Duration) -> Self {
        self.max_span_age = TimeDelta::from_std(age).unwrap_or(TimeDelta::MAX);
        self
    }

    /// Sets how many span events the progress of one component becomes at most; at least 1. By default,
    /// [`DEFAULT_MAX_PROGRESS_EVENTS`].
    #[must_use]
    pub fn with_max_progress_events(mut self, events: u32) -> Self {
        self.max_progress_events = events.max(1);
        self
    }

    /// Sets what of the events' content the spans carry. By default, nothing.
    #[must_use]
    pub fn with_content(mut self, content: ContentPolicy) -> Self {
        self.content = content;
        self
    }

    /// What of the events' content the spans carry.
    pub(super) const fn content(&self) -> &ContentPolicy {
        &self.content
    }

    /// Takes in an event. Gives nothing for an event that belongs to no span.
    pub fn observe(&self, event: &Event) -> Option<Observed> {
        match (event.scope, event.event_type) {
            (EventScope::System, _) => self.system(event),
            (_, EventType::Started) => self.start(event),
            (_, EventType::Progress) => self.progress(event),
            (_, EventType::Completed | EventType::Failed | EventType::Canceled) => self.end(event),
        }
    }

    /// How many spans are open.
    #[must_use]
    pub fn open_spans(&self) -> usize {
        self.open.lock().len()
    }

    /// How many spans were ended without their component's end, by age, by number or by [`close`](Self::close).
    #[must_use]
    pub fn interrupted_spans(&self) -> u64 {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Ends every open span as interrupted, children before their parents.
    pub fn close(&self) {
        let now = Utc::now();
        while let Some(span) = { self.open.lock().take_newest() } {
            self.interrupt(span, now);
        }
    }

    fn start(&self, event: &Event) -> Option<Observed> {
        let start = mapping::start(event, &self.content)?;
        let (parent, links) = {
            let open = self.open.lock();
            (parent_context(&open, event), links(&open, event))
        };
        let span = self.start_span(start, links, event, &parent)?;
        let trace = trace_context(span.span_context(), &parent);
        let (context, logs) = scope::mark(&parent.with_span(span), event);
        let mut open = self.open.lock();
        let overdue = open.take_overdue(self.max_open_spans, self.max_span_age, event.timestamp);
        open.insert(OpenSpan {
            scope: event.scope,
            component_id: event.component_id.clone(),
            workflow_id: event.workflow_id.clone(),
            started: event.timestamp,
            context: context.clone(),
            trace,
            recorded: event.trace.map(|trace| trace.span_id),
            progress: Coalescer::new(event.scope, self.max_progress_events),
            answer: PartialAnswer::default(),
            system_events: 0,
            logs,
        });
        drop(open);
        if self.is_captured(&context) {
            context.span().set_attributes(self.content.span_attributes(content::input(event)));
        }
        overdue.into_iter().for_each(|span| self.interrupt(span, event.timestamp));
        Some(Observed { trace, scope: Some(Arc::new(OtelScope::new(context))) })
    }

    /// Starts a span at the event's time. Gives none if the tracer gives none, after the provider's shutdown for one.
    ///
    /// No lock may be held: samplers and processors of the user's run in here, and may make spans themselves.
    fn start_span(&self, start: SpanStart, links: Vec<Link>, event: &Event, parent: &Context) -> Option<T::Span> {
        let builder = SpanBuilder::from_name(start.name)
            .with_kind(start.kind)
            .with_start_time(event.timestamp)
            .with_attributes(start.attributes)
            .with_links(links);
        let is_root = !parent.span().span_context().is_valid();
        let span = ids::with_ids_of(event.event_id, is_root, || self.tracer.build_with_context(builder, parent));
        span.span_context().is_valid().then_some(span)
    }

    fn progress(&self, event: &Event) -> Option<Observed> {
        let mut open = self.open.lock();
        let span = open.of(event)?;
        let done = span.progress.add(event);
        if event.scope == EventScope::LlmRequest && self.is_captured(&span.context) {
            span.answer.add(event, self.content.max_partial_bytes());
        }
        let (context, trace) = (span.context.clone(), span.trace);
        drop(open);
        self.add_progress(&context, done);
        Some(Observed { trace, scope: None })
    }

    fn end(&self, event: &Event) -> Option<Observed> {
        let taken = self.open.lock().take(event);
        let Some(mut span) = taken else { return self.end_without_start(event) };
        // One that is not sampled would drop all that the end tells.
        if span.context.span().is_recording() {
            self.tell_end(&mut span, event);
        }
        span.context.span().end_with_timestamp(event.timestamp.max(span.started).into());
        Some(Observed { trace: span.trace, scope: None })
    }

    fn tell_end(&self, span: &mut OpenSpan, event: &Event) {
        self.finish_progress(span, event);
        let current = span.context.span();
        current.set_attributes(mapping::end(event, &self.content));
        if self.is_captured(&span.context) {
            current.set_attributes(self.content.span_attributes(content::output(event, span.answer.text())));
        }
        current.set_status(mapping::status(event, &self.content));
    }

    /// An end whose start was never seen gives a span of no length, marked as such.
    fn end_without_start(&self, event: &Event) -> Option<Observed> {
        let mut start = mapping::start(event, &self.content)?;
        start.attributes.extend(mapping::end(event, &self.content));
        start.attributes.push(KeyValue::new(names::UNMATCHED, true));
        let parent = parent_context(&self.open.lock(), event);
        let mut span = self.start_span(start, Vec::new(), event, &parent)?;
        if self.content.capture().is_on_spans() && span.is_recording() {
            span.set_attributes(self.content.span_attributes(content::output(event, None)));
        }
        span.set_status(mapping::status(event, &self.content));
        span.end_with_timestamp(event.timestamp.into());
        let trace = trace_context(span.span_context(), &parent);
        Some(Observed { trace, scope: None })
    }

    fn system(&self, event: &Event) -> Option<Observed> {
        let mut open = self.open.lock();
        let span = open.concerned(event, scope::current_component())?;
        span.system_events += 1;
        let has_room = span.system_events <= MAX_SYSTEM_EVENTS;
        let (context, trace) = (span.context.clone(), span.trace);
        drop(open);
        if has_room {
            let (name, attributes) = mapping::system(event, &self.content);
            context.span().add_event_with_timestamp(name, event.timestamp.into(), attributes);
        }
        Some(Observed { trace, scope: None })
    }

    fn interrupt(&self, mut span: OpenSpan, at: DateTime<Utc>) {
        self.interrupted.fetch_add(1, Ordering::Relaxed);
        self.add_progress(&span.context, span.progress.finish());
        let current = span.context.span();
        if let Some(partial) = span.answer.text().filter(|_| self.is_captured(&span.context)) {
            current.set_attributes(self.content.span_attributes(content::interrupted(partial)));
        }
        current.set_attribute(KeyValue::new(names::INTERRUPTED, true));
        current.set_attribute(KeyValue::new(names::ERROR_TYPE, mapping::INTERRUPTED));
        current.set_status(Status::error("the end of the component was never told"));
        current.end_with_timestamp(at.max(span.started).into());
    }

    /// Whether a span carries content; one that is not sampled costs no serialization.
    fn is_captured(&self, context: &Context) -> bool {
        self.content.capture().is_on_spans() && context.span().is_recording()
    }

    fn finish_progress(&self, span: &mut OpenSpan, end: &Event) {
        let done = span.progress.finish();
        self.add_progress(&span.context, done);
        let current = span.context.span();
        if span.system_events > MAX_SYSTEM_EVENTS {
            let dropped = i64::from(span.system_events - MAX_SYSTEM_EVENTS);
            current.set_attribute(KeyValue::new(names::SYSTEM_DROPPED_COUNT, dropped));
        }
        if span.logs.dropped() > 0 {
            current.set_attribute(KeyValue::new(names::LOG_DROPPED_COUNT, i64::from(span.logs.dropped())));
        }
        if span.scope == EventScope::LlmRequest {
            current.set_attributes(mapping::stream(end, span.started, span.progress.total(), span.progress.first_at()));
        }
    }

    fn add_progress(&self, context: &Context, progress: Option<ProgressEvent>) {
        if let Some(progress) = progress.filter(|_| context.span().is_recording()) {
            let attributes = progress.attributes(&self.content);
            context.span().add_event_with_timestamp(progress.name(), progress.at().into(), attributes);
        }
    }
}

/// What the event names as related, and the workflow that it is nested in if that one is over and so cannot be its parent.
fn links(open: &OpenSpans, event: &Event) -> Vec<Link> {
    let named = event.data.links().unwrap_or_default().into_iter().map(|trace| span_context(&trace));
    let ended = (event.scope == EventScope::Workflow).then(|| open.ended_parent_of(event)).flatten();
    named.chain(ended).map(Link::with_context).collect()
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

/// Where a component's span belongs: where it was when the event was recorded, else in the context around it if that lies
/// in its workflow, else where the ids say, else, as a root, under whatever span of the caller is active.
fn parent_context(open: &OpenSpans, event: &Event) -> Context {
    recorded_parent(open, event)
        .or_else(|| scope::ambient_for(event))
        .or_else(|| open.parent_of(event).map(|parent| parent.context.clone()))
        .unwrap_or_else(Context::current)
}

/// The parent that the span of a stored event had. Where that was a span of the user's, only its id is known.
fn recorded_parent(open: &OpenSpans, event: &Event) -> Option<Context> {
    let recorded = event.trace?;
    let parent_id = recorded.parent_span_id?;
    if let Some(parent) = open.recorded(event, parent_id) {
        return Some(parent.context.clone());
    }
    // With another id generator than at the recording the trace is another one now, and the id leads nowhere.
    let is_same_trace = |parent: &OpenSpan| parent.trace.trace_id == recorded.trace_id;
    open.parent_of(event).is_none_or(is_same_trace).then(|| {
        let parent = TraceContext { span_id: parent_id, ..recorded };
        Context::new().with_remote_span_context(span_context(&parent))
    })
}

fn trace_context(span: &SpanContext, parent: &Context) -> TraceContext {
    let parent = parent.span().span_context().span_id();
    TraceContext {
        trace_id: event::TraceId::from_bytes(span.trace_id().to_bytes()),
        span_id: event::SpanId::from_bytes(span.span_id().to_bytes()),
        parent_span_id: (parent != SpanId::INVALID).then(|| event::SpanId::from_bytes(parent.to_bytes())),
        sampled: span.is_sampled(),
    }
}

impl<T> fmt::Debug for SpanMapper<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanMapper").field("open", &self.open.lock().len()).finish_non_exhaustive()
    }
}
