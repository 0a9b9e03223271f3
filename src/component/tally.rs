//! What a component has reported of itself, for its end to repeat.

use std::{
    fmt,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use serde_json::Value as JsonValue;

use crate::event::{EventData, EventScope, Usage};

/// How much of a streamed answer an end repeats, in bytes: 1 MiB.
pub(super) const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// Marks where a text that a component reported was cut.
pub(crate) const CUT_MARKER: &str = "… [cut]";

/// What a component has reported so far.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) usage: Option<Usage>,
    pub(super) chunks: u64,
    pub(super) first_chunk_ms: Option<u64>,
    pub(super) text: String,
    is_cut: bool,
    pub(super) output: Option<JsonValue>,
    /// What Completed says, if the component ends well without anybody saying more.
    pub(super) outcome: Option<Outcome>,
}

pub(super) type Outcome = Box<dyn FnOnce(&mut Ended<'_>) -> EventData + Send>;

/// What an agent has had done so far.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub(super) llm: AtomicU32,
    pub(super) tool: AtomicU32,
    pub(super) tokens: AtomicU64,
}

/// A component at its end.
#[derive(Debug)]
pub struct Ended<'a> {
    pub(super) scope: EventScope,
    /// The name as it was given, of a step or a tool.
    pub(super) name: Option<&'a str>,
    pub(super) calls: &'a Calls,
    pub(super) duration_ms: u64,
    pub(super) tally: Tally,
}

impl Tally {
    /// Counts a piece of an answer.
    pub(super) fn count_chunk(&mut self, elapsed_ms: u64) {
        self.chunks += 1;
        self.first_chunk_ms.get_or_insert(elapsed_ms);
    }

    /// Keeps a piece of an answer's text, as far as there is room.
    pub(super) fn keep(&mut self, text: &str) {
        if self.is_cut {
            return;
        }
        let room = MAX_RESPONSE_BYTES - self.text.len();
        self.text.push_str(&text[..text.floor_char_boundary(room)]);
        if text.len() > room {
            self.is_cut = true;
            self.text.truncate(self.text.floor_char_boundary(MAX_RESPONSE_BYTES - CUT_MARKER.len()));
            self.text.push_str(CUT_MARKER);
        }
    }
}

impl Calls {
    pub(super) fn add_tokens(&self, usage: Usage) {
        let add = |tokens: u64| Some(tokens.saturating_add(usage.total_tokens));
        self.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).unwrap_or_default();
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tally").field("usage", &self.usage).field("chunks", &self.chunks).finish_non_exhaustive()
    }
}
