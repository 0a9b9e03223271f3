//! What follows from the chain: whose the epochs are, where their events stand, what is missing.

use std::collections::{BTreeMap, HashMap};

use agent_runtime::{
    store::{Cursor, Gap, Position, StoreError},
    stream::Epoch,
};
use uuid::Uuid;

use super::format::{Extent, FORMAT, Header, Life, Missing};

/// The state of a store behind its last segment.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    pub(super) next_segment: u64,
    pub(super) next_place: u64,
    /// Events in front of this place are let go of.
    pub(super) kept_from: u64,
    /// In the order in which they were opened.
    pub(super) lives: Vec<Life>,
    by_epoch: HashMap<Epoch, usize>,
    pub(super) gaps: HashMap<Epoch, Vec<Gap>>,
    /// By their first places.
    pub(super) extents: BTreeMap<u64, Extent>,
    /// First places by epoch and first offset.
    by_offset: BTreeMap<(Uuid, u64), u64>,
}

impl Index {
    /// Takes in the segment that comes next.
    pub(super) fn apply(&mut self, header: &Header) {
        self.next_segment = header.segment.saturating_add(1);
        self.next_place = self.next_place.max(header.next_place);
        self.kept_from = self.kept_from.max(header.kept_from);
        header.life.into_iter().for_each(|life| self.set_life(life));
        self.add_gaps(&header.gaps);
        header.extent.into_iter().for_each(|extent| self.add_extent(extent));
        while let Some(entry) = self.extents.first_entry() {
            if entry.get().next_place() > self.kept_from {
                break;
            }
            let gone = entry.remove();
            self.by_offset.remove(&(gone.epoch.as_uuid(), gone.first_offset));
        }
    }

    pub(super) fn set_life(&mut self, life: Life) {
        match self.by_epoch.get(&life.epoch) {
            Some(index) => self.lives[*index] = life,
            None => {
                self.by_epoch.insert(life.epoch, self.lives.len());
                self.lives.push(life);
            }
        }
    }

    pub(super) fn add_gaps(&mut self, gaps: &[Missing]) {
        for gap in gaps.iter().filter_map(Missing::gap) {
            let known = self.gaps.entry(gap.epoch).or_default();
            if let Err(place) = place_of(known, &gap) {
                known.insert(place, gap);
            }
        }
    }

    pub(super) fn add_extent(&mut self, extent: Extent) {
        self.by_offset.insert((extent.epoch.as_uuid(), extent.first_offset), extent.first_place);
        self.extents.insert(extent.first_place, extent);
    }

    pub(super) fn life(&self, epoch: Epoch) -> Result<Life, StoreError> {
        self.by_epoch.get(&epoch).map(|index| self.lives[*index]).ok_or(StoreError::unknown_epoch(epoch))
    }

    /// The epoch of a name, if it is open and a handle's.
    pub(super) fn owned(&self, epoch: Epoch, owner: Uuid) -> Result<Life, StoreError> {
        let life = self.life(epoch).ok();
        life.filter(|life| !life.is_closed && life.owner == owner).ok_or(StoreError::not_owner(epoch))
    }

    /// The events of an epoch among which a position is, or behind which it follows.
    pub(super) fn extent_of(&self, position: Position) -> Option<Extent> {
        let epoch = position.epoch.as_uuid();
        let (_, place) = self.by_offset.range((epoch, 0)..=(epoch, position.offset)).next_back()?;
        self.extents.get(place).copied()
    }

    /// The place from which the events behind a cursor are looked for, and those among which it is.
    pub(super) fn start_of(&self, cursor: Cursor) -> Result<(u64, Option<Extent>), StoreError> {
        let Cursor::After(position) = cursor else { return Ok((self.kept_from, None)) };
        let life = self.life(position.epoch)?;
        // Without an event in front of it: whatever was stored since the epoch began.
        let Some(extent) = self.extent_of(position) else { return Ok((life.opened.max(self.kept_from), None)) };
        if position.offset >= extent.last_offset {
            return Ok((extent.next_place().max(self.kept_from), None));
        }
        Ok((extent.first_place.max(self.kept_from), Some(extent)))
    }

    /// What is stored at a place or behind it.
    pub(super) fn extents_from(&self, place: u64) -> impl Iterator<Item = &Extent> {
        let first = self.extents.range(..=place).next_back().filter(|(_, extent)| extent.next_place() > place);
        let first = first.map_or(place, |(first, _)| *first);
        self.extents.range(first..).map(|(_, extent)| extent)
    }

    /// The last event that is kept.
    pub(super) fn latest(&self) -> Option<Position> {
        let kept = |extent: &&Extent| extent.next_place() > self.kept_from && !extent.is_lost;
        self.extents.values().rev().find(kept).map(Extent::last)
    }

    /// A header for the segment that comes next, which changes nothing.
    pub(super) fn header(&self) -> Header {
        Header {
            format: FORMAT,
            segment: self.next_segment,
            next_place: self.next_place,
            kept_from: self.kept_from,
            life: None,
            extent: None,
            gaps: Vec::new(),
        }
    }
}

/// Where a gap stands among those of its epoch, lowest first, or where it belongs.
pub(super) fn place_of(known: &[Gap], gap: &Gap) -> Result<usize, usize> {
    let key = |gap: &Gap| (gap.offsets.start, gap.offsets.end, gap.reason.as_str());
    known.binary_search_by(|other| key(other).cmp(&key(gap)))
}
