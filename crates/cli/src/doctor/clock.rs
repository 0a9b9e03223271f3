//! Whether the time can be believed.

use std::{
    env, io,
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use chrono::{DateTime, Utc};
use tokio::time::sleep;

use super::check::{Check, Part};
use crate::{store::Location, times};

/// How long the clocks are compared.
const COMPARED: Duration = Duration::from_millis(200);

/// How far they may run apart in that time: a machine that is busy reads one later than the other.
const DRIFT: Duration = Duration::from_millis(50);

/// How far the clock of a file system may be off, some of which count in steps of two seconds.
const TOLERANCE: Duration = Duration::from_secs(3);

/// Seconds since 1970 up to 2025, before which no clock that is set can be.
const EARLIEST: u64 = 1_735_689_600;

const SET_CLOCK: &str = "set the clock, and have it kept by NTP";

pub(super) async fn checks(location: Option<&Location>) -> Vec<Check> {
    let folder = match location.and_then(Location::path).map(Path::parent) {
        Some(Some(folder)) if !folder.as_os_str().is_empty() => folder.to_owned(),
        Some(_) => ".".into(),
        None => env::temp_dir(),
    };
    vec![wall(SystemTime::now()), even().await, file_system(&folder)]
}

fn wall(now: SystemTime) -> Check {
    let stamp = times::stamp(DateTime::<Utc>::from(now));
    match now.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) if since.as_secs() >= EARLIEST => Part::Clock.ok("wall", stamp),
        _ => Part::Clock.problem("wall", format!("it is {stamp}, so the clock is not set"), SET_CLOCK),
    }
}

/// Whether wall clock and monotonic clock run evenly.
async fn even() -> Check {
    let (began, wall) = (Instant::now(), SystemTime::now());
    sleep(COMPARED).await;
    let passed = SystemTime::now().duration_since(wall);
    let monotonic = began.elapsed();
    match passed {
        Ok(passed) if passed.abs_diff(monotonic) <= DRIFT => {
            Part::Clock.ok("even", "wall clock and monotonic clock run evenly")
        }
        Ok(passed) => {
            let what = format!("the wall clock moved by {passed:?} while {monotonic:?} passed: something sets it");
            Part::Clock.problem("even", what, SET_CLOCK)
        }
        Err(_) => Part::Clock.problem("even", "the wall clock runs backwards", SET_CLOCK),
    }
}

/// Whether the file system stamps files with the time that this machine has.
fn file_system(folder: &Path) -> Check {
    let stamped = || -> io::Result<SystemTime> { tempfile::tempfile_in(folder)?.metadata()?.modified() };
    let before = SystemTime::now();
    match stamped() {
        Err(error) => Part::Clock.note("filesystem", format!("no file can be made in {}: {error}", folder.display())),
        Ok(stamp) => {
            let apart = stamp.duration_since(before).unwrap_or_else(|error| error.duration());
            if apart <= TOLERANCE {
                Part::Clock.ok("filesystem", "it stamps files with this machine's time")
            } else {
                let what = format!("it stamps files {apart:?} apart from this machine's time");
                Part::Clock.problem("filesystem", what, SET_CLOCK)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::State;

    #[test]
    fn a_clock_that_was_never_set_is_a_problem() {
        let state = |seconds| wall(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).state();
        assert_eq!((state(0), state(EARLIEST)), (State::Problem, State::Ok));
    }
}
