//! Where an event stands in a store, and where a reader does.

use std::{cmp::Ordering, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use crate::stream::Epoch;

/// An event's place: the life of the stream that it was appended to, and its offset there. In text `epoch:offset`.
///
/// It names the same event for ever, whichever store holds it. Positions of one epoch compare by their offsets. Those of two
/// do not: streams may run side by side, and a store orders their events by when each was stored, so that a reader that
/// has seen one position is shown nothing in front of it later.
///
/// ```
/// use agent_runtime::{store::Position, stream::Epoch};
///
/// let position = Position::new(Epoch::new(), 7);
/// assert_eq!(position.to_string().parse(), Ok(position));
/// assert!(position < Position::new(position.epoch, 8));
/// assert_eq!(position.partial_cmp(&Position::new(Epoch::new(), 8)), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Position {
    /// The life of the stream.
    pub epoch: Epoch,
    /// The event's offset in it.
    pub offset: u64,
}

/// Where a reader of a store stands. These are all there will be, as an engine must know where to begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cursor {
    /// In front of the oldest event.
    #[default]
    Beginning,
    /// Behind a position, whether or not the store holds the event there.
    After(Position),
}

/// The text is not a position.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text:?} is not a position: expected the UUID of an epoch, a colon and an offset")]
pub struct PositionError {
    text: String,
}

impl Position {
    /// Names an offset of an epoch.
    #[must_use]
    pub const fn new(epoch: Epoch, offset: u64) -> Self {
        Self { epoch, offset }
    }
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self.epoch == other.epoch).then(|| self.offset.cmp(&other.offset))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.offset)
    }
}

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let parse = || {
            let (epoch, offset) = text.split_once(':')?;
            let is_plain =
                offset.bytes().all(|byte| byte.is_ascii_digit()) && !(offset.len() > 1 && offset.starts_with('0'));
            Some(Self { epoch: epoch.parse().ok()?, offset: offset.parse().ok().filter(|_| is_plain)? })
        };
        parse().ok_or_else(|| PositionError { text: text.chars().take(64).collect() })
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
