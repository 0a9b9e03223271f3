//! Wall-clock timestamps that never run backwards.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::event::date_time;

/// How far the wall clock may run ahead of the monotonic one before the anchor is set anew.
///
/// A monotonic clock stands still while a machine sleeps; a difference of this size is such a pause or a corrected
/// clock, not drift.
const MAX_AHEAD: Duration = Duration::from_secs(1);

/// The wall clock read once, and a monotonic clock since then.
///
/// A step back of the wall clock (a correction by NTP) then cannot give an end before its start. The monotonic clock is
/// Tokio's, so that it stands still in a test that pauses time.
#[derive(Debug)]
pub(super) struct Clock {
    /// Since the Unix epoch, as all times here: calendar arithmetic is dear.
    anchor: Duration,
    since: Instant,
    last: Duration,
    follows_wall: bool,
}

impl Clock {
    /// Follows the system's wall clock.
    pub(super) fn system() -> Self {
        Self { follows_wall: true, ..Self::at(wall()) }
    }

    /// Starts at `epoch`, whatever the wall clock says, and runs with the monotonic clock.
    pub(super) fn starting_at(epoch: DateTime<Utc>) -> Self {
        Self::at(epoch.signed_duration_since(DateTime::UNIX_EPOCH).to_std().unwrap_or_default())
    }

    fn at(anchor: Duration) -> Self {
        Self { anchor, since: Instant::now(), last: anchor, follows_wall: false }
    }

    /// The time now, never before the one returned last.
    pub(super) fn now(&mut self) -> DateTime<Utc> {
        self.tick();
        self.shown()
    }

    /// The time now as [`now`](Self::now) gives it, by the wall clock again if that has run far ahead.
    pub(super) fn now_near_wall(&mut self) -> DateTime<Utc> {
        self.tick();
        if self.follows_wall {
            let wall = wall();
            if wall.saturating_sub(self.last) > MAX_AHEAD {
                (self.anchor, self.since) = (wall, Instant::now());
                self.tick();
            }
        }
        self.shown()
    }

    fn tick(&mut self) {
        // A test's paused clock is seen by the threads of its runtime only; all others see the time run on.
        self.last = self.last.max(self.anchor.saturating_add(self.since.elapsed()));
    }

    fn shown(&self) -> DateTime<Utc> {
        date_time(self.last)
    }
}

fn wall() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}
