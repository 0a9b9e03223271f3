//! Wall-clock timestamps that never run backwards.

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

/// How far the wall clock may run ahead of the monotonic one before the anchor is set anew.
///
/// A monotonic clock stands still while a machine sleeps; a difference of this size is such a pause or a corrected
/// clock, not drift.
const MAX_AHEAD: TimeDelta = TimeDelta::seconds(1);

/// The wall clock read once, and a monotonic clock since then.
///
/// A step back of the wall clock (a correction by NTP) then cannot give an end before its start. The monotonic clock is
/// Tokio's, so that it stands still in a test that pauses time.
#[derive(Debug)]
pub(super) struct Clock {
    anchor: DateTime<Utc>,
    since: Instant,
    last: DateTime<Utc>,
    follows_wall: bool,
}

impl Clock {
    /// Follows the system's wall clock.
    pub(super) fn system() -> Self {
        Self { follows_wall: true, ..Self::starting_at(Utc::now()) }
    }

    /// Starts at `epoch`, whatever the wall clock says, and runs with the monotonic clock.
    pub(super) fn starting_at(epoch: DateTime<Utc>) -> Self {
        Self { anchor: epoch, since: Instant::now(), last: epoch, follows_wall: false }
    }

    /// The time now, never before the one returned last.
    pub(super) fn now(&mut self) -> DateTime<Utc> {
        let elapsed = TimeDelta::from_std(self.since.elapsed()).unwrap_or(TimeDelta::MAX);
        let now = self.anchor.checked_add_signed(elapsed).unwrap_or(self.anchor);
        // A test's paused clock is seen by the threads of its runtime only; all others see the time run on.
        self.last = self.last.max(now);
        self.last
    }

    /// The time now as [`now`](Self::now) gives it, by the wall clock again if that has run far ahead.
    pub(super) fn now_near_wall(&mut self) -> DateTime<Utc> {
        let now = self.now();
        if !self.follows_wall {
            return now;
        }
        let wall = Utc::now();
        if wall - now <= MAX_AHEAD {
            return now;
        }
        (self.anchor, self.since) = (wall, Instant::now());
        self.now()
    }
}
