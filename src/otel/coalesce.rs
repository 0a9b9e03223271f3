//! Progress merged into few span events, however much of it there is.
//!
//! An SDK keeps 128 events of a span and silently drops the rest, while one long answer has thousands of chunks. So
//! reports are merged in time windows, and the window doubles as the span fills up.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use opentelemetry::KeyValue;

use crate::{
    event::{Event, EventData, EventScope},
    otel::{ContentPolicy, mapping, names},
    stream::BatchWindow,
};

/// How many span events the progress of one component becomes at most, by default: three quarters of the SDK's limit,
/// which leaves room for system events and for the user's own.
pub const DEFAULT_MAX_PROGRESS_EVENTS: u32 = 96;

/// How many times the window doubles on the way to the limit.
const DOUBLINGS: u32 = 12;

/// The progress of one component.
#[derive(Debug)]
pub(super) struct Coalescer {
    window: Duration,
    limit: u32,
    emitted: u32,
    total: u64,
    first_at: Option<DateTime<Utc>>,
    gathered: Option<Gathered>,
}

/// Reports that become one span event.
#[derive(Debug)]
struct Gathered {
    scope: EventScope,
    /// When the next report begins another one.
    until: Option<DateTime<Utc>>,
    last: DateTime<Utc>,
    count: u64,
    first_offset: Option<u64>,
    last_offset: Option<u64>,
    /// What the last report said; `None` for a piece of an answer, which is content.
    said: Option<(Option<String>, EventData)>,
}

/// A span event that stands for one or more reports.
#[derive(Debug)]
pub(super) struct ProgressEvent(Gathered);

impl Coalescer {
    pub(super) fn new(scope: EventScope, limit: u32) -> Self {
        let window = if scope == EventScope::LlmRequest { BatchWindow::DEFAULT_LLM } else { BatchWindow::DEFAULT_TOOL };
        Self { window, limit: limit.max(1), emitted: 0, total: 0, first_at: None, gathered: None }
    }

    /// Adds a report; returns the span event that is complete with it, if any.
    pub(super) fn add(&mut self, event: &Event) -> Option<ProgressEvent> {
        self.total += 1;
        self.first_at.get_or_insert(event.timestamp);
        let is_over = |gathered: &mut Gathered| gathered.until.is_some_and(|until| event.timestamp >= until);
        let done = self.gathered.take_if(is_over).map(|gathered| self.emit(gathered));
        match &mut self.gathered {
            Some(gathered) => gathered.add(event),
            None => self.gathered = Some(Gathered::of(event, self.window_from(event.timestamp))),
        }
        done
    }

    /// Takes out what is still gathered, at the component's end.
    pub(super) fn finish(&mut self) -> Option<ProgressEvent> {
        self.gathered.take().map(|gathered| self.emit(gathered))
    }

    /// How many reports there were.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// When the first one came.
    pub(super) const fn first_at(&self) -> Option<DateTime<Utc>> {
        self.first_at
    }

    fn emit(&mut self, gathered: Gathered) -> ProgressEvent {
        self.emitted += 1;
        ProgressEvent(gathered)
    }

    /// When the window that begins now is over; never, where the component has no room for one more.
    fn window_from(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let has_room = self.emitted + 1 < self.limit;
        let doublings = self.emitted / (self.limit / DOUBLINGS).max(1);
        let window = self.window.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX));
        now.checked_add_signed(TimeDelta::from_std(window).ok()?).filter(|_| has_room)
    }
}

impl Gathered {
    fn of(event: &Event, until: Option<DateTime<Utc>>) -> Self {
        Self {
            scope: event.scope,
            until,
            last: event.timestamp,
            count: 1,
            first_offset: event.offset,
            last_offset: event.offset,
            said: said(event),
        }
    }

    fn add(&mut self, event: &Event) {
        self.count += 1;
        self.last = event.timestamp;
        self.last_offset = event.offset;
        self.said = said(event);
    }
}

impl ProgressEvent {
    pub(super) const fn at(&self) -> DateTime<Utc> {
        self.0.last
    }

    pub(super) fn name(&self) -> &'static str {
        if self.0.scope == EventScope::LlmRequest { names::EVENT_CHUNK } else { names::EVENT_PROGRESS }
    }

    /// Calls the redactor, so no lock may be held.
    pub(super) fn attributes(&self, content: &ContentPolicy) -> Vec<KeyValue> {
        let Gathered { said, count, first_offset, last_offset, .. } = &self.0;
        let said = said.as_ref().map(|(message, data)| mapping::progress(message.as_deref(), data, content));
        let mut attributes = said.unwrap_or_default();
        let as_int = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let is_answer = self.0.scope == EventScope::LlmRequest;
        let count_name = if is_answer { names::LLM_CHUNK_COUNT } else { names::PROGRESS_COUNT };
        attributes.push(KeyValue::new(count_name, as_int(*count)));
        attributes.extend(first_offset.map(|offset| KeyValue::new(names::FIRST_OFFSET, as_int(offset))));
        attributes.extend(last_offset.map(|offset| KeyValue::new(names::LAST_OFFSET, as_int(offset))));
        attributes
    }
}

fn said(event: &Event) -> Option<(Option<String>, EventData)> {
    (event.scope != EventScope::LlmRequest).then(|| (event.message.clone(), event.data.clone()))
}
