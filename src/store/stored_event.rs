//! An event with its place.

use std::sync::Arc;

use super::Position;
use crate::event::Event;

/// An event in a store.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StoredEvent {
    /// Its place, by which it is found again.
    pub position: Position,
    /// The event; its offset is that of the position.
    pub event: Arc<Event>,
}

impl StoredEvent {
    /// Puts an event to its position, and the position's offset into the event.
    #[must_use]
    pub fn new(position: Position, mut event: Arc<Event>) -> Self {
        if event.offset != Some(position.offset) {
            Arc::make_mut(&mut event).offset = Some(position.offset);
        }
        Self { position, event }
    }
}
