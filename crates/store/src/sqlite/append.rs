//! A batch as one transaction.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use agent_runtime::{
    event::Event,
    store::{Batch, Gap, Position, StoreError},
};
use rusqlite::{
    CachedStatement, Connection, ToSql, Transaction, TransactionBehavior, types::ToSqlOutput, types::ValueRef,
};
use uuid::Uuid;

use super::{
    epochs::Life,
    failure,
    read::{place_of, row_at},
    row::checksum,
};
use crate::nanos::nanos;

/// How many events a block of the index has at the most.
const BLOCK: usize = 256;

/// How many events are inserted by one statement, where there are as many.
const AT_ONCE: usize = 16;

pub(super) fn append(connection: &mut Connection, batch: &Batch, owner: Uuid) -> Result<(), StoreError> {
    let of = |error| failure::of("appending to the store", error);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(of)?;
    let life = Life::owned(&transaction, batch.epoch(), owner)?;
    let new = new_of(&transaction, batch, &life)?;
    insert(&transaction, batch, &life, new).map_err(of)?;
    for gap in batch.gaps().iter().filter(|gap| !gap.offsets.is_empty()) {
        insert_gap(&transaction, life.id, gap).map_err(of)?;
    }
    transaction.commit().map_err(of)
}

pub(super) fn insert_gap(connection: &Connection, epoch: i64, gap: &Gap) -> rusqlite::Result<()> {
    let sql = "INSERT OR IGNORE INTO gaps VALUES (?, ?, ?, ?)";
    let [first, behind] = [gap.offsets.start, gap.offsets.end].map(|offset| i64::try_from(offset).unwrap_or(i64::MAX));
    connection.prepare_cached(sql)?.execute((epoch, first, behind, gap.reason.as_str()))?;
    Ok(())
}

/// The events that are not stored yet, unless one has the place of another.
fn new_of<'a>(connection: &Connection, batch: &'a Batch, life: &Life) -> Result<&'a [Arc<Event>], StoreError> {
    let next_offset = u64::try_from(life.next_offset).unwrap_or_default();
    let is_stored = |event: &Arc<Event>| event.offset.is_some_and(|offset| offset < next_offset);
    let (stored, new) = batch.events().split_at(batch.events().partition_point(is_stored));
    for event in stored {
        let position = Position::new(batch.epoch(), event.offset.unwrap_or_default());
        // Nothing at it or in front of it: retention has taken it.
        let Some(place) = place_of(connection, position)? else { continue };
        let row = row_at(connection, place)?;
        let is_there = row.offset == offset_of(event);
        if !is_there || row.event()?.event_id != event.event_id {
            return Err(StoreError::conflict(position, event.event_id));
        }
    }
    let beyond = new.iter().find(|event| event.offset.is_none_or(|offset| i64::try_from(offset).is_err()));
    match beyond {
        None => Ok(new),
        Some(event) => Err(StoreError::incompatible(format!(
            "event {} has an offset beyond 2^63, which SQLite's integers do not hold",
            event.event_id
        ))),
    }
}

/// Inserts events of an epoch behind all others, in blocks.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    batch: &Batch,
    life: &Life,
    events: &[Arc<Event>],
) -> rusqlite::Result<()> {
    let Some(last) = events.last() else { return Ok(()) };
    let first_place: i64 = transaction.query_row("SELECT next_place FROM state", (), |row| row.get(0))?;
    let mut place = first_place;
    for block in events.chunks(BLOCK) {
        let places = place..place + i64::try_from(block.len()).unwrap_or_default();
        insert_rows(transaction, life.id, place, block)?;
        insert_block(transaction, batch, &places, block)?;
        place = places.end;
    }
    transaction.prepare_cached("UPDATE state SET next_place = ?")?.execute([place])?;
    let next_offset = offset_of(last).saturating_add(1);
    transaction.prepare_cached("UPDATE epochs SET next_offset = ? WHERE id = ?")?.execute((next_offset, life.id))?;
    Ok(())
}

fn insert_rows(
    transaction: &Transaction<'_>,
    epoch: i64,
    mut place: i64,
    events: &[Arc<Event>],
) -> rusqlite::Result<()> {
    let one = "INSERT INTO events VALUES (?, ?, ?, ?, ?)";
    let many = format!("{one}{}", ", (?, ?, ?, ?, ?)".repeat(AT_ONCE - 1));
    let (whole, rest) = events.as_chunks::<AT_ONCE>();
    let mut statement = transaction.prepare_cached(&many)?;
    for chunk in whole {
        place = bind(&mut statement, epoch, place, chunk)?;
        statement.raw_execute()?;
    }
    let mut statement = transaction.prepare_cached(one)?;
    for event in rest {
        place = bind(&mut statement, epoch, place, std::slice::from_ref(event))?;
        statement.raw_execute()?;
    }
    Ok(())
}

fn bind(
    statement: &mut CachedStatement<'_>,
    epoch: i64,
    mut place: i64,
    events: &[Arc<Event>],
) -> rusqlite::Result<i64> {
    let mut parameter = 0;
    let mut next = || {
        parameter += 1;
        parameter
    };
    for event in events {
        let body =
            serde_json::to_vec(&**event).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        let offset = offset_of(event);
        statement.raw_bind_parameter(next(), place)?;
        statement.raw_bind_parameter(next(), epoch)?;
        statement.raw_bind_parameter(next(), offset)?;
        statement.raw_bind_parameter(next(), checksum(epoch, offset, &body))?;
        statement.raw_bind_parameter(next(), Text(&body))?;
        place += 1;
    }
    Ok(place)
}

fn insert_block(
    transaction: &Transaction<'_>,
    batch: &Batch,
    places: &Range<i64>,
    events: &[Arc<Event>],
) -> rusqlite::Result<()> {
    let times = || events.iter().map(|event| nanos(event.timestamp));
    let (earliest, latest) = (times().min(), times().max());
    let first_offset = events.first().map(offset_of);
    transaction.prepare_cached("INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?)")?.execute((
        places.start,
        places.end - 1,
        batch.epoch().as_uuid(),
        first_offset,
        earliest,
        latest,
    ))?;
    let mut marks = BTreeSet::new();
    for event in events {
        let workflows = [&event.workflow_id, &event.parent_workflow_id];
        marks.extend(workflows.into_iter().flatten().map(|id| ("w", id.as_str())));
        marks.insert(("c", event.component_id.as_str()));
    }
    let mut statement = transaction.prepare_cached("INSERT OR IGNORE INTO marks VALUES (?, ?, ?)")?;
    marks.into_iter().try_for_each(|(kind, name)| statement.execute((kind, name, places.start)).map(drop))
}

fn offset_of(event: &Arc<Event>) -> i64 {
    event.offset.and_then(|offset| i64::try_from(offset).ok()).unwrap_or(i64::MAX)
}

/// The bytes of a text.
struct Text<'a>(&'a [u8]);

impl ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}
