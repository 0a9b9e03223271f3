//! A damaged store made whole again, without what cannot be read.

use agent_runtime::store::{Gap, StoreError};

use super::check::{Check, Part};
use crate::{
    failure::Failure,
    store::{Kept, Location},
};

/// The most ranges that are named.
const MAX_RANGES: usize = 20;

/// Repairs a store that is damaged, and leaves one alone that is not.
pub(super) async fn repair(location: &Location) -> Result<Vec<Check>, Failure> {
    let is_whole = match location.open_engine().await {
        Ok(engine) => {
            let verified = engine.verify().await.map_err(|error| location.failed(error))?;
            verified.is_some_and(|verified| verified.is_whole())
        }
        Err(Failure::Store { source: StoreError::Damaged { .. }, .. }) => false,
        Err(failure) => return Err(failure),
    };
    if is_whole {
        return Ok(vec![Part::Store.ok("repair", "nothing is damaged, so nothing was done")]);
    }
    match location.repair().await.map_err(|error| location.failed(error))? {
        Some(kept) => Ok(checks_of(&kept)),
        None => Err(Failure::usage("--repair is not for servers", "a server is repaired by its own means")),
    }
}

fn checks_of(kept: &Kept) -> Vec<Check> {
    let what = format!("kept {} events; what was damaged is now {}", kept.events, kept.damaged);
    let mut checks = vec![Part::Store.note("repair", what)];
    if kept.lost.is_empty() {
        checks.push(Part::Store.note("lost", "no event that the store knew of"));
    }
    checks.extend(kept.lost.iter().take(MAX_RANGES).map(|gap| Part::Store.note("lost", range(gap))));
    if kept.lost.len() > MAX_RANGES {
        checks.push(Part::Store.note("lost", format!("and {} more ranges", kept.lost.len() - MAX_RANGES)));
    }
    checks
}

/// The offsets of a gap, as positions.
pub(super) fn range(gap: &Gap) -> String {
    let (first, end) = (gap.offsets.start, gap.offsets.end);
    let count = end.saturating_sub(first);
    format!("{}:{first} to :{} ({count} offsets)", gap.epoch, end.saturating_sub(1))
}
