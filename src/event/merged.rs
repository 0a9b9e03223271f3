//! Data of several progress events as the data of one.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as JsonValue, json};

use super::{EventData, field};

/// What a merged event stands for; in its data under `merged`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Merged {
    /// How many events.
    pub count: u64,
    /// The offset of the first.
    pub first_offset: u64,
    /// The offset of the last; events of other components may lie between.
    pub last_offset: u64,
}

impl Merged {
    /// Counts the events between two offsets, both included.
    #[must_use]
    pub const fn new(count: u64, first_offset: u64, last_offset: u64) -> Self {
        Self { count, first_offset, last_offset }
    }
}

impl EventData {
    /// What a merged event stands for; `None` for an event as it was emitted.
    #[must_use]
    pub fn merged(&self) -> Option<Merged> {
        Merged::deserialize(self.as_json().get(field::MERGED)?).ok()
    }

    /// Joins the data of progress events, oldest first: the fields of the last, the chunks concatenated, every update kept.
    pub(crate) fn merge(updates: Vec<Self>, merged: Merged) -> Self {
        let last = updates.last().and_then(|last| last.as_object());
        let mut fields = last.cloned().unwrap_or_else(Map::new);
        fields.insert(field::MERGED.to_owned(), json!(merged));
        let chunks: Vec<&str> = updates.iter().filter_map(Self::chunk_text).collect();
        if !chunks.is_empty() {
            fields.insert(field::CHUNK.to_owned(), JsonValue::String(chunks.concat()));
        }
        let reasoning: Vec<&str> = updates.iter().filter_map(Self::reasoning_text).collect();
        if !reasoning.is_empty() {
            fields.insert(field::REASONING.to_owned(), JsonValue::String(reasoning.concat()));
        }
        if !updates.iter().all(Self::is_bare_chunk) {
            fields.insert(field::UPDATES.to_owned(), updates.into_iter().map(JsonValue::from).collect());
        }
        JsonValue::Object(fields).into()
    }
}
