//! The beginning of an answer, for when its end never comes.

use crate::event::Event;

/// The pieces of an answer so far, up to a limit.
#[derive(Debug, Default)]
pub(in crate::otel) struct PartialAnswer {
    text: String,
}

impl PartialAnswer {
    /// Adds a piece, unless there is enough.
    pub(in crate::otel) fn add(&mut self, event: &Event, max_bytes: usize) {
        let Some(chunk) = event.data.chunk_text() else { return };
        // One byte over the limit shows whoever cuts that there was more.
        let room = (max_bytes + 1).saturating_sub(self.text.len());
        self.text.push_str(&chunk[..chunk.ceil_char_boundary(room)]);
    }

    /// The pieces, if there was one.
    pub(in crate::otel) fn text(&self) -> Option<&str> {
        Some(self.text.as_str()).filter(|text| !text.is_empty())
    }
}
