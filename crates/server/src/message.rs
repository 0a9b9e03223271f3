//! What goes to a client of a stream, whichever way.

use std::sync::Arc;

use agent_runtime::event::Event;
use serde::Serialize;

use crate::{LostRange, Place};

/// A message; in JSON, as a WebSocket has it, `{"type": "event", "id": …, "event": {…}}` and so on.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Message {
    /// An event.
    Event { id: Place, event: Arc<Event> },
    /// Events of which some are merged; they are to be taken together.
    Events { id: Place, events: Vec<Arc<Event>> },
    /// Events that will not come.
    Gap { id: Place, gap: LostRange },
    /// Nothing passed the filter, up to here.
    Cursor { id: Place },
    /// The connection ends.
    End { id: Place, reason: EndReason },
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EndReason {
    /// The stream is closed: nothing more will come.
    Closed,
    /// The server shuts down.
    Shutdown,
    /// The store cannot be read now: come back with the last id.
    StoreUnavailable,
}

impl Message {
    pub(crate) const fn id(&self) -> Place {
        match self {
            Self::Event { id, .. }
            | Self::Events { id, .. }
            | Self::Gap { id, .. }
            | Self::Cursor { id }
            | Self::End { id, .. } => *id,
        }
    }

    /// What JSON cannot fail to write.
    pub(crate) fn to_json(value: &impl Serialize) -> String {
        serde_json::to_string(value).expect("events and gaps have texts for keys")
    }
}
