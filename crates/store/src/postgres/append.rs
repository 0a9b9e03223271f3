//! A batch as one transaction.

use std::{collections::BTreeSet, sync::Arc};

use agent_runtime::{
    event::Event,
    store::{Batch, Position, StoreError},
};
use tokio_postgres::{
    Client, Transaction,
    types::{ToSql, Type},
};
use uuid::Uuid;

use super::{
    epochs::{Life, Owner, begin},
    failure::Failure,
};
use crate::nanos::nanos;

/// How many events a block of the index has at the most.
const BLOCK: usize = 256;

/// How many bytes of events go in one statement, but for one that is larger.
const STATEMENT_BYTES: usize = 4 * 1024 * 1024;

/// Events on their way into the table, a column each.
#[derive(Default)]
struct Columns {
    places: Vec<i64>,
    offsets: Vec<i64>,
    ids: Vec<Uuid>,
    times: Vec<i64>,
    bodies: Vec<String>,
    bytes: usize,
}

/// Blocks on their way into the table.
#[derive(Default)]
struct Block {
    first: i64,
    bytes: i64,
    count: usize,
    earliest: i64,
    latest: i64,
    workflows: BTreeSet<i32>,
    components: BTreeSet<i32>,
}

pub(super) async fn append(client: &mut Client, batch: &Batch, owner: Owner, channel: &str) -> Result<(), Failure> {
    let transaction = begin(client).await?;
    let (life, place) = Life::owned(&transaction, batch.epoch(), owner).await?;
    let new = new_of(&transaction, batch, &life).await?;
    insert(&transaction, &life, place, new, channel).await?;
    for gap in batch.gaps().iter().filter(|gap| !gap.offsets.is_empty()) {
        let [first, behind] =
            [gap.offsets.start, gap.offsets.end].map(|offset| i64::try_from(offset).unwrap_or(i64::MAX));
        let sql = "INSERT INTO gaps VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        let parameters: [(&(dyn ToSql + Sync), Type); 4] =
            [(&life.id, Type::INT4), (&first, Type::INT8), (&behind, Type::INT8), (&gap.reason.as_str(), Type::TEXT)];
        transaction.execute_typed(sql, &parameters).await?;
    }
    Ok(transaction.commit().await?)
}

/// The events that are not stored yet, unless one has the place of another.
async fn new_of<'a>(transaction: &Transaction<'_>, batch: &'a Batch, life: &Life) -> Result<&'a [Arc<Event>], Failure> {
    let next_offset = u64::try_from(life.next_offset).unwrap_or_default();
    let is_stored = |event: &Arc<Event>| event.offset.is_some_and(|offset| offset < next_offset);
    let (stored, new) = batch.events().split_at(batch.events().partition_point(is_stored));
    if !stored.is_empty() {
        let offsets: Vec<i64> = stored.iter().map(offset_of).collect();
        // The first one kept too: what lay in front of it, retention has taken.
        let sql = "SELECT \"offset\", event_id FROM events WHERE epoch = $1 AND (\"offset\" = ANY ($2) \
                   OR \"offset\" = (SELECT min(\"offset\") FROM events WHERE epoch = $1)) ORDER BY \"offset\"";
        let rows = transaction.query_typed(sql, &[(&life.id, Type::INT4), (&offsets, Type::INT8_ARRAY)]).await?;
        let found = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
        let found: Vec<(i64, Uuid)> = found.collect::<Result<_, tokio_postgres::Error>>()?;
        for (event, offset) in stored.iter().zip(offsets) {
            let same = found.binary_search_by_key(&offset, |(offset, _)| *offset).map(|at| found[at].1);
            let is_gone = found.first().is_none_or(|(first, _)| offset < *first);
            if !is_gone && same != Ok(event.event_id) {
                let position = Position::new(batch.epoch(), event.offset.unwrap_or_default());
                return Err(StoreError::conflict(position, event.event_id).into());
            }
        }
    }
    match new.iter().find(|event| event.offset.is_none_or(|offset| i64::try_from(offset).is_err())) {
        None => Ok(new),
        Some(event) => Err(StoreError::incompatible(format!(
            "event {} has an offset beyond 2^63, which the integers of Postgres do not hold",
            event.event_id
        ))
        .into()),
    }
}

/// Inserts events of an epoch behind all others, and says so to those who listen once it is committed.
async fn insert(
    transaction: &Transaction<'_>,
    life: &Life,
    mut place: i64,
    events: &[Arc<Event>],
    channel: &str,
) -> Result<(), Failure> {
    let Some(last) = events.last() else { return Ok(()) };
    let (mut columns, mut block) = (Columns::default(), Block::new(place));
    for event in events {
        let body = serde_json::to_string(&**event).map_err(|error| {
            StoreError::incompatible(format!("event {} cannot be written as JSON: {error}", event.event_id))
        })?;
        if block.count == BLOCK {
            block.insert(transaction, life, place - 1).await?;
            block = Block::new(place);
        }
        if columns.bytes >= STATEMENT_BYTES {
            columns.insert(transaction, life).await?;
            columns = Columns::default();
        }
        block.add(event, body.len());
        columns.add(place, event, body);
        place += 1;
    }
    columns.insert(transaction, life).await?;
    block.insert(transaction, life, place - 1).await?;
    let sql = "WITH counted AS (UPDATE state SET next_place = $1) , \
               lived AS (UPDATE epochs SET next_offset = $2 WHERE id = $3) SELECT pg_notify($4, '')";
    let parameters: [(&(dyn ToSql + Sync), Type); 4] = [
        (&place, Type::INT8),
        (&offset_of(last).saturating_add(1), Type::INT8),
        (&life.id, Type::INT4),
        (&channel, Type::TEXT),
    ];
    transaction.query_typed(sql, &parameters).await?;
    Ok(())
}

impl Columns {
    fn add(&mut self, place: i64, event: &Arc<Event>, body: String) {
        self.places.push(place);
        self.offsets.push(offset_of(event));
        self.ids.push(event.event_id);
        self.times.push(nanos(event.timestamp));
        self.bytes += body.len();
        self.bodies.push(body);
    }

    async fn insert(&self, transaction: &Transaction<'_>, life: &Life) -> Result<(), Failure> {
        let sql = "INSERT INTO events (place, epoch, \"offset\", event_id, time_ns, body) SELECT place, $1, o, id, time, body \
                   FROM unnest($2, $3, $4, $5, $6) AS new (place, o, id, time, body)";
        let parameters: [(&(dyn ToSql + Sync), Type); 6] = [
            (&life.id, Type::INT4),
            (&self.places, Type::INT8_ARRAY),
            (&self.offsets, Type::INT8_ARRAY),
            (&self.ids, Type::UUID_ARRAY),
            (&self.times, Type::INT8_ARRAY),
            (&self.bodies, Type::TEXT_ARRAY),
        ];
        transaction.execute_typed(sql, &parameters).await?;
        Ok(())
    }
}

impl Block {
    fn new(first: i64) -> Self {
        Self { first, earliest: i64::MAX, latest: i64::MIN, ..Self::default() }
    }

    fn add(&mut self, event: &Event, bytes: usize) {
        let time = nanos(event.timestamp);
        (self.earliest, self.latest) = (self.earliest.min(time), self.latest.max(time));
        self.bytes += i64::try_from(bytes).unwrap_or(i64::MAX);
        self.count += 1;
        self.workflows.extend([&event.workflow_id, &event.parent_workflow_id].into_iter().flatten().map(|id| mark(id)));
        self.components.insert(mark(&event.component_id));
    }

    async fn insert(&self, transaction: &Transaction<'_>, life: &Life, last: i64) -> Result<(), Failure> {
        let sql = "INSERT INTO blocks (first, last, epoch, earliest_ns, latest_ns, bytes, workflows, components) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let [workflows, components] = [&self.workflows, &self.components].map(|marks| Vec::from_iter(marks.iter()));
        let parameters: [(&(dyn ToSql + Sync), Type); 8] = [
            (&self.first, Type::INT8),
            (&last, Type::INT8),
            (&life.id, Type::INT4),
            (&self.earliest, Type::INT8),
            (&self.latest, Type::INT8),
            (&self.bytes, Type::INT8),
            (&workflows, Type::INT4_ARRAY),
            (&components, Type::INT4_ARRAY),
        ];
        transaction.execute_typed(sql, &parameters).await?;
        Ok(())
    }
}

/// What an id is found by in the index of blocks; ids may have any length and any character, and this has none.
pub(super) fn mark(id: &str) -> i32 {
    crc32fast::hash(id.as_bytes()).cast_signed()
}

fn offset_of(event: &Arc<Event>) -> i64 {
    event.offset.and_then(|offset| i64::try_from(offset).ok()).unwrap_or(i64::MAX)
}
