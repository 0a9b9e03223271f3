//! A damaged store made whole again, without what cannot be read.

use std::path::Path;

use agent_runtime::store::{Gap, StoreError};
use agent_runtime_store::SqliteStore;

use super::check::{Check, Part};
use crate::{failure::Failure, store::Location};

/// The most ranges that are named.
const MAX_RANGES: usize = 20;

/// Repairs a store that is damaged, and leaves one alone that is not.
pub(super) async fn repair(location: &Location) -> Result<Vec<Check>, Failure> {
    let Some(path) = location.file() else {
        return Err(Failure::usage("--repair is for files", "a server is repaired by its own means"));
    };
    let is_whole = match location.open_engine().await {
        Ok(engine) => {
            let verified = engine.verify().await.map_err(|error| location.failed(error))?;
            verified.is_none_or(|verified| verified.is_whole())
        }
        Err(Failure::Store { source: StoreError::Damaged { .. }, .. }) => false,
        Err(failure) => return Err(failure),
    };
    if is_whole {
        return Ok(vec![Part::Store.ok("repair", "nothing is damaged, so nothing was done")]);
    }
    repair_file(path).await.map_err(|error| location.failed(error))
}

async fn repair_file(path: &Path) -> Result<Vec<Check>, StoreError> {
    let repaired = SqliteStore::repair(path).await?;
    let mut checks = vec![Part::Store.note(
        "repair",
        format!("kept {} events; the damaged file is now {}", repaired.events, repaired.damaged.display()),
    )];
    if repaired.lost.is_empty() {
        checks.push(Part::Store.note("lost", "no event that the store knew of"));
    }
    checks.extend(repaired.lost.iter().take(MAX_RANGES).map(|gap| Part::Store.note("lost", range(gap))));
    if repaired.lost.len() > MAX_RANGES {
        checks.push(Part::Store.note("lost", format!("and {} more ranges", repaired.lost.len() - MAX_RANGES)));
    }
    Ok(checks)
}

/// The offsets of a gap, as positions.
pub(super) fn range(gap: &Gap) -> String {
    let (first, end) = (gap.offsets.start, gap.offsets.end);
    let count = end.saturating_sub(first);
    format!("{}:{first} to :{} ({count} offsets)", gap.epoch, end.saturating_sub(1))
}
