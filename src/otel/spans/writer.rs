//! What is written on a span beyond its start: content, what was gathered, how the component failed, the end.
//!
//! All of it passes the policy, whose redactor may take its time. So it is no part of an append's turn: it is left for after
//! that, unless the policy neither redacts nor captures and there is next to nothing to do.

use std::sync::Arc;
#[cfg(feature = "otlp-http")]
use std::time::Instant;

use chrono::{DateTime, Utc};
use opentelemetry::{KeyValue, trace::SpanRef};

use super::{
    context,
    span::{ComponentSpan, Notes, Task},
};
use crate::{
    event::{Event, EventScope, SharedIds},
    otel::{
        ContentPolicy, ProgressSignal, coalesce::ProgressEvent, content, failure::Failure, mapping, names,
        unfinished::Unfinished,
    },
};

/// How many system events one span takes, so that the SDK's limit leaves room for the event that says how it failed.
pub(super) const MAX_SYSTEM_EVENTS: u32 = 15;

/// Writes on spans what the policy lets leave.
#[derive(Debug, Default)]
pub(super) struct SpanWriter {
    content: ContentPolicy,
    progress: ProgressSignal,
    unfinished: Unfinished,
}

/// What an event has to have written on spans, its own first.
#[derive(Debug, Default)]
pub(super) struct Writing<'a> {
    pub(super) own: Option<(Arc<ComponentSpan>, Task<'a>)>,
    pub(super) others: Vec<(Arc<ComponentSpan>, Task<'a>)>,
}

/// The spans on which an event has left something to be written.
#[derive(Debug)]
pub(in crate::otel) struct LeftSpans {
    writer: Arc<SpanWriter>,
    spans: Vec<Arc<ComponentSpan>>,
}

impl LeftSpans {
    /// Writes it, with no lock held.
    pub(in crate::otel) fn write(self) {
        let Self { writer, spans } = self;
        for span in spans {
            span.work_off(|task| writer.write(&span, task));
        }
    }
}

impl SpanWriter {
    pub(super) fn with_content(&self, content: ContentPolicy) -> Self {
        Self { content, progress: self.progress, unfinished: Unfinished::default() }
    }

    pub(super) fn with_progress(&self, progress: ProgressSignal) -> Self {
        Self { content: self.content.clone(), progress, unfinished: Unfinished::default() }
    }

    pub(super) const fn content(&self) -> &ContentPolicy {
        &self.content
    }

    /// Writes at once what takes no time, or returns what is left to be done, with no lock held; in the order of events.
    pub(super) fn take_on(self: &Arc<Self>, writing: Writing<'_>) -> Option<LeftSpans> {
        let Writing { own, others } = writing;
        if own.is_none() && others.is_empty() {
            return None;
        }
        if self.content.takes_no_time() {
            own.into_iter().chain(others).for_each(|(span, task)| self.write(&span, task));
            return None;
        }
        let queue = |(span, task): (Arc<ComponentSpan>, Task<'_>)| {
            span.queue(task.into_owned(), self.unfinished.begin());
            span
        };
        let spans = own.into_iter().chain(others).map(queue).collect();
        Some(LeftSpans { writer: Arc::clone(self), spans })
    }

    /// Waits until all that was left by now is written, or the time is over.
    #[cfg(feature = "otlp-http")]
    pub(super) fn wait_until(&self, deadline: Instant) {
        self.unfinished.wait_until(deadline);
    }

    fn write(&self, span: &ComponentSpan, task: Task<'_>) {
        match task {
            Task::Start { event, ids } => self.start(span, &event, &ids),
            Task::Progress(progress) => self.progress(&span.span(), &progress),
            Task::System(event) => {
                let (name, attributes) = mapping::system(&event, &self.content);
                span.span().add_event_with_timestamp(name, event.timestamp.into(), attributes);
            }
            Task::End { event, started } => self.end(span, &event, started),
            Task::Unmatched { event, ids } => self.unmatched(span, &event, &ids),
            Task::Interrupt { scope, started, at } => self.interrupt(span, scope, started, at),
        }
    }

    fn start(&self, span: &ComponentSpan, event: &Event, ids: &SharedIds) {
        let mut details = mapping::details(event, ids, &self.content);
        let asked = self.content_of(|| content::input(event));
        if let Some(notes) = &mut *span.notes() {
            let bytes = asked.iter().map(|attribute| attribute.value.as_str().len()).sum();
            if asked.is_empty() || notes.share.grow(bytes) {
                details.extend(asked);
            } else {
                details.push(KeyValue::new(names::CONTENT_TRUNCATED, true));
            }
            notes.details = details;
        }
    }

    fn end(&self, component: &ComponentSpan, event: &Event, started: DateTime<Utc>) {
        let span = component.span();
        let ended = event.timestamp.max(started);
        if let Some(mut notes) = component.notes().take() {
            notes.details.extend(self.content_of(|| content::output(event, notes.answer.text())));
            span.set_attributes(mapping::end(event, &self.content));
            self.notes(component, notes, event.scope, started, Some(event));
            self.failure(&span, Failure::of(event, &self.content), ended);
        }
        span.end_with_timestamp(ended.into());
    }

    /// An end whose start was never seen becomes a span of no length, marked as such.
    fn unmatched(&self, component: &ComponentSpan, event: &Event, ids: &SharedIds) {
        let span = component.span();
        if span.is_recording() {
            span.set_attributes(mapping::end(event, &self.content));
            span.set_attribute(KeyValue::new(names::UNMATCHED, true));
            span.set_attributes(mapping::details(event, ids, &self.content));
            span.set_attributes(self.content_of(|| content::output(event, None)));
            self.failure(&span, Failure::of(event, &self.content), event.timestamp);
        }
        span.end_with_timestamp(event.timestamp.into());
    }

    fn interrupt(&self, component: &ComponentSpan, scope: EventScope, started: DateTime<Utc>, at: DateTime<Utc>) {
        let span = component.span();
        if let Some(mut notes) = component.notes().take() {
            if let Some(partial) = notes.answer.text() {
                notes.details.extend(self.content.span_attributes(content::interrupted(partial)));
            }
            span.set_attributes(mapping::interrupted());
            self.notes(component, notes, scope, started, None);
            self.failure(&span, Some(Failure::interrupted()), at);
        }
        span.end_with_timestamp(at.into());
    }

    /// Writes what was gathered, however the component ended, the least important last: an SDK's limit drops what comes
    /// late.
    fn notes(
        &self,
        component: &ComponentSpan,
        mut notes: Notes,
        scope: EventScope,
        started: DateTime<Utc>,
        end: Option<&Event>,
    ) {
        let span = component.span();
        if let Some(progress) = notes.progress.finish() {
            self.progress(&span, &progress);
        }
        let dropped = [
            (names::SYSTEM_DROPPED_COUNT, notes.system_events.saturating_sub(MAX_SYSTEM_EVENTS)),
            (names::LOG_DROPPED_COUNT, context::dropped_logs(component.context())),
        ];
        for (name, count) in dropped.into_iter().filter(|(_, count)| *count > 0) {
            span.set_attribute(KeyValue::new(name, i64::from(count)));
        }
        if scope == EventScope::LlmRequest {
            let (chunks, first) = (notes.progress.total(), notes.progress.first_at());
            span.set_attributes(mapping::stream(end, started, chunks, first));
        }
        // What was asked and what was answered may both say that they were cut.
        let mut is_cut = false;
        let is_first = |attribute: &KeyValue| {
            attribute.key.as_str() != names::CONTENT_TRUNCATED || !std::mem::replace(&mut is_cut, true)
        };
        span.set_attributes(notes.details.into_iter().filter(is_first));
    }

    /// Says on a span how its component failed.
    fn failure(&self, span: &SpanRef<'_>, failure: Option<Failure<'_>>, at: DateTime<Utc>) {
        if let Some(failure) = failure {
            span.add_event_with_timestamp(names::EVENT_EXCEPTION, at.into(), failure.exception(&self.content));
            span.set_status(failure.status());
        }
    }

    fn progress(&self, span: &SpanRef<'_>, progress: &ProgressEvent) {
        if !self.progress.is_on_spans() {
            return;
        }
        span.add_event_with_timestamp(progress.name(), progress.at().into(), progress.attributes(&self.content));
    }

    /// The content that a span carries.
    fn content_of(&self, fields: impl FnOnce() -> content::Fields) -> Vec<KeyValue> {
        if self.content.capture().is_on_spans() { self.content.span_attributes(fields()) } else { Vec::new() }
    }
}
