//! The state machine from events to spans.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use opentelemetry::{
    Context, KeyValue,
    trace::{
        Link, Span, SpanBuilder, SpanContext, SpanId, SpanRef, TraceContextExt as _, TraceFlags, TraceId, TraceState,
        Tracer,
    },
};
use parking_lot::Mutex;

use super::{
    coalesce::{DEFAULT_MAX_PROGRESS_EVENTS, ProgressEvent},
    context::{self, OtelContext},
    ids,
    open::{Notes, OpenSpan, OpenSpans, recorded},
};
use crate::{
    event::{self, Event, EventScope, EventType, Open, TraceContext},
    otel::{
        ContentPolicy, content,
        failure::Failure,
        mapping::{self, SpanStart},
        names,
    },
    stream::ComponentContext,
};

/// How many spans may be open at once by default; beyond it the oldest is ended as interrupted.
pub const DEFAULT_MAX_OPEN_SPANS: usize = 65_536;

/// How long a span may stay open by default before it is ended as interrupted.
pub const DEFAULT_MAX_SPAN_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// How many system events one span takes, so that the SDK's limit leaves room for the event that says how it failed.
const MAX_SYSTEM_EVENTS: u32 = 15;

/// Turns events into spans of a [`Tracer`], with the events' own times.
///
/// It knows neither `tracing` nor an exporter: [`OtelLayer`](crate::otel::OtelLayer) gives it live events, a replay may give it
/// stored ones. Events of one component must come in order; components may interleave in any way.
///
/// ```
/// use agent_runtime::{otel::{EventIdGenerator, SpanMapper}, prelude::*};
/// use opentelemetry::trace::TracerProvider as _;
/// use opentelemetry_sdk::trace::SdkTracerProvider;
///
/// let provider = SdkTracerProvider::builder().with_id_generator(EventIdGenerator::default()).build();
/// let mapper = SpanMapper::new(provider.tracer("replay"));
/// let started = Event::tool_started("search", None, None, json!({}));
/// let seen = mapper.observe(&started).ok_or("a tool has a span")?;
/// assert_eq!(mapper.open_spans(), 1);
/// let ended = mapper.observe(&Event::tool_completed("search", None, None, json!({}))).ok_or("and an end")?;
/// assert_eq!((mapper.open_spans(), ended.trace), (0, seen.trace));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SpanMapper<T> {
    tracer: T,
    max_open_spans: usize,
    max_span_age: TimeDelta,
    max_progress_events: u32,
    content: ContentPolicy,
    samples_whole_workflows: bool,
    open: Mutex<OpenSpans>,
    interrupted: AtomicU64,
    has_observed: AtomicBool,
}

/// What became of an event.
#[derive(Debug)]
pub struct Observed {
    /// The span of the event's component.
    pub trace: TraceContext,
    /// For a Started event, the context that the component's work should run in.
    pub context: Option<Arc<dyn ComponentContext>>,
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
            samples_whole_workflows: false,
            open: Mutex::default(),
            interrupted: AtomicU64::new(0),
            has_observed: AtomicBool::new(false),
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

    /// Lets the sampler's decision on a workflow stand for the components in it, which then cost next to nothing if the
    /// workflow is not sampled: they share its context, and [`Event::trace`] names its span.
    ///
    /// Right for every sampler of the OpenTelemetry specification, since those decide by the trace or by the parent. By
    /// default the sampler is asked for each component, which one that looks at names or attributes needs.
    #[must_use]
    pub const fn with_whole_workflows_sampled(mut self, whole: bool) -> Self {
        self.samples_whole_workflows = whole;
        self
    }

    /// What of the events' content the spans carry.
    pub(in crate::otel) const fn content(&self) -> &ContentPolicy {
        &self.content
    }

    /// Takes in an event. Gives nothing for an event that belongs to no span.
    pub fn observe(&self, event: &Event) -> Option<Observed> {
        if !self.has_observed() {
            self.has_observed.store(true, Ordering::Relaxed);
        }
        match (event.scope, event.event_type) {
            (EventScope::System, _) => self.system(event),
            (_, EventType::Started) => self.start(event),
            (_, EventType::Progress) => self.progress(event),
            (_, EventType::Completed | EventType::Failed | EventType::Canceled) => self.end(event),
        }
    }

    /// Whether any event has come.
    pub(in crate::otel) fn has_observed(&self) -> bool {
        self.has_observed.load(Ordering::Relaxed)
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
        while let Some(component) = { self.open.lock().take_newest() } {
            self.interrupt(component, now);
        }
    }

    fn start(&self, event: &Event) -> Option<Observed> {
        let (parent, links) = {
            let open = self.open.lock();
            if let Some(unsampled) = self.unsampled_workflow(&open, event) {
                return Some(unsampled);
            }
            (parent_context(&open, event), links(&open, event))
        };
        let start = mapping::start(event, &self.content)?;
        let span = self.start_span(start, links, event, &parent)?;
        let ids = context::ids_of(event, &parent);
        let notes = span.is_recording().then(|| {
            let mut notes = Notes::new(event.scope, self.max_progress_events);
            notes.details = mapping::details(event, &ids, &self.content);
            notes.details.extend(self.content_of(|| content::input(event)));
            notes
        });
        let trace = trace_context(span.span_context(), &parent);
        let context = context::mark(&parent.with_span(span), &ids);
        let inside = Arc::new(OtelContext::new(context));
        let open_span = OpenSpan {
            inside: Arc::clone(&inside),
            trace,
            recorded: recorded(event).map(|trace| trace.span_id),
            notes,
        };
        let mut open = self.open.lock();
        let overdue = open.take_overdue(self.max_open_spans, self.max_span_age, event.timestamp);
        open.insert(event, ids, open_span);
        drop(open);
        overdue.into_iter().for_each(|component| self.interrupt(component, event.timestamp));
        Some(Observed { trace, context: Some(inside) })
    }

    /// What becomes of a component whose workflow is not sampled, if that decides for it.
    fn unsampled_workflow(&self, open: &OpenSpans, event: &Event) -> Option<Observed> {
        if !self.samples_whole_workflows || event.scope == EventScope::Workflow {
            return None;
        }
        let Some(workflow) = open.workflow_of(event) else {
            let ended = open.ended(event.workflow_id.as_deref())?;
            return (!ended.is_sampled())
                .then(|| Observed { trace: trace_context(ended, &Context::new()), context: None });
        };
        let starts = event.event_type == EventType::Started;
        workflow.notes.is_none().then(|| Observed {
            trace: workflow.trace,
            context: starts.then(|| Arc::clone(&workflow.inside) as Arc<dyn ComponentContext>),
        })
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
        let Some(span) = open.of(event) else { return self.unsampled_workflow(&open, event) };
        let observed = Observed { trace: span.trace, context: None };
        let Some(notes) = &mut span.notes else { return Some(observed) };
        let done = notes.progress.add(event);
        if event.scope == EventScope::LlmRequest && self.content.capture().is_on_spans() {
            notes.answer.add(event, self.content.max_partial_bytes());
        }
        if let Some(done) = done {
            let inside = Arc::clone(&span.inside);
            drop(open);
            self.add_progress(&inside.context().span(), &done);
        }
        Some(observed)
    }

    fn end(&self, event: &Event) -> Option<Observed> {
        let mut open = self.open.lock();
        let Some(mut component) = open.take(event) else {
            let unsampled = self.unsampled_workflow(&open, event);
            drop(open);
            return unsampled.or_else(|| self.end_without_start(event));
        };
        drop(open);
        let notes = component.kept.notes.take();
        let current = component.kept.context().span();
        let ended = event.timestamp.max(component.started);
        if let Some(mut notes) = notes {
            notes.details.extend(self.content_of(|| content::output(event, notes.answer.text())));
            current.set_attributes(mapping::end(event, &self.content));
            self.tell_notes(&component, notes, Some(event));
            self.tell_failure(&current, Failure::of(event, &self.content), ended);
        }
        current.end_with_timestamp(ended.into());
        Some(Observed { trace: component.kept.trace, context: None })
    }

    /// An end whose start was never seen gives a span of no length, marked as such.
    fn end_without_start(&self, event: &Event) -> Option<Observed> {
        let start = mapping::start(event, &self.content)?;
        let parent = parent_context(&self.open.lock(), event);
        let context = parent.with_span(self.start_span(start, Vec::new(), event, &parent)?);
        let span = context.span();
        if span.is_recording() {
            span.set_attributes(mapping::end(event, &self.content));
            span.set_attribute(KeyValue::new(names::UNMATCHED, true));
            span.set_attributes(mapping::details(event, &context::ids_of(event, &parent), &self.content));
            span.set_attributes(self.content_of(|| content::output(event, None)));
            self.tell_failure(&span, Failure::of(event, &self.content), event.timestamp);
        }
        span.end_with_timestamp(event.timestamp.into());
        let trace = trace_context(span.span_context(), &parent);
        Some(Observed { trace, context: None })
    }

    fn system(&self, event: &Event) -> Option<Observed> {
        let mut open = self.open.lock();
        let span = open.concerned(event, context::current_place())?;
        let observed = Observed { trace: span.trace, context: None };
        let Some(notes) = &mut span.notes else { return Some(observed) };
        notes.system_events += 1;
        if notes.system_events <= MAX_SYSTEM_EVENTS {
            let inside = Arc::clone(&span.inside);
            drop(open);
            let (name, attributes) = mapping::system(event, &self.content);
            inside.context().span().add_event_with_timestamp(name, event.timestamp.into(), attributes);
        }
        Some(observed)
    }

    fn interrupt(&self, mut component: Open<OpenSpan>, at: DateTime<Utc>) {
        self.interrupted.fetch_add(1, Ordering::Relaxed);
        let notes = component.kept.notes.take();
        let current = component.kept.context().span();
        if let Some(mut notes) = notes {
            if let Some(partial) = notes.answer.text() {
                notes.details.extend(self.content.span_attributes(content::interrupted(partial)));
            }
            current.set_attributes(mapping::interrupted());
            self.tell_notes(&component, notes, None);
            self.tell_failure(&current, Some(Failure::interrupted()), at.max(component.started));
        }
        current.end_with_timestamp(at.max(component.started).into());
    }

    /// Writes what was gathered, however the component ended, the least important last: an SDK's limit drops what comes
    /// late.
    fn tell_notes(&self, component: &Open<OpenSpan>, mut notes: Notes, end: Option<&Event>) {
        let current = component.kept.context().span();
        if let Some(progress) = notes.progress.finish() {
            self.add_progress(&current, &progress);
        }
        let dropped = [
            (names::SYSTEM_DROPPED_COUNT, notes.system_events.saturating_sub(MAX_SYSTEM_EVENTS)),
            (names::LOG_DROPPED_COUNT, context::dropped_logs(component.kept.context())),
        ];
        for (name, count) in dropped.into_iter().filter(|(_, count)| *count > 0) {
            current.set_attribute(KeyValue::new(name, i64::from(count)));
        }
        if component.scope == EventScope::LlmRequest {
            let (chunks, first) = (notes.progress.total(), notes.progress.first_at());
            current.set_attributes(mapping::stream(end, component.started, chunks, first));
        }
        // What was asked and what was answered may both say that they were cut.
        let mut is_cut = false;
        let is_first = |attribute: &KeyValue| {
            attribute.key.as_str() != names::CONTENT_TRUNCATED || !std::mem::replace(&mut is_cut, true)
        };
        current.set_attributes(notes.details.into_iter().filter(is_first));
    }

    /// Says on a span how its component failed.
    fn tell_failure(&self, span: &SpanRef<'_>, failure: Option<Failure<'_>>, at: DateTime<Utc>) {
        if let Some(failure) = failure {
            span.add_event_with_timestamp(names::EVENT_EXCEPTION, at.into(), failure.exception(&self.content));
            span.set_status(failure.status());
        }
    }

    fn add_progress(&self, span: &SpanRef<'_>, progress: &ProgressEvent) {
        span.add_event_with_timestamp(progress.name(), progress.at().into(), progress.attributes(&self.content));
    }

    /// The content that a span carries.
    fn content_of(&self, fields: impl FnOnce() -> content::Fields) -> Vec<KeyValue> {
        if self.content.capture().is_on_spans() { self.content.span_attributes(fields()) } else { Vec::new() }
    }
}

/// What the event names as related, and the workflow that it is nested in if that one is over and so cannot be its parent.
fn links(open: &OpenSpans, event: &Event) -> Vec<Link> {
    let named = event.data.links().unwrap_or_default();
    let ended =
        (event.scope == EventScope::Workflow).then(|| open.ended(event.parent_workflow_id.as_deref())).flatten();
    if named.is_empty() && ended.is_none() {
        return Vec::new();
    }
    named.iter().map(span_context).chain(ended.cloned()).map(Link::with_context).collect()
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
        .or_else(|| context::ambient_for(event))
        .or_else(|| open.parent_of(event).map(|parent| parent.context().clone()))
        .unwrap_or_else(Context::current)
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
