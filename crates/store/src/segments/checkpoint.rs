//! What follows from the chain up to a number, as an object of its own, so that opening need not read the whole chain.

use agent_runtime::store::StoreError;
use serde::{Deserialize, Serialize};

use super::{
    format::{self, Extent, FORMAT, Life, Missing},
    index::Index,
    objects::{Created, Objects},
};

/// How large one may be.
const MAX_BYTES: u64 = 4 << 30;

/// How many are kept: the last, and one should that be damaged.
const KEPT: usize = 2;

/// A line of one.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Checkpoint { format: u32, segment: u64, next_place: u64, kept_from: u64, lines: usize },
    Epoch(Life),
    Gap(Missing),
    Events(Extent),
}

pub(super) fn name_of(segment: u64) -> String {
    format!("checkpoint/{segment:020}.jsonl.zst")
}

/// Puts what follows from the chain up to its last segment, and lets go of those before.
pub(super) async fn put(objects: &Objects, index: &Index) -> Result<(), StoreError> {
    let Some(segment) = index.next_segment.checked_sub(1) else { return Ok(()) };
    let bytes = encode(index, segment)?;
    match objects.create(&name_of(segment), bytes).await? {
        Created::Put(_) | Created::Taken => {}
    }
    let numbers = objects.numbers("checkpoint").await?;
    for old in numbers.iter().take(numbers.len().saturating_sub(KEPT)) {
        objects.delete(&name_of(*old)).await?;
    }
    Ok(())
}

fn encode(index: &Index, segment: u64) -> Result<Vec<u8>, StoreError> {
    let epochs = index.lives.iter().copied().map(Line::Epoch);
    let gaps = index.lives.iter().filter_map(|life| index.gaps.get(&life.epoch)).flatten();
    let gaps = gaps.map(|gap| Line::Gap(Missing::of(gap)));
    let lines: Vec<_> = epochs.chain(gaps).chain(index.extents.values().copied().map(Line::Events)).collect();
    let Index { next_place, kept_from, .. } = *index;
    let head = Line::Checkpoint { format: FORMAT, segment, next_place, kept_from, lines: lines.len() };
    let mut bytes = format::line_of(&head)?;
    for line in lines {
        bytes.extend(format::line_of(&line)?);
    }
    format::frame(&bytes).map_err(|error| StoreError::unavailable("compressing a checkpoint", error))
}

/// Reads one. `None` if it is not as it was written.
pub(super) fn decode(bytes: &[u8], segment: u64) -> Option<Index> {
    let (body, rest) = format::unframe(bytes, MAX_BYTES)?;
    let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut lines = lines.map(|line| serde_json::from_slice::<Line>(line).ok());
    let Some(Some(Line::Checkpoint { format: FORMAT, segment: found, next_place, kept_from, lines: expected })) =
        lines.next()
    else {
        return None;
    };
    let mut index = Index::default();
    (index.next_segment, index.next_place, index.kept_from) = (segment.checked_add(1)?, next_place, kept_from);
    let mut count = 0;
    for line in lines {
        count += 1;
        match line? {
            Line::Checkpoint { .. } => return None,
            Line::Epoch(life) => index.set_life(life),
            Line::Gap(gap) => index.add_gaps(&[gap]),
            Line::Events(extent) => index.add_extent(extent),
        }
    }
    (found == segment && count == expected && rest.is_empty()).then_some(index)
}
