//! The beginning of an answer, for when its end never comes.

use super::{budget::Share, shape::MARKER};
use crate::event::Event;

/// The pieces of an answer so far, up to a limit.
#[derive(Debug, Default)]
pub(in crate::otel) struct PartialAnswer {
    text: String,
    is_cut: bool,
}

impl PartialAnswer {
    /// Adds a piece, unless there is enough, or no room for it.
    pub(in crate::otel) fn add(&mut self, event: &Event, max_bytes: usize, share: &mut Share) {
        let Some(chunk) = event.data.chunk_text().filter(|_| !self.is_cut) else { return };
        // One byte over the limit shows whoever cuts that there was more.
        let room = (max_bytes + 1).saturating_sub(self.text.len());
        let piece = &chunk[..chunk.ceil_char_boundary(room)];
        self.is_cut = !share.grow(piece.len());
        self.text.push_str(if self.is_cut { MARKER } else { piece });
    }

    /// The pieces, if there was one.
    pub(in crate::otel) fn text(&self) -> Option<&str> {
        Some(self.text.as_str()).filter(|text| !text.is_empty())
    }
}
