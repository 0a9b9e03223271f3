//! Whether all that is stored can be read.

use agent_runtime::store::StoreError;

use super::{
    checkpoint,
    format::{self, name_of},
    log::blocking,
    objects::Objects,
};

/// How many faults are named.
const MAX_FAULTS: usize = 16;

/// What an archive holds and what of it is damaged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedSegments {
    /// How many events are as they were written; those in segments that retention has begun to take count too.
    pub events: u64,
    /// What is not: the first few faults, for people to read.
    pub faults: Vec<String>,
}

impl VerifiedSegments {
    /// Whether nothing is damaged.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }

    fn add(&mut self, fault: String) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(fault);
        }
    }
}

pub(super) async fn verify(objects: &Objects) -> Result<VerifiedSegments, StoreError> {
    let mut verified = VerifiedSegments::default();
    let numbers = objects.numbers("log").await?;
    let mut next = None;
    for number in numbers.iter().copied() {
        for missing in next.unwrap_or(number)..number {
            verified.add(format!("{} is missing", name_of(missing)));
        }
        next = Some(number.saturating_add(1));
        let Some((bytes, _)) = objects.get(&name_of(number)).await? else { continue };
        match blocking(move || events_in(&bytes, number)).await {
            Ok(events) => verified.events += events,
            Err(error) => verified.add(error.to_string()),
        }
    }
    let mut known = None;
    for number in objects.numbers("checkpoint").await? {
        let name = checkpoint::name_of(number);
        let Some((bytes, _)) = objects.get(&name).await? else { continue };
        if next.is_none_or(|next| number >= next) {
            verified.add(format!("{} is missing", name_of(number)));
        }
        match blocking(move || Ok(checkpoint::decode(&bytes, number))).await? {
            Some(index) => known = Some(index),
            None => verified.add(format!("{name} is not as it was written: {}", format::REPAIR)),
        }
    }
    // What lies in front of the first that is there is no hole in the row.
    let first = numbers.first().copied().unwrap_or(u64::MAX);
    for extent in known.iter().flat_map(|index| index.extents.values()).take_while(|extent| extent.segment < first) {
        verified.add(format!("{} is missing", name_of(extent.segment)));
    }
    if next.is_none() {
        verified.add("the folder log has no segment".to_owned());
    }
    Ok(verified)
}

fn events_in(bytes: &[u8], number: u64) -> Result<u64, StoreError> {
    let header = format::header_of(bytes, number)?;
    let events = match header.extent.filter(|extent| !extent.is_lost) {
        Some(extent) => format::events_of(bytes, &extent)?.len() as u64,
        None => 0,
    };
    if format::is_whole(bytes, &header) {
        return Ok(events);
    }
    Err(format::damaged(&format!("the second header of {} is not as it was written", name_of(number))))
}
