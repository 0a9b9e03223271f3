//! The state machine from events to spans.

#[cfg(feature = "otlp-http")]
use std::time::Instant;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use opentelemetry::{
    Context,
    trace::{Link, Span, SpanBuilder, TraceContextExt as _, Tracer},
};
use parking_lot::Mutex;

use super::{
    context::{self, MapperId},
    ids,
    open::{OpenComponent, OpenSpan, OpenSpans, recorded},
    parents::{adopted_context, links, parent_context, trace_context},
    span::{ComponentSpan, Notes, Said, Task},
    user_events,
    writer::{LeftSpans, MAX_SYSTEM_EVENTS, SpanWriter, Writing},
};
use crate::{
    event::{Event, EventScope, EventType, Open, TraceContext},
    otel::{
        ContentPolicy, DEFAULT_MAX_PROGRESS_EVENTS, ProgressSignal,
        bounded::{Bounds, Found, Seen},
        content::Budget,
        mapping::{self, SpanStart},
    },
    stream::{ComponentContext, find_carried_by},
};

/// How many spans may be open at once by default; beyond it the oldest is ended as interrupted.
pub const DEFAULT_MAX_OPEN_SPANS: usize = 65_536;

/// How long a span may stay open by default before it is ended as interrupted.
pub const DEFAULT_MAX_SPAN_AGE: Duration = Duration::from_secs(24 * 60 * 60);

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
    writer: Arc<SpanWriter>,
    budget: Budget,
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
        find_carried_by(context::carried);
        Self {
            id: MapperId::new(),
            tracer,
            bounds: Bounds { max_open: DEFAULT_MAX_OPEN_SPANS, max_age: DEFAULT_MAX_SPAN_AGE },
            max_progress_events: DEFAULT_MAX_PROGRESS_EVENTS,
            writer: Arc::default(),
            budget: Budget::default(),
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
        self.writer = Arc::new(self.writer.with_content(content));
        self
    }

    /// Sets whether the spans carry progress. By default, they do. Its counts are on them either way.
    #[must_use]
    pub fn with_progress(mut self, signal: ProgressSignal) -> Self {
        self.writer = Arc::new(self.writer.with_progress(signal));
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
        let (observed, left) = self.observe_in_turn(event);
        if let Some(left) = left {
            left.write();
        }
        observed
    }

    /// Takes in an event, and leaves what takes its time to be written when the turn of the event's stream is over.
    pub(in crate::otel) fn observe_in_turn(&self, event: &Event) -> (Option<Observed>, Option<LeftSpans>) {
        if !self.has_observed() {
            self.has_observed.store(true, Ordering::Relaxed);
        }
        let mut writing = Writing::default();
        let observed = match (event.scope, event.event_type) {
            (EventScope::System, _) => self.system(event, &mut writing),
            (_, EventType::Started) => self.start(event, &mut writing),
            (_, EventType::Progress) => self.progress(event, &mut writing),
            (_, EventType::Completed | EventType::Failed | EventType::Canceled) => self.end(event, &mut writing),
        };
        (observed, self.writer.take_on(writing))
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

    /// How many spans lack some of their content, since more than
    /// [`MAX_OPEN_CONTENT_BYTES`](crate::otel::MAX_OPEN_CONTENT_BYTES) of it was open.
    #[must_use]
    pub fn spans_without_content(&self) -> u64 {
        self.budget.omitted()
    }

    /// Ends every open span as interrupted, children before their parents, and makes no spans from then on.
    pub fn close(&self) {
        let open = self.open.lock().close();
        let writing = Writing { own: None, others: open.into_iter().filter_map(|open| self.interrupt(open)).collect() };
        if let Some(left) = self.writer.take_on(writing) {
            left.write();
        }
    }

    /// Waits until all that events have left to be written by now is written, or the time is over.
    #[cfg(feature = "otlp-http")]
    pub(in crate::otel) fn wait_until(&self, deadline: Instant) {
        self.writer.wait_until(deadline);
    }

    /// Adds a `tracing` event of the user's to the span of the component that it happens in.
    pub(in crate::otel) fn observe_user_event(&self, event: &tracing::Event<'_>) {
        user_events::observe(self.id, event, self.writer.content());
    }

    fn start<'a>(&self, event: &'a Event, writing: &mut Writing<'a>) -> Option<Observed> {
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
        let start = mapping::start(event, self.writer.content())?;
        let span = self.start_span(start, links, event, is_copy, &parent)?;
        let ids = context::ids_of(self.id, event, &parent);
        let notes = span.is_recording().then(|| Notes::new(event.scope, self.max_progress_events, &self.budget));
        let trace = trace_context(span.span_context(), &parent);
        let is_recording = notes.is_some();
        let span = ComponentSpan::new(context::mark(self.id, &parent.with_span(span), event, &ids), notes);
        let recorded = recorded(event).map(|trace| trace.span_id);
        let open_span = OpenSpan { span: Arc::clone(&span), trace, recorded, is_adopted: false };
        if is_recording {
            writing.own = Some((Arc::clone(&span), Task::Start { event: Said::Now(event), ids: ids.clone() }));
        }
        let mut open = self.open.lock();
        if open.is_closed() {
            drop(open);
            span.span().end();
            writing.own = None;
            return None;
        }
        let overdue = open.insert(event, ids, open_span, self.bounds);
        drop(open);
        writing.others.extend(overdue.into_iter().filter_map(|component| self.interrupt(component)));
        Some(Observed { trace, context: Some(span) })
    }

    /// Takes in the start of a component that has a span already, which another layer made and ends: it is named by the
    /// event, what starts in it lies below it, and no other span is started.
    pub(in crate::otel) fn adopt_in_turn(
        &self,
        event: &Event,
        made: &Context,
    ) -> (Option<Observed>, Option<LeftSpans>) {
        if !made.span().span_context().is_valid() {
            return self.observe_in_turn(event);
        }
        self.has_observed.store(true, Ordering::Relaxed);
        let mut open = self.open.lock();
        if open.is_closed() {
            return (None, None);
        }
        let parent = parent_context(self.id, &open, event);
        let ids = context::ids_of(self.id, event, &parent);
        let trace = adopted_context(made.span().span_context(), &parent);
        let span = ComponentSpan::new(context::mark_adopted(self.id, made, &parent, event, &ids), None);
        let open_span = OpenSpan { span: Arc::clone(&span), trace, recorded: None, is_adopted: true };
        let overdue = open.insert(event, ids, open_span, self.bounds);
        drop(open);
        let others = overdue.into_iter().filter_map(|component| self.interrupt(component)).collect();
        let left = self.writer.take_on(Writing { own: None, others });
        (Some(Observed { trace, context: Some(span) }), left)
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
                context: starts.then(|| Arc::clone(&workflow.span) as Arc<dyn ComponentContext>),
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

    fn progress<'a>(&self, event: &'a Event, writing: &mut Writing<'a>) -> Option<Observed> {
        let mut open = self.open.lock();
        let Some(open_span) = open.of(event) else { return self.unsampled_workflow(&open, event) };
        let observed = Observed { trace: open_span.trace, context: None };
        let mut notes = open_span.span.notes();
        let Some(Notes { progress, answer, share, .. }) = &mut *notes else { return Some(observed) };
        let content = self.writer.content();
        if event.scope == EventScope::LlmRequest && content.capture().is_on_spans() {
            answer.add(event, content.max_partial_bytes(), share);
        }
        if let Some(done) = progress.add(event) {
            writing.own = Some((Arc::clone(&open_span.span), Task::Progress(Box::new(done))));
        }
        Some(observed)
    }

    fn end<'a>(&self, event: &'a Event, writing: &mut Writing<'a>) -> Option<Observed> {
        let mut open = self.open.lock();
        let Open { started, kept: Seen { of: OpenSpan { span, trace, is_adopted, .. }, .. }, .. } =
            match open.take(event) {
                Found::Open(component) => component,
                Found::Abandoned | Found::Ended => return None,
                Found::Unknown => {
                    let unsampled = self.unsampled_workflow(&open, event);
                    drop(open);
                    return unsampled.or_else(|| self.end_without_start(event, writing));
                }
            };
        drop(open);
        if is_adopted {
            return Some(Observed { trace, context: None });
        }
        writing.own = Some((span, Task::End { event: Said::Now(event), started }));
        Some(Observed { trace, context: None })
    }

    fn end_without_start<'a>(&self, event: &'a Event, writing: &mut Writing<'a>) -> Option<Observed> {
        let start = mapping::start(event, self.writer.content())?;
        let parent = parent_context(self.id, &self.open.lock(), event);
        let span = self.start_span(start, Vec::new(), event, false, &parent)?;
        let trace = trace_context(span.span_context(), &parent);
        let ids = context::ids_of(self.id, event, &parent);
        let span = ComponentSpan::new(parent.with_span(span), None);
        writing.own = Some((span, Task::Unmatched { event: Said::Now(event), ids }));
        Some(Observed { trace, context: None })
    }

    fn system<'a>(&self, event: &'a Event, writing: &mut Writing<'a>) -> Option<Observed> {
        let mut open = self.open.lock();
        let concerned = open.concerned(event, context::current_place(self.id))?;
        let observed = Observed { trace: concerned.trace, context: None };
        let mut notes = concerned.span.notes();
        let Some(notes) = &mut *notes else { return Some(observed) };
        notes.system_events += 1;
        if notes.system_events <= MAX_SYSTEM_EVENTS {
            writing.own = Some((Arc::clone(&concerned.span), Task::System(Said::Now(event))));
        }
        Some(observed)
    }

    fn interrupt(&self, component: OpenComponent) -> Option<(Arc<ComponentSpan>, Task<'static>)> {
        self.interrupted.fetch_add(1, Ordering::Relaxed);
        let at = component.abandoned_at();
        let task = Task::Interrupt { scope: component.scope, started: component.started, at };
        let OpenSpan { span, is_adopted, .. } = component.kept.of;
        (!is_adopted).then_some((span, task))
    }
}

impl<T> fmt::Debug for SpanMapper<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanMapper").field("open", &self.open.lock().len()).finish_non_exhaustive()
    }
}
