//! Letting go of the oldest events: at once for every reader, of the objects when nothing in them is kept.

use std::sync::Arc;

use agent_runtime::store::{Retention, StoreError, StoredEvent, Trimmed};
use chrono::{DateTime, TimeDelta, Utc};

use super::{
    append::MAX_CONFLICTS,
    format::{Extent, Header, lines_of, name_of},
    index::Index,
    log::{Cache, Log, busy},
    objects::Objects,
};

pub(super) async fn trim(
    log: &mut Log,
    cache: &Cache,
    objects: &Objects,
    retention: &Retention,
) -> Result<Trimmed, StoreError> {
    let age = retention.max_age.and_then(|age| TimeDelta::from_std(age).ok());
    let oldest = age.and_then(|age| Utc::now().checked_sub_signed(age));
    for _ in 0..MAX_CONFLICTS {
        log.sync().await?;
        let before = log.index.kept_from;
        let mut place = first_kept(&log.index, before);
        if let Some(max) = retention.max_events {
            place = place.max(log.index.next_place.saturating_sub(max));
        }
        if let Some(oldest) = oldest {
            place = since(&log.index, cache, objects, place, oldest).await?;
        }
        if let Some(max) = retention.max_bytes {
            place = within(&log.index, cache, objects, place, max).await?;
        }
        let trimmed = events_between(&log.index, before, place);
        if trimmed == 0 {
            return Ok(Trimmed::default());
        }
        let header = Header { kept_from: place, ..log.index.header() };
        if log.push(header, Vec::new()).await? {
            // Before anything is deleted, since epochs and gaps stand also in what goes.
            log.put_checkpoint().await?;
            delete(&log.index, objects).await?;
            return Ok(Trimmed::new(trimmed));
        }
    }
    Err(busy())
}

/// Deletes the segments in front of the first that has something, lowest first, so that those left are always a row.
async fn delete(index: &Index, objects: &Objects) -> Result<(), StoreError> {
    let last = index.next_segment.saturating_sub(1);
    let first = index.extents.values().next().map_or(last, |extent| extent.segment);
    for segment in objects.numbers("log").await?.into_iter().take_while(|segment| *segment < first.min(last)) {
        objects.delete(&name_of(segment)).await?;
    }
    Ok(())
}

fn first_kept(index: &Index, from: u64) -> u64 {
    index.extents.values().next().map_or(index.next_place, |extent| extent.first_place).max(from)
}

fn events_between(index: &Index, from: u64, to: u64) -> u64 {
    let part = |extent: &Extent| extent.next_place().min(to).saturating_sub(extent.first_place.max(from));
    index.extents_from(from).filter(|extent| !extent.is_lost).map(part).sum()
}

async fn load(cache: &Cache, objects: &Objects, extent: &Extent) -> Result<Arc<Vec<StoredEvent>>, StoreError> {
    Ok(cache.events(objects, *extent).await?.unwrap_or_default())
}

/// The place of the first event that is not older than a time; behind all others if there is none.
async fn since(
    index: &Index,
    cache: &Cache,
    objects: &Objects,
    from: u64,
    oldest: DateTime<Utc>,
) -> Result<u64, StoreError> {
    for extent in index.extents_from(from).filter(|extent| !extent.is_lost && extent.latest >= oldest) {
        let events = load(cache, objects, extent).await?;
        let mut places = (extent.first_place..).zip(events.iter()).filter(|(place, _)| *place >= from);
        if let Some((place, _)) = places.find(|(_, stored)| stored.event.timestamp >= oldest) {
            return Ok(place);
        }
    }
    Ok(index.next_place)
}

/// The place from which on the lines of the events are not larger than a bound.
async fn within(index: &Index, cache: &Cache, objects: &Objects, from: u64, max: u64) -> Result<u64, StoreError> {
    let mut bytes = 0_u64;
    for extent in index.extents.values().rev().filter(|extent| !extent.is_lost) {
        if extent.next_place() <= from {
            break;
        }
        if extent.first_place >= from && bytes + extent.bytes <= max {
            bytes += extent.bytes;
            continue;
        }
        let events = load(cache, objects, extent).await?;
        let places: Vec<_> = (extent.first_place..).zip(events.iter()).collect();
        for (place, stored) in places.into_iter().rev() {
            bytes += lines_of(std::slice::from_ref(&stored.event))?.len() as u64;
            if place < from {
                break;
            }
            if bytes > max {
                return Ok(place + 1);
            }
        }
    }
    Ok(from)
}
