//! A batch as one segment.

use std::sync::Arc;

use agent_runtime::{
    event::Event,
    store::{Batch, Position, StoreError},
};
use uuid::Uuid;

use super::{
    format::{self, Extent, Header, Life, Missing},
    index::{Index, place_of},
    log::{Cache, Log, blocking, busy},
    objects::Objects,
};

/// How often another writer may be quicker; each time it has got further itself.
pub(super) const MAX_CONFLICTS: usize = 1_024;

pub(super) async fn append(
    log: &mut Log,
    cache: &Cache,
    objects: &Objects,
    batch: &Batch,
    owner: Uuid,
) -> Result<(), StoreError> {
    for attempt in 0..MAX_CONFLICTS {
        if attempt > 0 {
            log.sync().await?;
        }
        let new = match new_of(&log.index, cache, objects, batch, owner).await {
            // What is known may be old; a put would find that out, and this does too.
            Err(_) if attempt == 0 => continue,
            new => new?,
        };
        let Some((life, new)) = new else { return Ok(()) };
        let events = new.to_vec();
        let lines = blocking(move || format::lines_of(&events)).await?;
        let header = header_of(&log.index, batch, life, new, lines.len());
        if log.push(header, lines).await? {
            return Ok(());
        }
    }
    Err(busy())
}

fn header_of(index: &Index, batch: &Batch, mut life: Life, new: &[Arc<Event>], bytes: usize) -> Header {
    let mut header = index.header();
    let offset = |event: Option<&Arc<Event>>| event.and_then(|event| event.offset).unwrap_or_default();
    let times = || new.iter().map(|event| event.timestamp);
    if let (Some(earliest), Some(latest)) = (times().min(), times().max()) {
        let extent = Extent {
            segment: header.segment,
            epoch: batch.epoch(),
            first_place: index.next_place,
            events: new.len() as u64,
            bytes: bytes as u64,
            first_offset: offset(new.first()),
            last_offset: offset(new.last()),
            expected_offset: life.next_offset,
            earliest,
            latest,
            is_lost: false,
        };
        header.next_place = extent.next_place();
        life.next_offset = extent.last_offset.saturating_add(1);
        header.extent = Some(extent);
    }
    header.life = Some(life);
    header.gaps = unknown_gaps(index, batch);
    header
}

/// The events that are not stored yet, with their epoch, unless one has the place of another; `None` if there is nothing to put.
async fn new_of<'a>(
    index: &Index,
    cache: &Cache,
    objects: &Objects,
    batch: &'a Batch,
    owner: Uuid,
) -> Result<Option<(Life, &'a [Arc<Event>])>, StoreError> {
    let life = index.owned(batch.epoch(), owner)?;
    let is_stored = |event: &Arc<Event>| event.offset.is_some_and(|offset| offset < life.next_offset);
    let (stored, new) = batch.events().split_at(batch.events().partition_point(is_stored));
    for event in stored {
        let position = Position::new(batch.epoch(), event.offset.unwrap_or_default());
        if !is_same(index, cache, objects, position, event.event_id).await? {
            return Err(StoreError::conflict(position, event.event_id));
        }
    }
    let is_nothing = new.is_empty() && unknown_gaps(index, batch).is_empty();
    Ok((!is_nothing).then_some((life, new)))
}

/// Whether an event is the one that is stored at its position, or nothing is known of that any more.
async fn is_same(
    index: &Index,
    cache: &Cache,
    objects: &Objects,
    position: Position,
    event_id: Uuid,
) -> Result<bool, StoreError> {
    // Nothing at it or in front of it: retention or damage has taken it.
    let Some(extent) = index.extent_of(position).filter(|extent| !extent.is_lost) else { return Ok(true) };
    let Some(events) = cache.events(objects, extent).await? else { return Ok(true) };
    let behind = events.partition_point(|stored| stored.position.offset <= position.offset);
    let Some(before) = behind.checked_sub(1) else { return Ok(true) };
    if extent.first_place + (before as u64) < index.kept_from {
        return Ok(true);
    }
    let stored = &events[before];
    Ok(stored.position == position && stored.event.event_id == event_id)
}

fn unknown_gaps(index: &Index, batch: &Batch) -> Vec<Missing> {
    let known = index.gaps.get(&batch.epoch());
    let gaps = batch.gaps().iter().filter(|gap| !gap.offsets.is_empty());
    gaps.filter(|gap| known.is_none_or(|known| place_of(known, gap).is_err())).map(Missing::of).collect()
}
