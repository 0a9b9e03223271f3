//! Whose an epoch is.

use agent_runtime::{
    store::{EpochRecord, EpochState, Gap, GapReason, StoreError},
    stream::Epoch,
};
use chrono::{DateTime, Utc};
use futures_util::future::try_join;
use tokio_postgres::{Client, GenericClient, IsolationLevel, Row, Transaction, types::Type};
use uuid::Uuid;

use super::failure::{Failure, damaged};

/// A handle's life, as the others see it: its sessions hold an advisory lock, which the server lets go of when they end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) id: Uuid,
    pub(super) lock: i64,
}

/// An epoch as it is stored.
pub(super) struct Life {
    pub(super) id: i32,
    pub(super) next_offset: i64,
    epoch: Epoch,
    owner: Uuid,
    is_closed: bool,
    is_alive: bool,
    opened_at_ms: i64,
}

/// The columns that [`Life`] is read from. An owner is alive as long as its lock is held, shared so that a session of its
/// that the server still takes for alive does not keep out the next one; nobody else ever takes it.
const SELECT: &str = "SELECT id, next_offset, epoch, owner, is_closed, opened_at_ms, EXISTS (SELECT 1 FROM pg_locks \
     WHERE locktype = 'advisory' AND granted AND objsubid = 1 \
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
     AND classid = ((owner_lock >> 32) & 4294967295)::oid AND objid = (owner_lock & 4294967295)::oid) FROM epochs";

impl Owner {
    /// Begins the life of a handle.
    pub(super) fn new() -> Self {
        let id = Uuid::now_v7();
        // The half of the id that is random.
        let (_, lock) = id.as_u64_pair();
        Self { id, lock: lock.cast_signed() }
    }

    /// What takes the lock in a session.
    pub(super) fn greeting(self) -> String {
        format!("SELECT pg_advisory_lock_shared({})", self.lock)
    }
}

impl Life {
    /// The epoch of a name.
    pub(super) async fn of(client: &impl GenericClient, epoch: Epoch) -> Result<Option<Self>, Failure> {
        let sql = format!("{SELECT} WHERE epoch = $1");
        let rows = client.query_typed(&sql, &[(&epoch.as_uuid(), Type::UUID)]).await?;
        rows.first().map(Self::read).transpose()
    }

    /// The epoch of a name, if it is open and a handle's, and the next place; nobody else stores until the transaction ends.
    pub(super) async fn owned(
        transaction: &Transaction<'_>,
        epoch: Epoch,
        owner: Owner,
    ) -> Result<(Self, i64), Failure> {
        let (place, life) = held(transaction, epoch).await?;
        let life = life.filter(|life| !life.is_closed && life.owner == owner.id);
        Ok((life.ok_or(StoreError::not_owner(epoch))?, place))
    }

    fn read(row: &Row) -> Result<Self, Failure> {
        Ok(Self {
            id: row.try_get(0)?,
            next_offset: row.try_get(1)?,
            epoch: Epoch::from_uuid(row.try_get(2)?),
            owner: row.try_get(3)?,
            is_closed: row.try_get(4)?,
            opened_at_ms: row.try_get(5)?,
            is_alive: row.try_get(6)?,
        })
    }
}

/// Begins a transaction that writes. Each statement sees what was committed before it, so that the ones behind the row that
/// all writers hold see all that the others have done.
pub(super) async fn begin(client: &mut Client) -> Result<Transaction<'_>, Failure> {
    let builder = client.build_transaction().isolation_level(IsolationLevel::ReadCommitted).read_only(false);
    Ok(builder.start().await?)
}

/// Waits until nobody else stores; the next place, and after that the epoch.
pub(super) async fn held(transaction: &Transaction<'_>, epoch: Epoch) -> Result<(i64, Option<Life>), Failure> {
    let place = next_place(transaction);
    // Both are on their way at once, and the server takes the second when it has done the first.
    try_join(place, Life::of(transaction, epoch)).await
}

/// Waits until nobody else stores; the place that comes next.
pub(super) async fn next_place(transaction: &Transaction<'_>) -> Result<i64, Failure> {
    let rows = transaction.query_typed("SELECT next_place FROM state FOR UPDATE", &[]).await?;
    let row = rows.first().ok_or_else(|| damaged("the row that counts places is missing"))?;
    Ok(row.try_get(0)?)
}

pub(super) async fn open(client: &mut Client, epoch: Epoch, owner: Owner) -> Result<u64, Failure> {
    let transaction = begin(client).await?;
    let next_offset = match held(&transaction, epoch).await? {
        (place, None) => {
            let sql = "INSERT INTO epochs (epoch, owner, owner_lock, is_closed, opened_at_ms, opened, next_offset) \
                       VALUES ($1, $2, $3, false, $4, $5, 0)";
            let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 5] = [
                (&epoch.as_uuid(), Type::UUID),
                (&owner.id, Type::UUID),
                (&owner.lock, Type::INT8),
                (&Utc::now().timestamp_millis(), Type::INT8),
                (&place, Type::INT8),
            ];
            transaction.execute_typed(sql, &parameters).await?;
            0
        }
        (_, Some(life)) if life.owner == owner.id => {
            let sql = "UPDATE epochs SET is_closed = false WHERE id = $1";
            transaction.execute_typed(sql, &[(&life.id, Type::INT4)]).await?;
            life.next_offset
        }
        (_, Some(_)) => return Err(StoreError::not_owner(epoch).into()),
    };
    transaction.commit().await?;
    Ok(u64::try_from(next_offset).unwrap_or_default())
}

pub(super) async fn close(client: &mut Client, epoch: Epoch, owner: Owner) -> Result<(), Failure> {
    let transaction = begin(client).await?;
    let (_, life) = held(&transaction, epoch).await?;
    let life = life.filter(|life| life.owner == owner.id).ok_or(StoreError::not_owner(epoch))?;
    let sql = "UPDATE epochs SET is_closed = true WHERE id = $1";
    transaction.execute_typed(sql, &[(&life.id, Type::INT4)]).await?;
    Ok(transaction.commit().await?)
}

pub(super) async fn adopt(client: &mut Client, epoch: Epoch, owner: Owner) -> Result<bool, Failure> {
    let transaction = begin(client).await?;
    let (_, life) = held(&transaction, epoch).await?;
    let life = life.ok_or(StoreError::unknown_epoch(epoch))?;
    if life.is_closed || life.owner == owner.id || life.is_alive {
        return Ok(!life.is_closed && life.owner == owner.id);
    }
    let sql = "UPDATE epochs SET owner = $1, owner_lock = $2 WHERE id = $3";
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
        [(&owner.id, Type::UUID), (&owner.lock, Type::INT8), (&life.id, Type::INT4)];
    transaction.execute_typed(sql, &parameters).await?;
    transaction.commit().await?;
    Ok(true)
}

pub(super) async fn list(client: &Client) -> Result<Vec<EpochRecord>, Failure> {
    let rows = client.query_typed(&format!("{SELECT} ORDER BY id"), &[]).await?;
    let record = |row: &Row| {
        let life = Life::read(row)?;
        let state = match (life.is_closed, life.is_alive) {
            (true, _) => EpochState::Closed,
            (false, true) => EpochState::Open,
            (false, false) => EpochState::Abandoned,
        };
        let opened_at = DateTime::from_timestamp_millis(life.opened_at_ms).unwrap_or_default();
        let next_offset = u64::try_from(life.next_offset).unwrap_or_default();
        Ok(EpochRecord::new(life.epoch, state, opened_at, next_offset))
    };
    rows.iter().map(record).collect()
}

pub(super) async fn gaps(client: &Client, epoch: Epoch) -> Result<Vec<Gap>, Failure> {
    let life = Life::of(client, epoch).await?.ok_or(StoreError::unknown_epoch(epoch))?;
    let sql = "SELECT first, behind, reason FROM gaps WHERE epoch = $1 ORDER BY first, behind";
    let rows = client.query_typed(sql, &[(&life.id, Type::INT4)]).await?;
    let gap = |row: &Row| {
        let (first, behind, reason): (i64, i64, &str) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let gap = (u64::try_from(first), u64::try_from(behind), GapReason::of_str(reason));
        match gap {
            (Ok(first), Ok(behind), Some(reason)) => Ok(Gap::new(epoch, first..behind, reason)),
            _ => Err(damaged(format!("a gap of epoch {epoch} is not as it was written")).into()),
        }
    };
    rows.iter().map(gap).collect()
}
