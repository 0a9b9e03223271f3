//! What a client is shown in place of events that are not to be had.

use std::ops::Range;

use agent_runtime::{store::GapReason, stream::Epoch};
use serde::Serialize;

use crate::Place;

/// Offsets whose events this client will never be sent. In JSON a `gap` message has these fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LostRange {
    /// The life of the stream.
    pub epoch: Epoch,
    /// The first offset.
    pub first_offset: u64,
    /// The last offset; `None` if it is not known.
    pub last_offset: Option<u64>,
    /// How many events, of any kind: a filter is not applied to what is gone. `None` if it is not known.
    pub missed: Option<u64>,
    /// Why.
    pub reason: LossReason,
    /// Where it goes on.
    pub resumes_at: Place,
}

/// Why events are not to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LossReason {
    /// The stream keeps them no longer, and there is no store to read them from.
    NotKept,
    /// The store did not have them in time, or lets go of what is old.
    NotStored,
    /// The stream let go of the events before they could be stored.
    Overrun,
    /// The process ended; it is not known how many there were.
    Interrupted,
    /// What was stored is damaged.
    Damaged,
    /// The position is of another life of the stream, of which nothing is known here.
    UnknownEpoch,
}

impl LostRange {
    pub(crate) const fn of(epoch: Epoch, offsets: &Range<u64>, reason: LossReason) -> Self {
        let is_counted = !matches!(reason, LossReason::Interrupted);
        Self {
            epoch,
            first_offset: offsets.start,
            last_offset: Some(offsets.end.saturating_sub(1)),
            missed: if is_counted { Some(offsets.end.saturating_sub(offsets.start)) } else { None },
            reason,
            resumes_at: Place::before(epoch, offsets.end),
        }
    }

    /// Everything from an offset on, however much that was.
    pub(crate) const fn from_offset(epoch: Epoch, offset: u64, reason: LossReason, resumes_at: Place) -> Self {
        Self { epoch, first_offset: offset, last_offset: None, missed: None, reason, resumes_at }
    }
}

impl From<GapReason> for LossReason {
    fn from(reason: GapReason) -> Self {
        match reason {
            GapReason::Overrun => Self::Overrun,
            GapReason::Interrupted => Self::Interrupted,
            GapReason::Damaged => Self::Damaged,
            // A reason that a later version of the library names.
            _ => Self::NotStored,
        }
    }
}
