//! Times as the engines compare them.

use chrono::{DateTime, Utc};

/// A time as an integer, for comparing; the first or the last there is for one beyond.
pub(crate) fn nanos(time: DateTime<Utc>) -> i64 {
    let beyond = if time < DateTime::UNIX_EPOCH { i64::MIN } else { i64::MAX };
    time.timestamp_nanos_opt().unwrap_or(beyond)
}
