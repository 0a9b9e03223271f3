//! A damaged chain made whole again, without what cannot be read.

use std::collections::HashMap;

use agent_runtime::{
    store::{Gap, GapReason, StoreError},
    stream::Epoch,
};
use chrono::Utc;

use super::{
    checkpoint,
    format::{self, Extent, Header, Missing, Salvaged, name_of},
    index::Index,
    lease::Owner,
    log::blocking,
    objects::Objects,
};

/// What a repair has kept and lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepairedSegments {
    /// How many events were kept.
    pub events: u64,
    /// The offsets that are lost, as far as they are known; the store names them too.
    pub lost: Vec<Gap>,
    /// The numbers of the segments that were replaced. What they were is kept in the folder `damaged`.
    pub segments: Vec<u64>,
}

/// The work of a repair so far.
struct Repair<'a> {
    objects: &'a Objects,
    index: Index,
    /// What the last checkpoint says of segments, by their numbers.
    known: HashMap<u64, Extent>,
    /// The lowest number that there is.
    first_present: u64,
    repaired: RepairedSegments,
    /// What comes next in each epoch, as far as it was read.
    next_offsets: HashMap<Epoch, u64>,
}

pub(super) async fn repair(objects: &Objects, owner: &Owner) -> Result<RepairedSegments, StoreError> {
    if owner.any_alive().await? {
        let source = "its owner has renewed its lease lately";
        return Err(StoreError::unavailable(
            "a process writes to the store; stop it first, or wait for its lease",
            source,
        ));
    }
    let numbers = objects.numbers("log").await?;
    let checkpoints = objects.numbers("checkpoint").await?;
    let mut known = None;
    for number in checkpoints.iter().rev() {
        let Some((bytes, _)) = objects.get(&checkpoint::name_of(*number)).await? else { continue };
        known = known.or(blocking({
            let number = *number;
            move || Ok(checkpoint::decode(&bytes, number))
        })
        .await?);
    }
    if numbers.is_empty() && known.is_none() {
        return Err(StoreError::incompatible("there is neither a segment nor a checkpoint; name another place"));
    }
    let known = known.unwrap_or_default();
    let first = match (known.extents.values().next(), numbers.first()) {
        (Some(extent), Some(first)) => extent.segment.min(*first),
        (Some(extent), None) => extent.segment,
        // Without a checkpoint, the chain began at 0, or nobody knows where it begins now.
        (None, first) => first.copied().unwrap_or(known.next_segment),
    };
    let behind = numbers.last().map_or(0, |last| last.saturating_add(1)).max(known.next_segment);
    let next_offsets = HashMap::new();
    let first_present = numbers.first().copied().unwrap_or(u64::MAX);
    let repaired = RepairedSegments::default();
    let by_number = known.extents.values().map(|extent| (extent.segment, *extent)).collect();
    let mut work = Repair { objects, index: known, known: by_number, first_present, repaired, next_offsets };
    for number in first..behind {
        work.segment(number).await?;
    }
    work.finish(&checkpoints).await
}

impl Repair<'_> {
    async fn segment(&mut self, number: u64) -> Result<(), StoreError> {
        let known = self.known.get(&number).copied();
        let is_in_checkpoint = number < self.index.next_segment;
        let bytes = self.objects.get(&name_of(number)).await?.map(|(bytes, _)| bytes);
        // Retention has taken it.
        if bytes.is_none() && is_in_checkpoint && known.is_none() && number < self.first_present {
            return Ok(());
        }
        let bytes = bytes.unwrap_or_default();
        let (salvaged, bytes) = blocking(move || Ok((read(&bytes, number)?, bytes))).await?;
        let (header, is_new) = match salvaged {
            Ok(header) => (header, false),
            Err(Salvaged { header: Some(header), events }) => {
                let has_events = header.extent.is_none_or(|extent| extent.is_lost) || events.is_some();
                let header = if has_events { header } else { without_events(header) };
                self.replace(&header, events.unwrap_or_default(), bytes).await?;
                (header, true)
            }
            Err(_) => {
                let place = known.map_or(self.index.next_place, |extent| extent.next_place());
                let extent = known.map(|extent| Extent { is_lost: true, ..extent });
                let next_place = if is_in_checkpoint { place } else { self.index.next_place };
                let header = Header { segment: number, next_place, extent, ..self.index.header() };
                self.replace(&header, Vec::new(), bytes).await?;
                (header, true)
            }
        };
        if is_new {
            self.repaired.segments.push(number);
        }
        self.take(&header, is_in_checkpoint);
        Ok(())
    }

    /// Takes in a segment as it is.
    fn take(&mut self, header: &Header, is_in_checkpoint: bool) {
        if let Some(extent) = header.extent {
            let expected = self.next_offsets.insert(extent.epoch, extent.last_offset.saturating_add(1));
            let of_life = self.index.life(extent.epoch).ok().map(|life| life.next_offset);
            let begins = extent.first_offset.min(extent.expected_offset);
            // Of an epoch that is first seen here, and whose earlier segments retention has not taken.
            let expected = expected.or(of_life.filter(|_| !is_in_checkpoint));
            let is_from_start = self.index.kept_from == 0 && expected.is_none();
            if let Some(expected) = expected.or(is_from_start.then_some(0)) {
                self.lose(extent.epoch, expected, begins);
            }
            if extent.is_lost {
                self.lose(extent.epoch, extent.first_offset, extent.last_offset.saturating_add(1));
            }
        }
        if is_in_checkpoint {
            header.extent.into_iter().filter(|extent| extent.is_lost).for_each(|extent| self.index.add_extent(extent));
        } else {
            self.index.apply(header);
        }
    }

    /// Names offsets as lost, but for those that are known to be missing.
    fn lose(&mut self, epoch: Epoch, mut from: u64, to: u64) {
        let known = self.index.gaps.get(&epoch).cloned().unwrap_or_default();
        let first = from;
        let known = known.iter().skip_while(|gap| gap.offsets.end <= first).take_while(|gap| gap.offsets.start < to);
        for gap in known {
            if from < gap.offsets.start {
                self.repaired.lost.push(Gap::new(epoch, from..gap.offsets.start, GapReason::Damaged));
            }
            from = from.max(gap.offsets.end);
        }
        if from < to {
            self.repaired.lost.push(Gap::new(epoch, from..to, GapReason::Damaged));
        }
    }

    async fn replace(
        &self,
        header: &Header,
        events: Vec<agent_runtime::store::StoredEvent>,
        damaged: Vec<u8>,
    ) -> Result<(), StoreError> {
        let events: Vec<_> = events.into_iter().map(|stored| stored.event).collect();
        let bytes = format::encode(header, &format::lines_of(&events)?)?;
        let kept = format!("damaged/{:020}-{}", header.segment, Utc::now().timestamp_millis());
        self.objects.replace(&kept, damaged).await?;
        self.objects.replace(&name_of(header.segment), bytes).await
    }

    /// Puts what is lost behind the end of the chain, and a checkpoint in the place of all.
    async fn finish(mut self, checkpoints: &[u64]) -> Result<RepairedSegments, StoreError> {
        let gaps = self.repaired.lost.iter().map(Missing::of).collect();
        let header = Header { gaps, ..self.index.header() };
        self.objects.replace(&name_of(header.segment), format::encode(&header, &[])?).await?;
        self.index.apply(&header);
        let from = self.index.kept_from;
        let kept = self.index.extents.values().filter(|extent| !extent.is_lost);
        self.repaired.events =
            kept.map(|extent| extent.next_place().saturating_sub(extent.first_place.max(from))).sum();
        checkpoint::put(self.objects, &self.index).await?;
        for old in checkpoints {
            self.objects.delete(&checkpoint::name_of(*old)).await?;
        }
        Ok(self.repaired)
    }
}

/// A header if all of a segment is as it was written, or what can be read of it.
fn read(bytes: &[u8], number: u64) -> Result<Result<Header, Salvaged>, StoreError> {
    match format::header_of(bytes, number) {
        Ok(header) => {
            let events = header.extent.filter(|extent| !extent.is_lost);
            let is_read = events.is_none_or(|extent| format::events_of(bytes, &extent).is_ok());
            if is_read && format::is_whole(bytes, &header) {
                return Ok(Ok(header));
            }
        }
        Err(error @ StoreError::Incompatible { .. }) => return Err(error),
        Err(_) => {}
    }
    Ok(Err(format::salvage(bytes, number)?))
}

fn without_events(mut header: Header) -> Header {
    if let Some(extent) = &mut header.extent {
        extent.is_lost = true;
    }
    header
}
