//! Whose an epoch is.

use agent_runtime::{
    store::{EpochRecord, EpochState, Gap, GapReason, StoreError},
    stream::Epoch,
};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior};
use uuid::Uuid;

use super::{failure, owner::Owners, row::reading};

/// An epoch as it is stored.
pub(super) struct Life {
    pub(super) id: i64,
    pub(super) owner: Uuid,
    pub(super) is_closed: bool,
    /// What it holds stands here or behind.
    pub(super) opened: i64,
    pub(super) next_offset: i64,
    epoch: Epoch,
    opened_at: DateTime<Utc>,
}

const COLUMNS: &str = "id, epoch, owner, is_closed, opened_at_ms, opened, next_offset";

impl Life {
    /// The epoch of a name.
    pub(super) fn of(connection: &Connection, epoch: Epoch) -> Result<Option<Self>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM epochs WHERE epoch = ?");
        let mut statement = connection.prepare_cached(&sql).map_err(reading)?;
        statement.query_row([epoch.as_uuid()], Self::read).optional().map_err(reading)
    }

    /// The epoch of a name, if it is open and a handle's.
    pub(super) fn owned(connection: &Connection, epoch: Epoch, owner: Uuid) -> Result<Self, StoreError> {
        let life = Self::of(connection, epoch)?;
        life.filter(|life| !life.is_closed && life.owner == owner).ok_or(StoreError::not_owner(epoch))
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            epoch: Epoch::from_uuid(row.get(1)?),
            owner: row.get(2)?,
            is_closed: row.get(3)?,
            opened_at: DateTime::from_timestamp_millis(row.get(4)?).unwrap_or_default(),
            opened: row.get(5)?,
            next_offset: row.get(6)?,
        })
    }
}

pub(super) fn open(connection: &mut Connection, epoch: Epoch, owner: Uuid) -> Result<u64, StoreError> {
    let of = |error| failure::of("opening an epoch", error);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(of)?;
    let next_offset = match Life::of(&transaction, epoch)? {
        None => {
            let sql = "INSERT INTO epochs (epoch, owner, is_closed, opened_at_ms, opened, next_offset) \
                       SELECT ?, ?, 0, ?, next_place, 0 FROM state";
            let now = Utc::now().timestamp_millis();
            transaction.execute(sql, (epoch.as_uuid(), owner, now)).map_err(of)?;
            0
        }
        Some(life) if life.owner == owner => {
            transaction.execute("UPDATE epochs SET is_closed = 0 WHERE id = ?", [life.id]).map_err(of)?;
            life.next_offset
        }
        Some(_) => return Err(StoreError::not_owner(epoch)),
    };
    transaction.commit().map_err(of)?;
    Ok(u64::try_from(next_offset).unwrap_or_default())
}

pub(super) fn close(connection: &mut Connection, epoch: Epoch, owner: Uuid) -> Result<(), StoreError> {
    let of = |error| failure::of("closing an epoch", error);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(of)?;
    let life = Life::of(&transaction, epoch)?.filter(|life| life.owner == owner).ok_or(StoreError::not_owner(epoch))?;
    transaction.execute("UPDATE epochs SET is_closed = 1 WHERE id = ?", [life.id]).map_err(of)?;
    transaction.commit().map_err(of)
}

pub(super) fn adopt(
    connection: &mut Connection,
    epoch: Epoch,
    owner: Uuid,
    owners: &Owners,
) -> Result<bool, StoreError> {
    let of = |error| failure::of("adopting an epoch", error);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(of)?;
    let life = Life::of(&transaction, epoch)?.ok_or(StoreError::unknown_epoch(epoch))?;
    if life.is_closed || life.owner == owner || is_alive(owners, life.owner)? {
        return Ok(!life.is_closed && life.owner == owner);
    }
    transaction.execute("UPDATE epochs SET owner = ? WHERE id = ?", (owner, life.id)).map_err(of)?;
    let sql = "SELECT count(*) FROM epochs WHERE owner = ? AND NOT is_closed";
    let left: i64 = transaction.query_row(sql, [life.owner], |row| row.get(0)).map_err(of)?;
    transaction.commit().map_err(of)?;
    if left == 0 {
        owners.forget(life.owner);
    }
    Ok(true)
}

pub(super) fn list(connection: &Connection, owners: &Owners) -> Result<Vec<EpochRecord>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM epochs ORDER BY id");
    let mut statement = connection.prepare_cached(&sql).map_err(reading)?;
    let lives = statement.query_map((), Life::read).and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>);
    let record = |life: Life| {
        let state = match life.is_closed {
            true => EpochState::Closed,
            false if is_alive(owners, life.owner)? => EpochState::Open,
            false => EpochState::Abandoned,
        };
        let next_offset = u64::try_from(life.next_offset).unwrap_or_default();
        Ok(EpochRecord::new(life.epoch, state, life.opened_at, next_offset))
    };
    lives.map_err(reading)?.into_iter().map(record).collect()
}

pub(super) fn gaps(connection: &Connection, epoch: Epoch) -> Result<Vec<Gap>, StoreError> {
    let life = Life::of(connection, epoch)?.ok_or(StoreError::unknown_epoch(epoch))?;
    let sql = "SELECT first, behind, reason FROM gaps WHERE epoch = ? ORDER BY first, behind";
    let mut statement = connection.prepare_cached(sql).map_err(reading)?;
    let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?));
    let rows = statement.query_map([life.id], read).and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>);
    let gap = |(first, behind, reason): (i64, i64, String)| {
        let offsets = u64::try_from(first).ok()?..u64::try_from(behind).ok()?;
        Some(Gap::new(epoch, offsets, GapReason::of_str(&reason)?))
    };
    let gaps: Option<Vec<_>> = rows.map_err(reading)?.into_iter().map(gap).collect();
    gaps.ok_or_else(|| failure::damaged("a gap is not as it was written"))
}

fn is_alive(owners: &Owners, owner: Uuid) -> Result<bool, StoreError> {
    let looking = |error| StoreError::unavailable("looking whether the owner of an epoch is alive", error);
    owners.is_alive(owner).map_err(looking)
}
