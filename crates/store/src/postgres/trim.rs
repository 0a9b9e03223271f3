//! Letting go of the oldest events.

use agent_runtime::store::{Retention, Trimmed};
use chrono::{TimeDelta, Utc};
use tokio_postgres::{Client, Transaction, types::Type};

use super::{
    epochs::{begin, next_place},
    failure::Failure,
};
use crate::nanos::nanos;

/// How many events go in one transaction, so that no writer waits long.
const AT_ONCE: i64 = 10_000;

/// Lets go of some of the events that are too many, too old or too large; the next call does of others.
pub(super) async fn some(client: &mut Client, retention: &Retention) -> Result<Trimmed, Failure> {
    let transaction = begin(client).await?;
    let behind = next_place(&transaction).await?;
    let first = place(&transaction, "SELECT min(place) FROM events", None).await?.unwrap_or(behind);
    let mut keep = first;
    if let Some(max) = retention.max_events {
        keep = keep.max(behind.saturating_sub(i64::try_from(max).unwrap_or(i64::MAX)));
    }
    let oldest = retention.max_age.and_then(|age| Utc::now().checked_sub_signed(TimeDelta::from_std(age).ok()?));
    if let Some(oldest) = oldest {
        let sql = "SELECT place FROM events WHERE time_ns >= $1 ORDER BY place LIMIT 1";
        keep = keep.max(place(&transaction, sql, Some(nanos(oldest))).await?.unwrap_or(behind));
    }
    if let Some(max) = retention.max_bytes {
        keep = keep.max(fitting(&transaction, i64::try_from(max).unwrap_or(i64::MAX), behind).await?);
    }
    let keep = keep.min(first.saturating_add(AT_ONCE));
    if keep > first {
        remove_before(&transaction, keep).await?;
    }
    transaction.commit().await?;
    Ok(Trimmed::new(u64::try_from(keep - first).unwrap_or_default()))
}

/// The place from which on the bodies of events have no more than some bytes.
async fn fitting(transaction: &Transaction<'_>, max: i64, behind: i64) -> Result<i64, Failure> {
    let sql = "SELECT first, last, coalesce(later, 0)::bigint FROM (SELECT first, last, bytes, sum(bytes) OVER (ORDER BY last \
               DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS later FROM blocks) b \
               WHERE coalesce(later, 0) + bytes > $1 ORDER BY last DESC LIMIT 1";
    let rows = transaction.query_typed(sql, &[(&max, Type::INT8)]).await?;
    let Some(row) = rows.first() else { return Ok(0) };
    let (first, last, later): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    // The block in which the bound lies, event by event.
    let sql = "SELECT min(place) FROM (SELECT place, sum(octet_length(body)) OVER (ORDER BY place DESC) AS size FROM events \
               WHERE place BETWEEN $1 AND $2) e WHERE size <= $3";
    let parameters = [first, last, max - later];
    let parameters =
        parameters.each_ref().map(|value| (value as &(dyn tokio_postgres::types::ToSql + Sync), Type::INT8));
    let rows = transaction.query_typed(sql, &parameters).await?;
    let kept = rows.first().map(|row| row.try_get::<_, Option<i64>>(0)).transpose()?.flatten();
    Ok(kept.unwrap_or(last + 1).min(behind))
}

async fn place(transaction: &Transaction<'_>, sql: &str, time: Option<i64>) -> Result<Option<i64>, Failure> {
    let rows = match &time {
        Some(time) => transaction.query_typed(sql, &[(time, Type::INT8)]).await?,
        None => transaction.query_typed(sql, &[]).await?,
    };
    Ok(rows.first().map(|row| row.try_get::<_, Option<i64>>(0)).transpose()?.flatten())
}

async fn remove_before(transaction: &Transaction<'_>, place: i64) -> Result<(), Failure> {
    for sql in [
        "DELETE FROM events WHERE place < $1",
        "DELETE FROM blocks WHERE last < $1",
        "UPDATE blocks SET first = $1, bytes = (SELECT coalesce(sum(octet_length(body)), 0) FROM events \
         WHERE place BETWEEN $1 AND last) WHERE first < $1",
    ] {
        transaction.execute_typed(sql, &[(&place, Type::INT8)]).await?;
    }
    Ok(())
}
