//! Where a client stands: the id of each message, with which it goes on after a disconnect.

use std::{fmt, str::FromStr};

use agent_runtime::{
    store::{Cursor, Position},
    stream::Epoch,
};
use serde::{Serialize, Serializer};

/// Where a reader stands, in text: `beginning`, `EPOCH:start` or `EPOCH:OFFSET`. It is the id of each message.
///
/// It is counted before the filter: behind an event that a filter held back, it names that event all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// In front of everything that there is.
    Beginning,
    /// In front of the first event of a life of the stream.
    Start(Epoch),
    /// Behind an event.
    After(Position),
}

/// The text names no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected `beginning`, or the id of a message that was received: EPOCH:OFFSET or EPOCH:start")]
pub struct PlaceError;

impl Place {
    /// In front of an offset of a life of the stream.
    #[must_use]
    pub const fn before(epoch: Epoch, offset: u64) -> Self {
        match offset.checked_sub(1) {
            Some(last) => Self::After(Position::new(epoch, last)),
            None => Self::Start(epoch),
        }
    }

    /// The life of the stream, and the offset that comes next in it.
    #[must_use]
    pub(crate) const fn next(self) -> Option<(Epoch, u64)> {
        match self {
            Self::Beginning => None,
            Self::Start(epoch) => Some((epoch, 0)),
            Self::After(position) => Some((position.epoch, position.offset.saturating_add(1))),
        }
    }

    /// Behind what a cursor of a store has passed.
    pub(crate) const fn of_cursor(cursor: Cursor) -> Self {
        match cursor {
            Cursor::Beginning => Self::Beginning,
            Cursor::After(position) => Self::After(position),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beginning => f.write_str("beginning"),
            Self::Start(epoch) => write!(f, "{epoch}:start"),
            Self::After(position) => position.fmt(f),
        }
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        if text == "beginning" {
            return Ok(Self::Beginning);
        }
        match text.strip_suffix(":start") {
            Some(epoch) => epoch.parse().map(Self::Start).map_err(|_| PlaceError),
            None => text.parse().map(Self::After).map_err(|_| PlaceError),
        }
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
