//! What the log events keep of a request between its start and its end.

use chrono::{DateTime, Utc};
use opentelemetry::KeyValue;

use crate::{
    event::{Event, TraceContext},
    otel::content::{PartialAnswer, Share},
};

/// What the log events keep of a request.
#[derive(Debug)]
pub(super) struct LoggedRequest {
    pub(super) trace: TraceContext,
    pub(super) start: Start,
    pub(super) started: DateTime<Utc>,
    pub(super) chunks: u64,
    pub(super) first_chunk: Option<DateTime<Utc>>,
    pub(super) answer: PartialAnswer,
    pub(super) share: Share,
}

/// What is kept of a request's start.
#[derive(Debug)]
pub(super) enum Start {
    Whole(Box<Event>),
    /// There was no room for what was asked: the attributes without it.
    WithoutContent(Vec<KeyValue>),
}

impl LoggedRequest {
    /// Keeps the whole start if there is room for it, else what `attributes` makes of it.
    pub(super) fn new(
        started: &Event,
        trace: TraceContext,
        mut share: Share,
        attributes: impl FnOnce() -> Vec<KeyValue>,
    ) -> Self {
        let has_room = share.grow(started.size());
        let start =
            if has_room { Start::Whole(Box::new(started.clone())) } else { Start::WithoutContent(attributes()) };
        let answer = PartialAnswer::default();
        Self { trace, start, started: started.timestamp, chunks: 0, first_chunk: None, answer, share }
    }

    pub(super) fn add_chunk(&mut self, event: &Event, max_answer_bytes: usize) {
        self.chunks += 1;
        self.first_chunk.get_or_insert(event.timestamp);
        self.answer.add(event, max_answer_bytes, &mut self.share);
    }
}
