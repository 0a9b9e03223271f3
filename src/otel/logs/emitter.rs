//! The state machine from events to the conventions' log events.

use std::fmt;
#[cfg(feature = "otlp-http")]
use std::time::Instant;

use chrono::{DateTime, Utc};
use opentelemetry::{
    KeyValue, SpanId as OtelSpanId, TraceFlags, TraceId as OtelTraceId,
    logs::{LogRecord as _, Logger as _, Severity},
};
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger};
use parking_lot::Mutex;

use super::{
    open::{LoggedRequest, Start},
    progress::{Merged, ProgressLog},
};
use crate::{
    event::{Event, EventScope, EventType, Open, SharedIds, TraceContext},
    otel::{
        ContentPolicy, DEFAULT_MAX_OPEN_SPANS, DEFAULT_MAX_PROGRESS_EVENTS, DEFAULT_MAX_SPAN_AGE, ProgressSignal,
        bounded::{Bounded, Bounds, Found, Seen},
        content::{Budget, input, interrupted, of_attribute, output},
        failure, mapping, names,
        unfinished::{Ticket, Unfinished},
    },
};

/// Turns the events of requests to models into the conventions' log events, and progress into ours, with the events' own
/// times:
///
/// | log event | when | severity | attributes |
/// | --- | --- | --- | --- |
/// | `gen_ai.client.inference.operation.details` | a request has ended, however it did | debug | those of its span, and what was asked and answered as structured values |
/// | `gen_ai.client.operation.exception` | a request has failed | warn | `exception.type`, `exception.message` |
/// | `agent_runtime.progress`, `agent_runtime.llm.chunk` | progress of any component, after [`with_progress`](Self::with_progress) | debug | those of the span event of that name |
///
/// Like [`SpanMapper`](crate::otel::SpanMapper) it knows neither `tracing` nor an exporter. Of requests it emits nothing unless
/// the policy's [capture](crate::otel::ContentCapture::is_in_events) asks for events, and nothing at all for a trace that is
/// not sampled.
pub struct LogEmitter {
    logger: SdkLogger,
    content: ContentPolicy,
    open: Mutex<Bounded<LoggedRequest>>,
    progress: Option<ProgressLog>,
    unfinished: Unfinished,
    budget: Budget,
}

/// What it keeps at most.
const BOUNDS: Bounds = Bounds { max_open: DEFAULT_MAX_OPEN_SPANS, max_age: DEFAULT_MAX_SPAN_AGE };

/// Log events that an event has left to be made.
#[derive(Debug)]
pub(in crate::otel) struct LeftLogs {
    over: Vec<Over>,
    _ticket: Ticket,
}

/// A request that is over, or progress that is not merged further.
#[derive(Debug)]
enum Over {
    Progress(Merged),
    Ended { event: Event, trace: TraceContext, request: Option<LoggedRequest> },
    Interrupted(Open<Seen<LoggedRequest>>),
}

impl LogEmitter {
    /// Makes an emitter that hands its log events to a logger.
    #[must_use]
    pub fn new(logger: SdkLogger, content: ContentPolicy) -> Self {
        Self {
            logger,
            content,
            open: Mutex::default(),
            progress: None,
            unfinished: Unfinished::default(),
            budget: Budget::default(),
        }
    }

    /// Sets whether progress becomes log events, merged as on spans into at most
    /// [`DEFAULT_MAX_PROGRESS_EVENTS`] of a component. By default, it does not.
    #[must_use]
    pub fn with_progress(mut self, signal: ProgressSignal) -> Self {
        self.progress = signal.is_in_logs().then(|| ProgressLog::new(DEFAULT_MAX_PROGRESS_EVENTS, BOUNDS));
        self
    }

    /// Takes in an event and the span of its component, as [`SpanMapper::observe`](crate::otel::SpanMapper::observe)
    /// returns it.
    pub fn observe(&self, event: &Event, trace: TraceContext) {
        if let Some(left) = self.observe_in_turn(event, trace) {
            self.write(left);
        }
    }

    /// Takes in an event, and leaves the log events that come of it to be made when the turn of the event's stream is over.
    pub(in crate::otel) fn observe_in_turn(&self, event: &Event, trace: TraceContext) -> Option<LeftLogs> {
        if event.scope == EventScope::System || !trace.sampled {
            return None;
        }
        let progress = self.progress.iter().flat_map(|progress| progress.observe(event, trace));
        let mut over: Vec<_> = progress.map(Over::Progress).collect();
        if event.scope == EventScope::LlmRequest && self.content.capture().is_in_events() {
            over.extend(self.observe_request(event, trace));
        }
        (!over.is_empty()).then(|| LeftLogs { over, _ticket: self.unfinished.begin() })
    }

    fn observe_request(&self, event: &Event, trace: TraceContext) -> Vec<Over> {
        match event.event_type {
            EventType::Started => self.start(event, trace).into_iter().map(Over::Interrupted).collect(),
            EventType::Progress => {
                if let Some(request) = self.open.lock().open_mut().of(event) {
                    request.kept.of.add_chunk(event, self.content.max_partial_bytes());
                }
                Vec::new()
            }
            EventType::Completed | EventType::Failed | EventType::Canceled => {
                self.end(event, trace).into_iter().collect()
            }
        }
    }

    /// Makes the log events that were left, with no lock held.
    pub(in crate::otel) fn write(&self, left: LeftLogs) {
        for over in left.over {
            match over {
                Over::Progress(merged) => self.progress(&merged),
                Over::Ended { event, trace, request } => self.ended(&event, trace, request.as_ref()),
                Over::Interrupted(request) => self.interrupted(&request),
            }
        }
    }

    /// Waits until all log events that were left by now are made, or the time is over.
    #[cfg(feature = "otlp-http")]
    pub(in crate::otel) fn wait_until(&self, deadline: Instant) {
        self.unfinished.wait_until(deadline);
    }

    /// How many requests were logged without all of their content, since more than
    /// [`MAX_OPEN_CONTENT_BYTES`](crate::otel::MAX_OPEN_CONTENT_BYTES) of it was open.
    #[must_use]
    pub fn requests_without_content(&self) -> u64 {
        self.budget.omitted()
    }

    /// Reports every request whose end has not come as interrupted, and takes in no others from then on.
    pub fn close(&self) {
        self.progress.iter().flat_map(ProgressLog::close).for_each(|merged| self.progress(&merged));
        let mut requests = self.open.lock().close();
        requests.reverse();
        requests.iter().for_each(|request| self.interrupted(request));
    }

    fn start(&self, event: &Event, trace: TraceContext) -> Vec<Open<Seen<LoggedRequest>>> {
        let attributes = || self.told_at_start(event).collect();
        let request = LoggedRequest::new(event, trace, self.budget.share(), attributes);
        self.open.lock().insert(event, SharedIds::of(event), request, BOUNDS)
    }

    fn end(&self, event: &Event, trace: TraceContext) -> Option<Over> {
        let request = match self.open.lock().take(event) {
            Found::Open(component) => Some(component.kept.of),
            Found::Abandoned | Found::Ended => return None,
            Found::Unknown => None,
        };
        Some(Over::Ended { event: event.clone(), trace, request })
    }

    fn progress(&self, Merged { trace, progress }: &Merged) {
        let mut record = self.record(progress.name(), Severity::Debug, progress.at(), *trace);
        let attributes = progress.attributes(&self.content.for_log_events());
        record.add_attributes(attributes.into_iter().map(of_attribute));
        self.logger.emit(record);
    }

    fn interrupted(&self, request: &Open<Seen<LoggedRequest>>) {
        let LoggedRequest { trace, start, started, answer, chunks, first_chunk, .. } = &request.kept.of;
        let mut record = self.record(names::LOG_INFERENCE_DETAILS, Severity::Debug, request.abandoned_at(), *trace);
        self.add_start(&mut record, start);
        let stream = mapping::stream(None, *started, *chunks, *first_chunk);
        record.add_attributes(stream.into_iter().map(of_attribute));
        record.add_attributes(mapping::interrupted().into_iter().map(of_attribute));
        if let Some(partial) = answer.text() {
            record.add_attributes(self.content.log_attributes(interrupted(partial)));
        }
        self.logger.emit(record);
    }

    fn ended(&self, event: &Event, trace: TraceContext, request: Option<&LoggedRequest>) {
        let mut record = self.record(names::LOG_INFERENCE_DETAILS, Severity::Debug, event.timestamp, trace);
        let (mut started, mut chunks, mut first_chunk, mut partial) = (event.timestamp, 0, None, None);
        match request {
            Some(request) => {
                (started, chunks, first_chunk) = (request.started, request.chunks, request.first_chunk);
                partial = request.answer.text();
                self.add_start(&mut record, &request.start);
            }
            None => record.add_attributes(self.told_at_start(event).map(of_attribute)),
        }
        let stream = mapping::stream(Some(event), started, chunks, first_chunk);
        record.add_attributes(stream.into_iter().map(of_attribute));
        record.add_attributes(mapping::end(event, &self.content).into_iter().map(of_attribute));
        record.add_attributes(self.content.log_attributes(output(event, partial)));
        self.logger.emit(record);
        if event.event_type == EventType::Failed {
            self.exception(event, trace);
        }
    }

    fn told_at_start(&self, started: &Event) -> impl Iterator<Item = KeyValue> {
        let start = mapping::start(started, &self.content).map(|start| start.attributes).unwrap_or_default();
        start.into_iter().chain(mapping::details(started, &SharedIds::of(started), &self.content))
    }

    /// What is known of the start, with what was asked if that was kept.
    fn add_start(&self, record: &mut SdkLogRecord, start: &Start) {
        match start {
            Start::Whole(started) => {
                record.add_attributes(self.told_at_start(started).map(of_attribute));
                record.add_attributes(self.content.log_attributes(input(started)));
            }
            Start::WithoutContent(attributes) => {
                record.add_attributes(attributes.iter().cloned().map(of_attribute));
                record.add_attribute(names::CONTENT_TRUNCATED, true);
            }
        }
    }

    fn exception(&self, event: &Event, trace: TraceContext) {
        let mut record = self.record(names::LOG_OPERATION_EXCEPTION, Severity::Warn, event.timestamp, trace);
        record.add_attribute(names::EXCEPTION_TYPE, self.content.text(&failure::error_type(event)).into_owned());
        if let Some(message) = &event.message {
            record.add_attribute(names::EXCEPTION_MESSAGE, self.content.text(message).into_owned());
        }
        self.logger.emit(record);
    }

    fn record(&self, name: &'static str, severity: Severity, at: DateTime<Utc>, trace: TraceContext) -> SdkLogRecord {
        let mut record = self.logger.create_log_record();
        record.set_event_name(name);
        record.set_severity_number(severity);
        record.set_severity_text(severity.name());
        record.set_timestamp(at.into());
        let trace_id = OtelTraceId::from_bytes(trace.trace_id.to_bytes());
        let span_id = OtelSpanId::from_bytes(trace.span_id.to_bytes());
        record.set_trace_context(trace_id, span_id, Some(TraceFlags::SAMPLED));
        record
    }
}

impl fmt::Debug for LogEmitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogEmitter").field("content", &self.content).finish_non_exhaustive()
    }
}
