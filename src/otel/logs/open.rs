//! What the log events keep of a request between its start and its end.

use chrono::{DateTime, Utc};

use crate::{
    event::{Event, TraceContext},
    otel::content::PartialAnswer,
};

/// What the log events keep of a request.
#[derive(Debug)]
pub(super) struct LoggedRequest {
    pub(super) trace: TraceContext,
    pub(super) started: Event,
    pub(super) chunks: u64,
    pub(super) first_chunk: Option<DateTime<Utc>>,
    pub(super) answer: PartialAnswer,
}

impl LoggedRequest {
    pub(super) fn new(started: &Event, trace: TraceContext) -> Self {
        Self { trace, started: started.clone(), chunks: 0, first_chunk: None, answer: PartialAnswer::default() }
    }

    pub(super) fn add_chunk(&mut self, event: &Event, max_answer_bytes: usize) {
        self.chunks += 1;
        self.first_chunk.get_or_insert(event.timestamp);
        self.answer.add(event, max_answer_bytes);
    }
}
