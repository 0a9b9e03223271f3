//! Pages of events, from the segments that may have some.

use agent_runtime::store::{Cursor, Page, Position, Query, StoreError};
use tokio::sync::Mutex;

use super::{
    format::{Extent, damaged, name_of},
    log::{Cache, Log, busy},
    objects::Objects,
};

/// How many events are looked at for one page, in whole segments.
const MAX_LOOKED_AT: u64 = 4_096;

/// How often a retention may take what is about to be read.
const MAX_ATTEMPTS: usize = 8;

/// What is looked at for a page.
struct Plan {
    /// Segments to read, or only to pass by.
    steps: Vec<(Extent, bool)>,
    kept_from: u64,
    is_all: bool,
}

pub(super) async fn read(
    log: &Mutex<Log>,
    cache: &Cache,
    objects: &Objects,
    from: Cursor,
    query: &Query,
    limit: usize,
) -> Result<Page, StoreError> {
    let mut missing = None;
    for _ in 0..MAX_ATTEMPTS {
        let plan = {
            let mut log = log.lock().await;
            log.sync().await?;
            plan_of(&log, from, query)?
        };
        match page_of(&plan, cache, objects, from, query, limit.max(1)).await? {
            Ok(page) => return Ok(page),
            // Retention has taken it, or somebody else has.
            Err(segment) if missing == Some(segment) => {
                return Err(damaged(&format!("{} is missing", name_of(segment))));
            }
            Err(segment) => missing = Some(segment),
        }
    }
    Err(busy())
}

fn plan_of(log: &Log, from: Cursor, query: &Query) -> Result<Plan, StoreError> {
    let index = &log.index;
    let (start, _) = index.start_of(from)?;
    let mut plan = Plan { steps: Vec::new(), kept_from: index.kept_from, is_all: true };
    let mut events = 0;
    for extent in index.extents_from(start) {
        if events >= MAX_LOOKED_AT {
            plan.is_all = false;
            break;
        }
        let may_pass = !extent.is_lost
            && query.epoch.is_none_or(|epoch| extent.epoch == epoch)
            && query.since.is_none_or(|since| extent.latest >= since)
            && query.until.is_none_or(|until| extent.earliest < until);
        if may_pass {
            events += extent.events;
        } else if plan.steps.last().is_some_and(|(_, is_read)| !is_read) {
            // Of those that are passed by in a row, the last says where a reader goes on.
            plan.steps.pop();
        }
        plan.steps.push((*extent, may_pass));
    }
    Ok(plan)
}

/// The page, or the segment that is not there.
async fn page_of(
    plan: &Plan,
    cache: &Cache,
    objects: &Objects,
    from: Cursor,
    query: &Query,
    limit: usize,
) -> Result<Result<Page, u64>, StoreError> {
    let (mut found, mut next) = (Vec::new(), from);
    for (extent, is_read) in &plan.steps {
        if !is_read {
            next = Cursor::After(extent.last());
            continue;
        }
        if found.len() >= limit {
            return Ok(Ok(Page::new(found, next, false)));
        }
        let Some(events) = cache.events(objects, *extent).await? else { return Ok(Err(extent.segment)) };
        for (place, stored) in (extent.first_place..).zip(events.iter()) {
            if place < plan.kept_from || is_seen(from, stored.position) {
                continue;
            }
            if found.len() >= limit {
                return Ok(Ok(Page::new(found, next, false)));
            }
            next = Cursor::After(stored.position);
            if query.passes(stored) {
                found.push(stored.clone());
            }
        }
    }
    Ok(Ok(Page::new(found, next, plan.is_all)))
}

/// Whether an event does not lie behind a cursor of its own epoch.
fn is_seen(from: Cursor, position: Position) -> bool {
    matches!(from, Cursor::After(seen) if seen.epoch == position.epoch && position.offset <= seen.offset)
}

/// Whether there is an event behind a cursor.
pub(super) fn has_more(log: &Log, since: Cursor) -> Result<bool, StoreError> {
    let (start, within) = log.index.start_of(since)?;
    let seen = |extent: &&Extent| matches!(since, Cursor::After(seen) if seen.epoch == extent.epoch && extent.last_offset <= seen.offset);
    let has_more = log.index.extents_from(start).any(|extent| !extent.is_lost && !seen(&extent));
    Ok(within.is_some() || has_more)
}
