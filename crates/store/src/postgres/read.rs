//! Pages of events, by blocks that may have some.

use std::sync::Arc;

use agent_runtime::{
    event::Event,
    store::{Cursor, Page, Position, Query, StoreError, StoredEvent},
    stream::Epoch,
};
use tokio_postgres::{
    Client, GenericClient, IsolationLevel, Row,
    types::{ToSql, Type},
};

use super::{
    append::mark,
    failure::{Failure, damaged},
};
use crate::nanos::nanos;

/// How many events are looked at for one page at the most, and so are in memory at once.
const MAX_LOOKED_AT: usize = 1_024;

/// How many events are looked at where few may pass.
const MIN_LOOKED_AT: usize = 64;

type Parameters = Vec<(Box<dyn ToSql + Sync + Send>, Type)>;

/// The place behind a cursor.
pub(super) async fn start_of(client: &impl GenericClient, cursor: Cursor) -> Result<i64, Failure> {
    let Cursor::After(position) = cursor else { return Ok(0) };
    // Without an event in front of it: whatever was stored since the epoch began.
    let sql = "SELECT coalesce((SELECT e.place + 1 FROM events e WHERE e.epoch = p.id AND e.\"offset\" <= $2 \
               ORDER BY e.\"offset\" DESC LIMIT 1), p.opened) FROM epochs p WHERE p.epoch = $1";
    let offset = i64::try_from(position.offset).unwrap_or(i64::MAX);
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&position.epoch.as_uuid(), Type::UUID), (&offset, Type::INT8)];
    let rows = client.query_typed(sql, &parameters).await?;
    let row = rows.first().ok_or(StoreError::unknown_epoch(position.epoch))?;
    Ok(row.try_get(0)?)
}

/// Whether there is an event behind a cursor.
pub(super) async fn has_more(client: &Client, since: Cursor) -> Result<bool, Failure> {
    let start = start_of(client, since).await?;
    let rows = client.query_typed("SELECT 1 FROM events WHERE place >= $1 LIMIT 1", &[(&start, Type::INT8)]).await?;
    Ok(!rows.is_empty())
}

pub(super) async fn latest(client: &Client) -> Result<Option<Position>, Failure> {
    last_from(client, 0).await
}

/// The position of the last event, if that stands at a place or behind it.
async fn last_from(client: &impl GenericClient, start: i64) -> Result<Option<Position>, Failure> {
    let sql = "SELECT p.epoch, e.\"offset\" FROM events e JOIN epochs p ON p.id = e.epoch WHERE e.place >= $1 \
               ORDER BY e.place DESC LIMIT 1";
    let rows = client.query_typed(sql, &[(&start, Type::INT8)]).await?;
    rows.first().map(position).transpose()
}

pub(super) async fn read(client: &mut Client, from: Cursor, query: &Query, limit: usize) -> Result<Page, Failure> {
    // One state of the store for all statements.
    let builder = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    let transaction = builder.start().await?;
    let start = start_of(&transaction, from).await?;
    let limit = limit.max(1);
    // One more than is wanted says whether there is more.
    let looked_at = limit.saturating_add(1).clamp(MIN_LOOKED_AT, MAX_LOOKED_AT);
    let (sql, parameters) = select(query, start, looked_at);
    let parameters: Vec<(&(dyn ToSql + Sync), Type)> =
        parameters.iter().map(|(value, of)| (&**value as &(dyn ToSql + Sync), of.clone())).collect();
    let rows = transaction.query_typed(&sql, &parameters).await?;
    let (mut events, mut next) = (Vec::new(), from);
    for row in &rows {
        if events.len() >= limit {
            return Ok(Page::new(events, next, false));
        }
        let stored = stored(row)?;
        next = Cursor::After(stored.position);
        if query.passes(&stored) {
            events.push(stored);
        }
    }
    if rows.len() >= looked_at {
        return Ok(Page::new(events, next, false));
    }
    // A reader goes on behind all that it was not shown.
    let last = last_from(&transaction, start).await?;
    transaction.commit().await?;
    Ok(Page::new(events, last.map_or(next, Cursor::After), true))
}

/// The statement for the first events behind a place that may pass, in order.
fn select(query: &Query, start: i64, limit: usize) -> (String, Parameters) {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut parameters: Parameters = vec![(Box::new(start), Type::INT8), (Box::new(limit), Type::INT8)];
    let mut conditions = String::new();
    let mut add = |condition: &str, value: Box<dyn ToSql + Sync + Send>, of: Type| {
        parameters.push((value, of));
        conditions += &format!(" AND {condition}").replace('?', &format!("${}", parameters.len()));
    };
    if let Some(epoch) = query.epoch {
        add("b.epoch = (SELECT id FROM epochs WHERE epoch = ?)", Box::new(epoch.as_uuid()), Type::UUID);
    }
    if let Some(since) = query.since {
        add("b.latest_ns >= ?", Box::new(nanos(since)), Type::INT8);
    }
    if let Some(until) = query.until {
        add("b.earliest_ns <= ?", Box::new(nanos(until)), Type::INT8);
    }
    let filter = &query.filter;
    for (condition, ids) in [("b.workflows && ?", &filter.workflow_ids), ("b.components && ?", &filter.component_ids)] {
        if !ids.is_empty() {
            add(condition, Box::new(Vec::from_iter(ids.iter().map(|id| mark(id)))), Type::INT4_ARRAY);
        }
    }
    let columns = "SELECT p.epoch, e.\"offset\", e.body";
    let sql = if conditions.is_empty() {
        format!(
            "{columns} FROM (SELECT * FROM events WHERE place >= $1 ORDER BY place LIMIT $2) e \
             JOIN epochs p ON p.id = e.epoch ORDER BY e.place"
        )
    } else {
        // The blocks outside, so that only the events of those that may have some are looked at.
        format!(
            "{columns} FROM (SELECT b.first, b.last FROM blocks b WHERE b.last >= $1{conditions} ORDER BY b.last) b \
             CROSS JOIN LATERAL (SELECT * FROM events WHERE place BETWEEN greatest(b.first, $1) AND b.last) e \
             JOIN epochs p ON p.id = e.epoch ORDER BY e.place LIMIT $2"
        )
    };
    (sql, parameters)
}

fn position(row: &Row) -> Result<Position, Failure> {
    let (epoch, offset): (_, i64) = (row.try_get(0)?, row.try_get(1)?);
    let offset = u64::try_from(offset).map_err(|_| damaged(format!("an event of epoch {epoch} has no offset")))?;
    Ok(Position::new(Epoch::from_uuid(epoch), offset))
}

/// The event with its position.
fn stored(row: &Row) -> Result<StoredEvent, Failure> {
    let position = position(row)?;
    let event = serde_json::from_str::<Event>(row.try_get(2)?).ok();
    let event = event.filter(|event| event.offset == Some(position.offset));
    let event = event.ok_or_else(|| damaged(format!("the event at {position} is not as it was written")))?;
    Ok(StoredEvent::new(position, Arc::new(event)))
}
