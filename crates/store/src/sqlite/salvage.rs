//! Reading from a damaged file whatever can be read.

use std::collections::BTreeMap;

use agent_runtime::{
    store::{Gap, GapReason},
    stream::Epoch,
};
use rusqlite::{Connection, Row};
use uuid::Uuid;

use super::{
    row::{COLUMNS, Raw},
    schema::APPLICATION_ID,
};

/// How many rows are read at once.
const AT_ONCE: i64 = 256;

/// How far a reader looks for rows behind what it cannot read.
const FARTHEST: i64 = 1 << 40;

/// An epoch, as far as it can be read.
pub(super) struct Name {
    pub(super) id: i64,
    pub(super) epoch: Epoch,
    pub(super) owner: Option<Uuid>,
    pub(super) is_closed: bool,
    pub(super) opened_at_ms: i64,
    pub(super) opened: i64,
    pub(super) first_offset: Option<u64>,
    pub(super) next_offset: Option<u64>,
}

/// Whether the file says that it is a store of ours.
pub(super) fn is_ours(connection: &Connection) -> bool {
    let id = connection.pragma_query_value(None, "application_id", |row| row.get::<_, i32>(0));
    id.is_ok_and(|id| id == APPLICATION_ID)
}

/// The epochs: those of the table, and those that only the index of blocks names.
pub(super) fn names(connection: &Connection) -> Vec<Name> {
    let mut names: BTreeMap<i64, Name> = BTreeMap::new();
    let read = |row: &Row<'_>| {
        let name = Name {
            id: row.get(0)?,
            epoch: Epoch::from_uuid(row.get(1)?),
            owner: row.get(2).ok(),
            is_closed: row.get(3).unwrap_or(false),
            opened_at_ms: row.get(4).unwrap_or_default(),
            opened: row.get(5).unwrap_or_default(),
            first_offset: None,
            next_offset: row.get::<_, i64>(6).ok().and_then(|offset| u64::try_from(offset).ok()),
        };
        Ok(name)
    };
    let sql = "SELECT id, epoch, owner, is_closed, opened_at_ms, opened, next_offset FROM epochs";
    for name in readable(connection, sql, read) {
        names.insert(name.id, name);
    }
    // Where each block begins, the table of events says which number its epoch has.
    let read =
        |row: &Row<'_>| Ok((row.get(0)?, Epoch::from_uuid(row.get(1)?), row.get::<_, i64>(2)?, row.get::<_, i64>(3)?));
    let blocks: Vec<(i64, Epoch, i64, i64)> =
        readable(connection, "SELECT first, epoch, first_offset, last FROM blocks ORDER BY first", read);
    let oldest = first_place(connection);
    for (first, epoch, first_offset, last) in blocks {
        let named = names.values().find(|name| name.epoch == epoch).map(|name| name.id);
        let number = || {
            let sql = "SELECT epoch FROM events WHERE place BETWEEN ? AND ? LIMIT 1";
            connection.query_row(sql, (first, last), |row| row.get::<_, i64>(0)).ok()
        };
        let Some(id) = named.or_else(number) else { continue };
        let name = names.entry(id).or_insert_with(|| Name {
            id,
            epoch,
            owner: None,
            is_closed: false,
            opened_at_ms: 0,
            opened: first,
            first_offset: None,
            next_offset: None,
        });
        // One that retention has begun to take says nothing of where the epoch begins now.
        let is_whole = oldest.is_none_or(|oldest| first >= oldest);
        if let Some(offset) = u64::try_from(first_offset).ok().filter(|_| is_whole && name.epoch == epoch) {
            name.first_offset = Some(name.first_offset.map_or(offset, |known| known.min(offset)));
        }
    }
    names.into_values().collect()
}

/// The known gaps, with the numbers of their epochs.
pub(super) fn gaps(connection: &Connection, names: &[Name]) -> Vec<(i64, Gap)> {
    let read = |row: &Row<'_>| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?, row.get::<_, String>(3)?))
    };
    let rows = readable(connection, "SELECT epoch, first, behind, reason FROM gaps", read);
    let gap = |(id, first, behind, reason): (i64, i64, i64, String)| {
        let name = names.iter().find(|name| name.id == id)?;
        let offsets = u64::try_from(first).ok()?..u64::try_from(behind).ok()?;
        Some((id, Gap::new(name.epoch, offsets, GapReason::of_str(&reason)?)))
    };
    rows.into_iter().filter_map(gap).collect()
}

/// All events that can be read, in their order.
pub(super) fn events(connection: &Connection, mut take: impl FnMut(Vec<Raw>)) {
    let mut next = i64::MIN;
    loop {
        let (rows, is_over) = rows_from(connection, next);
        let last = rows.last().map(|row| row.place);
        if !rows.is_empty() {
            take(rows);
        }
        match (is_over, last) {
            (Some(true), _) => return,
            (Some(false), Some(last)) => next = last + 1,
            (_, last) => {
                let failing = last.map_or(next, |last| last + 1).max(0);
                match readable_behind(connection, failing) {
                    Some(place) => next = place,
                    None => return,
                }
            }
        }
    }
}

/// Rows from a place on; and whether they are the last, which is not known if an error ended them.
fn rows_from(connection: &Connection, place: i64) -> (Vec<Raw>, Option<bool>) {
    let mut rows = Vec::new();
    let sql = format!("SELECT {COLUMNS} FROM events e WHERE e.place >= ? ORDER BY e.place LIMIT {AT_ONCE}");
    let Ok(mut statement) = connection.prepare_cached(&sql) else { return (rows, None) };
    let Ok(mut found) = statement.query([place]) else { return (rows, None) };
    let mut least = place;
    loop {
        match found.next() {
            Ok(Some(row)) => match Raw::read(row) {
                // A damaged tree may lead back to where a reader has been.
                Ok(raw) if raw.place >= least => {
                    least = raw.place + 1;
                    rows.push(raw);
                }
                _ => return (rows, None),
            },
            Ok(None) => {
                let is_over = (rows.len() as i64) < AT_ONCE;
                return (rows, Some(is_over));
            }
            Err(_) => return (rows, None),
        }
    }
}

/// The nearest place behind one that cannot be read from which rows can be.
fn readable_behind(connection: &Connection, failing: i64) -> Option<i64> {
    let is_readable = |place: i64| {
        let (rows, is_over) = rows_from(connection, place);
        !rows.is_empty() || is_over == Some(true)
    };
    let mut step = 1;
    while !is_readable(failing.checked_add(step)?) {
        step *= 2;
        if step > FARTHEST {
            return None;
        }
    }
    // Damage is of whole pages, so what lies between is unreadable up to some place.
    let (mut bad, mut good) = (failing + step / 2, failing + step);
    while bad + 1 < good {
        let middle = bad + (good - bad) / 2;
        if is_readable(middle) { good = middle } else { bad = middle }
    }
    Some(good)
}

fn first_place(connection: &Connection) -> Option<i64> {
    connection.query_row("SELECT min(place) FROM events", (), |row| row.get(0)).ok()
}

/// The rows of a small table, up to the first that cannot be read.
fn readable<R>(connection: &Connection, sql: &str, read: impl FnMut(&Row<'_>) -> rusqlite::Result<R>) -> Vec<R> {
    let Ok(mut statement) = connection.prepare(sql) else { return Vec::new() };
    let Ok(rows) = statement.query_map((), read) else { return Vec::new() };
    // A row that makes no sense is passed over; an unreadable page ends the scan by itself.
    let mut failures = 0;
    rows.take_while(|row| {
        failures += usize::from(row.is_err());
        failures < 64
    })
    .filter_map(Result::ok)
    .collect()
}
