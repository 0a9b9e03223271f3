//! Times as people write them, and durations as they read them.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, TimeDelta, Utc};

/// Reads a time: RFC 3339, a date or a time of UTC, or how long ago it was.
pub(crate) fn time(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, format) {
            return Ok(time.and_utc());
        }
    }
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Ok(date.and_time(chrono::NaiveTime::MIN).and_utc());
    }
    let ago = duration(text).ok().and_then(|ago| Utc::now().checked_sub_signed(TimeDelta::from_std(ago).ok()?));
    ago.ok_or_else(|| {
        "expected a time such as 2026-07-01T12:00:00Z or 2026-07-01, or how long ago: 90s, 15m, 2h, 3d".into()
    })
}

/// How long a pause may be; none for as long as it was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pause(pub(crate) Option<Duration>);

/// Reads the longest pause.
pub(crate) fn pause(text: &str) -> Result<Pause, String> {
    if text == "none" { Ok(Pause(None)) } else { duration(text).map(Some).map(Pause) }
}

/// Reads a duration: a number and `ms`, `s`, `m`, `h` or `d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let read = || {
        let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, unit) = text.split_at(unit);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
    };
    read().ok_or_else(|| "expected a number and a unit: 500ms, 90s, 15m, 2h, 3d".to_owned())
}

/// A time with its milliseconds, in UTC.
pub(crate) fn stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A duration in at most nine columns.
pub(crate) fn length(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 if duration.as_millis() < 1 => format!("{} µs", duration.as_micros()),
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{:.2} s", duration.as_secs_f64()),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..360_000 => format!("{}h {:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_form_that_the_help_names() {
        let noon = "2026-07-01T12:00:00.000Z";
        for text in ["2026-07-01T12:00:00Z", "2026-07-01T14:00:00+02:00", "2026-07-01T12:00", "2026-07-01 12:00:00"] {
            assert_eq!(time(text).map(stamp).as_deref(), Ok(noon), "{text}");
        }
        assert_eq!(time("2026-07-01").map(stamp).as_deref(), Ok("2026-07-01T00:00:00.000Z"));
        for text in ["90s", "15m", "2h", "3d", "1.5h"] {
            assert!(time(text).is_ok_and(|time| time < Utc::now()), "{text}");
        }
        for text in ["", "yesterday", "-5m", "5", "m", "2026-13-01", "1e300d", "5w", "nanh"] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lengths_are_short() {
        let check = |millis, expected: &str| assert_eq!(length(Duration::from_millis(millis)), expected);
        check(0, "0 µs");
        check(12, "12 ms");
        check(1_889, "1.89 s");
        check(62_000, "1m 02s");
        check(7_320_000, "2h 02m");
        check(400 * 3_600_000, "16 d");
    }
}
