//! The state machine from events to spans.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use opentelemetry::{
    Context, KeyValue,
    trace::{Link, Span, SpanBuilder, SpanRef, TraceContextExt as _, Tracer},
};
use parking_lot::Mutex;

use super::{
    coalesce::{DEFAULT_MAX_PROGRESS_EVENTS, ProgressEvent},
    context::{self, MapperId, OtelContext},
    ids,
    open::{Notes, OpenComponent, OpenSpan, OpenSpans, recorded},
    parents::{adopted_context, links, parent_context, trace_context},
    user_events,
};
use crate::{
    event::{Event, EventScope, EventType, TraceContext},
    otel::{
        ContentPolicy,
        bounded::{Bounds, Found},
        content,
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
/// It knows neither `tracing` nor an exporter: [`OtelLayer`](crate::otel::OtelLayer) hands it live events, a replay may hand it
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
    id: MapperId,
    tracer: T,
    bounds: Bounds,
    max_progress_events: u32,
    content: ContentPolicy,
    samples_whole_workflows: bool,
    open: Mutex<OpenSpans>,
    interrupted: AtomicU64,
    has_observed: AtomicBool,
}

/// What became of an event.
#[derive(Debug)]
#[non_exhaustive]
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
            id: MapperId::new(),
            tracer,
            bounds: Bounds { max_open: DEFAULT_MAX_OPEN_SPANS, max_age: DEFAULT_MAX_SPAN_AGE },
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
        self.bounds.max_open = spans.max(1);
        self
    }

    /// Sets how long a span may stay open, counted from when its start was observed, whatever time that carries; it is looked
    /// at when the next span starts. By default, [`DEFAULT_MAX_SPAN_AGE`].
    #[must_use]
    pub fn with_max_span_age(mut self, age: Duration) -> Self {
        self.bounds.max_age = age;
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

    /// Takes in an event. Returns `None` for an event that belongs to no span.
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

    /// How many spans were ended without their component's end, by age, by number or by [`close`](Self::close). An end that
    /// comes after all makes no other span.
    #[must_use]
    pub fn interrupted_spans(&self) -> u64 {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Ends every open span as interrupted, children before their parents, and makes no spans from then on.
    pub fn close(&self) {
        let open = self.open.lock().close();
        open.into_iter().for_each(|component| self.interrupt(component));
    }

    /// Adds a `tracing` event of the user's to the span of the component that it happens in.
    pub(in crate::otel) fn observe_user_event(&self, event: &tracing::Event<'_>) {
        user_events::observe(self.id, event, &self.content);
    }

    fn start(&self, event: &Event) -> Option<Observed> {
        let (parent, links, is_copy) = {
            let open = self.open.lock();
            if open.is_closed() {
                return None;
            }
            if let Some(unsampled) = self.unsampled_workflow(&open, event) {
                return Some(unsampled);
            }
            (parent_context(self.id, &open, event), links(&open, event), open.knows(event))
        };
        let start = mapping::start(event, &self.content)?;
        let span = self.start_span(start, links, event, is_copy, &parent)?;
        let ids = context::ids_of(self.id, event, &parent);
        let notes = span.is_recording().then(|| {
            let mut notes = Notes::new(event.scope, self.max_progress_events);
            notes.details = mapping::details(event, &ids, &self.content);
            notes.details.extend(self.content_of(|| content::input(event)));
            notes
        });
        let trace = trace_context(span.span_context(), &parent);
        let context = context::mark(self.id, &parent.with_span(span), event, &ids);
        let inside = Arc::new(OtelContext::new(context));
        let open_span = OpenSpan {
            inside: Arc::clone(&inside),
            trace,
            recorded: recorded(event).map(|trace| trace.span_id),
            notes,
            is_adopted: false,
        };
        let mut open = self.open.lock();
        if open.is_closed() {
            drop(open);
            inside.context().span().end();
            return None;
        }
        let overdue = open.insert(event, ids, open_span, self.bounds);
        drop(open);
        overdue.into_iter().for_each(|component| self.interrupt(component));
        Some(Observed { trace, context: Some(inside) })
    }

    /// Takes in the start of a component that has a span already, which another layer made and ends: it is named by the
    /// event, what starts in it lies below it, and no other span is started.
    pub(in crate::otel) fn adopt(&self, event: &Event, made: &Context) -> Option<Observed> {
        if !made.span().span_context().is_valid() {
            return self.observe(event);
        }
        self.has_observed.store(true, Ordering::Relaxed);
        let mut open = self.open.lock();
        if open.is_closed() {
            return None;
        }
        let parent = parent_context(self.id, &open, event);
        let ids = context::ids_of(self.id, event, &parent);
        let trace = adopted_context(made.span().span_context(), &parent);
        let inside = Arc::new(OtelContext::new(context::mark_adopted(self.id, made, &parent, event, &ids)));
        let span = OpenSpan { inside: Arc::clone(&inside), trace, recorded: None, notes: None, is_adopted: true };
        let overdue = open.insert(event, ids, span, self.bounds);
        drop(open);
        overdue.into_iter().for_each(|component| self.interrupt(component));
        Some(Observed { trace, context: Some(inside) })
    }

    /// What becomes of a component whose workflow is not sampled, if that decides for it.
    fn unsampled_workflow(&self, open: &OpenSpans, event: &Event) -> Option<Observed> {
        if !self.samples_whole_workflows || event.scope == EventScope::Workflow {
            return None;
        }
        let starts = event.event_type == EventType::Started;
        let unsampled = |workflow: &OpenSpan| {
            workflow.is_unsampled().then(|| Observed {
                trace: workflow.trace,
                context: starts.then(|| Arc::clone(&workflow.inside) as Arc<dyn ComponentContext>),
            })
        };
        let mut workflows = open.workflows_of(event).peekable();
        let Some(newest) = workflows.peek().copied() else {
            let ended = open.ended(event.workflow_id.as_deref())?;
            return (!ended.is_sampled())
                .then(|| Observed { trace: trace_context(ended, &Context::new()), context: None });
        };
        if starts {
            // Of runs under one id it is the one that the component starts in.
            let around = context::current_place(self.id).map(|place| place.trace_id);
            let is_around = |workflow: &&OpenSpan| Some(workflow.trace.trace_id) == around;
            return unsampled(workflows.find(is_around).unwrap_or(newest));
        }
        // Of runs under one id a component without a span is in one that is not sampled.
        workflows.find_map(unsampled)
    }

    /// Starts a span at the event's time, under ids that follow from the event's unless another span has those. Returns
    /// `None` if the tracer makes none, after the provider's shutdown for one.
    ///
    /// No lock may be held: samplers and processors of the user's run in here, and may make spans themselves.
    fn start_span(
        &self,
        start: SpanStart,
        links: Vec<Link>,
        event: &Event,
        is_copy: bool,
        parent: &Context,
    ) -> Option<T::Span> {
        let builder = SpanBuilder::from_name(start.name)
            .with_kind(start.kind)
            .with_start_time(event.timestamp)
            .with_attributes(start.attributes)
            .with_links(links);
        let is_root = !parent.span().span_context().is_valid();
        let build = || self.tracer.build_with_context(builder, parent);
        let span = if is_copy {
            build()
        } else {
            ids::with_ids_of(event.event_id, is_root.then(|| event.trace_seed()), build)
        };
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
        let mut component = match open.take(event) {
            Found::Open(component) => component,
            Found::Abandoned | Found::Ended => return None,
            Found::Unknown => {
                let unsampled = self.unsampled_workflow(&open, event);
                drop(open);
                return unsampled.or_else(|| self.end_without_start(event));
            }
        };
        drop(open);
        let notes = component.kept.of.notes.take();
        let current = component.kept.of.context().span();
        let ended = event.timestamp.max(component.started);
        if component.kept.of.is_adopted {
            return Some(Observed { trace: component.kept.of.trace, context: None });
        }
        if let Some(mut notes) = notes {
            notes.details.extend(self.content_of(|| content::output(event, notes.answer.text())));
            current.set_attributes(mapping::end(event, &self.content));
            self.write_notes(&component, notes, Some(event));
            self.write_failure(&current, Failure::of(event, &self.content), ended);
        }
        current.end_with_timestamp(ended.into());
        Some(Observed { trace: component.kept.of.trace, context: None })
    }

    /// An end whose start was never seen becomes a span of no length, marked as such.
    fn end_without_start(&self, event: &Event) -> Option<Observed> {
        let start = mapping::start(event, &self.content)?;
        let parent = parent_context(self.id, &self.open.lock(), event);
        let context = parent.with_span(self.start_span(start, Vec::new(), event, false, &parent)?);
        let span = context.span();
        if span.is_recording() {
            span.set_attributes(mapping::end(event, &self.content));
            span.set_attribute(KeyValue::new(names::UNMATCHED, true));
            span.set_attributes(mapping::details(event, &context::ids_of(self.id, event, &parent), &self.content));
            span.set_attributes(self.content_of(|| content::output(event, None)));
            self.write_failure(&span, Failure::of(event, &self.content), event.timestamp);
        }
        span.end_with_timestamp(event.timestamp.into());
        let trace = trace_context(span.span_context(), &parent);
        Some(Observed { trace, context: None })
    }

    fn system(&self, event: &Event) -> Option<Observed> {
        let mut open = self.open.lock();
        let span = open.concerned(event, context::current_place(self.id))?;
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

    fn interrupt(&self, mut component: OpenComponent) {
        self.interrupted.fetch_add(1, Ordering::Relaxed);
        if component.kept.of.is_adopted {
            return;
        }
        let notes = component.kept.of.notes.take();
        let current = component.kept.of.context().span();
        let at = component.abandoned_at();
        if let Some(mut notes) = notes {
            if let Some(partial) = notes.answer.text() {
                notes.details.extend(self.content.span_attributes(content::interrupted(partial)));
            }
            current.set_attributes(mapping::interrupted());
            self.write_notes(&component, notes, None);
            self.write_failure(&current, Some(Failure::interrupted()), at);
        }
        current.end_with_timestamp(at.into());
    }

    /// Writes what was gathered, however the component ended, the least important last: an SDK's limit drops what comes
    /// late.
    fn write_notes(&self, component: &OpenComponent, mut notes: Notes, end: Option<&Event>) {
        let current = component.kept.of.context().span();
        if let Some(progress) = notes.progress.finish() {
            self.add_progress(&current, &progress);
        }
        let dropped = [
            (names::SYSTEM_DROPPED_COUNT, notes.system_events.saturating_sub(MAX_SYSTEM_EVENTS)),
            (names::LOG_DROPPED_COUNT, context::dropped_logs(component.kept.of.context())),
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
    fn write_failure(&self, span: &SpanRef<'_>, failure: Option<Failure<'_>>, at: DateTime<Utc>) {
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

impl<T> fmt::Debug for SpanMapper<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanMapper").field("open", &self.open.lock().len()).finish_non_exhaustive()
    }
}
