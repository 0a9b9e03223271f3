//! Wall-clock timestamps that never run backwards.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::contain;
use crate::event::date_time;

/// How far the wall clock and the monotonic one may be apart before the wall clock counts as set anew.
///
/// A monotonic clock stands still while a machine sleeps; a difference of this size is such a pause or a corrected
/// clock, not drift.
const MAX_APART: Duration = Duration::from_secs(1);

/// The wall clock read once, and a monotonic clock since then.
///
/// A step back of the wall clock (a correction by NTP) then puts no end before its start. The monotonic clock is Tokio's,
/// so that it stands still in a test that pauses time.
#[derive(Debug)]
pub(super) struct Clock {
    /// Since the Unix epoch, as all times here: calendar arithmetic is expensive.
    anchor: Duration,
    since: Instant,
    last: Duration,
    wall: Option<Wall>,
}

/// Reads a wall clock, as the time since the Unix epoch.
pub(super) type Wall = fn() -> Duration;

/// What the clocks show now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    monotonic: Instant,
    wall: Option<Duration>,
}

/// The monotonic time now, which a test can pause.
///
/// Where that is possible, Tokio reads its clock through a thread-local and panics once that is gone, so the last destructors
/// of a thread read the system's.
pub(crate) fn monotonic_now() -> Instant {
    contain(Instant::now).unwrap_or_else(|| std::time::Instant::now().into())
}

impl Clock {
    /// Follows the system's wall clock.
    pub(super) fn system() -> Self {
        Self::following(|| SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default())
    }

    /// Follows a wall clock.
    pub(super) fn following(wall: Wall) -> Self {
        Self { wall: Some(wall), ..Self::at(wall()) }
    }

    /// Starts at `epoch`, whatever the wall clock says, and runs with the monotonic clock.
    pub(super) fn starting_at(epoch: DateTime<Utc>) -> Self {
        Self::at(epoch.signed_duration_since(DateTime::UNIX_EPOCH).to_std().unwrap_or_default())
    }

    fn at(anchor: Duration) -> Self {
        Self { anchor, since: monotonic_now(), last: anchor, wall: None }
    }

    /// Reads the monotonic clock and, if this one follows it, the wall clock.
    pub(super) fn read(&self) -> Reading {
        Reading { monotonic: monotonic_now(), wall: self.wall.map(|wall| wall()) }
    }

    /// The time now, never before the one returned last.
    pub(super) fn now(&mut self) -> DateTime<Utc> {
        self.tick(monotonic_now());
        date_time(self.last)
    }

    /// The time of a reading as [`now`](Self::now) returns it, by the wall clock again if that has run far ahead.
    pub(super) fn near_wall(&mut self, reading: Reading) -> DateTime<Utc> {
        self.tick(reading.monotonic);
        if let Some(wall) = reading.wall
            && wall.saturating_sub(self.last) > MAX_APART
        {
            (self.anchor, self.since) = (wall, reading.monotonic);
            self.last = wall;
        }
        date_time(self.last)
    }

    /// A clock on the wall clock's time, if that has been set back far behind this one.
    pub(super) fn set_back(&mut self, reading: Reading) -> Option<Self> {
        self.tick(reading.monotonic);
        let wall = reading.wall?;
        (self.last.saturating_sub(wall) > MAX_APART).then_some(Self {
            anchor: wall,
            since: reading.monotonic,
            last: wall,
            wall: self.wall,
        })
    }

    fn tick(&mut self, monotonic: Instant) {
        // A test's paused clock is seen by the threads of its runtime only; all others see the time run on.
        self.last = self.last.max(self.anchor.saturating_add(monotonic.saturating_duration_since(self.since)));
    }
}
