//! Letting go of the oldest events.

use agent_runtime::store::{Retention, StoreError, Trimmed};
use chrono::{TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use super::{
    failure,
    row::{COLUMNS, Raw},
};
use crate::nanos::nanos;

/// How many events go at once where it has to be seen how much room that made.
const AT_ONCE: i64 = 16;

/// How many free pages a call returns to the file system.
const FREED_PAGES: u32 = 4_096;

pub(super) fn trim(connection: &mut Connection, retention: &Retention) -> Result<Trimmed, StoreError> {
    let of = |error| failure::of("removing old events from the store", error);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(of)?;
    let before = kept(&transaction).map_err(of)?;
    if let Some(max) = retention.max_events {
        let (first, behind) = before;
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        remove_before(&transaction, first.max(behind.saturating_sub(max))).map_err(of)?;
    }
    if let Some(oldest) =
        retention.max_age.and_then(|age| Utc::now().checked_sub_signed(TimeDelta::from_std(age).ok()?))
    {
        let first = first_since(&transaction, oldest)?;
        remove_before(&transaction, first).map_err(of)?;
    }
    if let Some(max) = retention.max_bytes {
        while used_bytes(&transaction).map_err(of)? > max {
            let (first, behind) = kept(&transaction).map_err(of)?;
            if first == behind {
                break;
            }
            remove_before(&transaction, behind.min(first + AT_ONCE)).map_err(of)?;
        }
    }
    let after = kept(&transaction).map_err(of)?;
    transaction.commit().map_err(of)?;
    let trimmed = u64::try_from(after.0 - before.0).unwrap_or_default();
    if trimmed > 0 {
        connection.pragma(None, "incremental_vacuum", FREED_PAGES, |_| Ok(())).map_err(of)?;
    }
    Ok(Trimmed::new(trimmed))
}

/// The place of the oldest event, and the place that comes next.
fn kept(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    let sql = "SELECT coalesce((SELECT min(place) FROM events), next_place), next_place FROM state";
    connection.query_row(sql, (), |row| Ok((row.get(0)?, row.get(1)?)))
}

/// The place of the first event that is not older than a time; behind all others if there is none.
fn first_since(connection: &Connection, oldest: chrono::DateTime<Utc>) -> Result<i64, StoreError> {
    let of = |error| failure::of("removing old events from the store", error);
    let (mut place, behind) = kept(connection).map_err(of)?;
    while place < behind {
        // A block that is old as a whole is not looked into.
        let sql = "SELECT last FROM blocks WHERE first <= ? AND last >= ? AND latest < ?";
        let whole = connection.query_row(sql, (place, place, nanos(oldest)), |row| row.get::<_, i64>(0));
        if let Some(last) = whole.optional().map_err(of)? {
            place = last + 1;
            continue;
        }
        let sql = format!("SELECT {COLUMNS} FROM events e WHERE e.place >= ? ORDER BY e.place LIMIT 1");
        let Some(row) = connection.query_row(&sql, [place], Raw::read).optional().map_err(of)? else { break };
        if row.event()?.timestamp >= oldest {
            return Ok(row.place);
        }
        place = row.place + 1;
    }
    Ok(behind)
}

fn remove_before(connection: &Connection, place: i64) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM events WHERE place < ?")?.execute([place])?;
    let blocks = "SELECT first FROM blocks WHERE last < ?";
    connection.prepare_cached(&format!("DELETE FROM marks WHERE first IN ({blocks})"))?.execute([place])?;
    connection.prepare_cached("DELETE FROM blocks WHERE last < ?")?.execute([place])?;
    Ok(())
}

/// The bytes of the pages in use.
fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let used = (pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?;
    Ok(u64::try_from(used).unwrap_or_default())
}
