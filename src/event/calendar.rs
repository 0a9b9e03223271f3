//! Times as dates, without the arithmetic of the calendar for each of them.

use std::{cell::Cell, time::Duration};

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

const SECONDS_A_DAY: u64 = 24 * 60 * 60;

thread_local! {
    /// The day that was shown last, by its number: most times are of the same day as the one before.
    static LAST_DAY: Cell<Option<(u64, NaiveDate)>> = const { Cell::new(None) };
}

/// The date and time so long after the Unix epoch; the last one that there is for what is beyond it.
pub(crate) fn date_time(since_epoch: Duration) -> DateTime<Utc> {
    let day = since_epoch.as_secs() / SECONDS_A_DAY;
    let of_day = (since_epoch.as_secs() % SECONDS_A_DAY) as u32;
    let time = NaiveTime::from_num_seconds_from_midnight_opt(of_day, since_epoch.subsec_nanos());
    match (date(day), time) {
        (Some(date), Some(time)) => date.and_time(time).and_utc(),
        _ => DateTime::<Utc>::MAX_UTC,
    }
}

fn date(day: u64) -> Option<NaiveDate> {
    match LAST_DAY.get() {
        Some((last, date)) if last == day => Some(date),
        _ => {
            let date = NaiveDate::from_epoch_days(i32::try_from(day).ok()?)?;
            LAST_DAY.set(Some((day, date)));
            Some(date)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_has_the_date_that_the_calendar_has() {
        let days = [0, 1, 58, 59, 60, 19_782, 20_000, 20_000, 19_999, 2_932_896, 0];
        for day in days {
            for (second, nanos) in [(0, 0), (43_200, 1), (86_399, 999_999_999)] {
                let seconds = day * SECONDS_A_DAY + second;
                let expected = DateTime::from_timestamp(seconds.cast_signed(), nanos).unwrap();
                assert_eq!(date_time(Duration::new(seconds, nanos)), expected);
            }
        }
        assert_eq!(date_time(Duration::MAX), DateTime::<Utc>::MAX_UTC);
    }
}
