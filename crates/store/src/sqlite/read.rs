//! Pages of events, by blocks that may have some.

use agent_runtime::store::{Cursor, Page, Position, Query, StoreError};
use rusqlite::{Connection, OptionalExtension as _, Row, ToSql};

use super::{
    epochs::Life,
    failure,
    row::{COLUMNS, EpochNames, Raw, reading},
};
use crate::nanos::nanos;

/// How many events are looked at for one page, so that no call keeps others waiting.
const MAX_LOOKED_AT: usize = 4_096;

/// The place behind a cursor.
pub(super) fn start_of(connection: &Connection, cursor: Cursor) -> Result<i64, StoreError> {
    let Cursor::After(position) = cursor else { return Ok(0) };
    let life = Life::of(connection, position.epoch)?.ok_or(StoreError::unknown_epoch(position.epoch))?;
    // Without an event in front of it: whatever was stored since the epoch began.
    Ok(place_of(connection, position)?.map_or(life.opened, |place| place + 1))
}

/// The place of the last event of an epoch at a position or in front of it.
pub(super) fn place_of(connection: &Connection, position: Position) -> Result<Option<i64>, StoreError> {
    let offset = i64::try_from(position.offset).unwrap_or(i64::MAX);
    let sql = "SELECT first, last FROM blocks WHERE epoch = ? AND first_offset <= ? ORDER BY first_offset DESC LIMIT 1";
    let mut statement = connection.prepare_cached(sql).map_err(reading)?;
    let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let block = statement.query_row((position.epoch.as_uuid(), offset), read).optional().map_err(reading)?;
    let Some((first, last)) = block else { return Ok(None) };
    let sql = "SELECT max(place) FROM events WHERE place BETWEEN ? AND ? AND offset <= ?";
    let mut statement = connection.prepare_cached(sql).map_err(reading)?;
    statement.query_row((first, last, offset), |row| row.get(0)).map_err(reading)
}

pub(super) fn row_at(connection: &Connection, place: i64) -> Result<Raw, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM events e WHERE e.place = ?");
    connection.prepare_cached(&sql).and_then(|mut statement| statement.query_row([place], Raw::read)).map_err(reading)
}

pub(super) fn latest(connection: &mut Connection) -> Result<Option<Position>, StoreError> {
    let transaction = connection.transaction().map_err(reading)?;
    last_from(&transaction, 0, &mut EpochNames::default())
}

/// The position of the last event, if that stands at a place or behind it.
fn last_from(connection: &Connection, start: i64, names: &mut EpochNames) -> Result<Option<Position>, StoreError> {
    let sql = "SELECT epoch, offset FROM events WHERE place >= ? ORDER BY place DESC LIMIT 1";
    let mut statement = connection.prepare_cached(sql).map_err(reading)?;
    let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let last = statement.query_row([start], read).optional().map_err(reading)?;
    let Some((epoch, offset)) = last else { return Ok(None) };
    let epoch = names.of(connection, epoch)?;
    let offset = u64::try_from(offset).map_err(|_| failure::damaged("the last event has no offset"))?;
    Ok(Some(Position::new(epoch, offset)))
}

pub(super) fn read(connection: &mut Connection, from: Cursor, query: &Query, limit: usize) -> Result<Page, StoreError> {
    // One state of the store for all statements.
    let transaction = connection.transaction().map_err(reading)?;
    let start = start_of(&transaction, from)?;
    let (sql, parameters) = select(query, start);
    let mut statement = transaction.prepare_cached(&sql).map_err(reading)?;
    let parameters: Vec<&dyn ToSql> = parameters.iter().map(|parameter| &**parameter).collect();
    let mut rows = statement.query(&*parameters).map_err(reading)?;
    let mut names = EpochNames::default();
    let (mut events, mut next, mut looked_at) = (Vec::new(), from, 0);
    while let Some(row) = rows.next().map_err(reading)? {
        if events.len() >= limit.max(1) || looked_at == MAX_LOOKED_AT {
            return Ok(Page::new(events, next, false));
        }
        looked_at += 1;
        let raw = Raw::read(row).map_err(reading)?;
        let stored = raw.stored(names.of(&transaction, raw.epoch)?)?;
        next = Cursor::After(stored.position);
        if query.passes(&stored) {
            events.push(stored);
        }
    }
    drop(rows);
    drop(statement);
    // A reader goes on behind all that it was not shown.
    let last = last_from(&transaction, start, &mut names)?;
    Ok(Page::new(events, last.map_or(next, Cursor::After), true))
}

/// The statement for the events behind a place that may pass, in order.
fn select(query: &Query, start: i64) -> (String, Vec<Box<dyn ToSql>>) {
    let mut parameters: Vec<Box<dyn ToSql>> = vec![Box::new(start), Box::new(start)];
    let mut conditions = String::new();
    let mut add = |condition: &str, parameter: Box<dyn ToSql>| {
        conditions.push_str(condition);
        parameters.push(parameter);
    };
    if let Some(epoch) = query.epoch {
        add(" AND b.epoch = ?", Box::new(*epoch.as_uuid().as_bytes()));
    }
    if let Some(since) = query.since {
        add(" AND b.latest >= ?", Box::new(nanos(since)));
    }
    if let Some(until) = query.until {
        add(" AND b.earliest <= ?", Box::new(nanos(until)));
    }
    for (kind, names) in [("w", &query.filter.workflow_ids), ("c", &query.filter.component_ids)] {
        if names.is_empty() {
            continue;
        }
        let holes = vec!["?"; names.len()].join(", ");
        conditions += &format!(" AND b.first IN (SELECT first FROM marks WHERE kind = '{kind}' AND name IN ({holes}))");
        parameters.extend(names.iter().map(|name| -> Box<dyn ToSql> { Box::new(name.clone()) }));
    }
    let is_narrow = !conditions.is_empty();
    let sql = if is_narrow {
        // The blocks outside, so that only the events of those that may have some are looked at.
        format!(
            "SELECT {COLUMNS} FROM blocks b CROSS JOIN events e ON e.place BETWEEN max(b.first, ?) AND b.last \
             WHERE b.last >= ?{conditions} ORDER BY b.first, e.place"
        )
    } else {
        parameters.truncate(1);
        format!("SELECT {COLUMNS} FROM events e WHERE e.place >= ? ORDER BY e.place")
    };
    (sql, parameters)
}
