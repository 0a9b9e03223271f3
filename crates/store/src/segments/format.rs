//! A segment as bytes: a header, events one a line, the header again, each a frame of zstd's with a checksum.

use std::{
    io::{self, Read as _, Write as _},
    sync::Arc,
};

use agent_runtime::{
    event::Event,
    store::{Gap, GapReason, Position, StoreError, StoredEvent},
    stream::Epoch,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// The version of the format.
pub(super) const FORMAT: u32 = 1;

/// How hard zstd tries; its own default.
const LEVEL: i32 = 3;

/// What a frame begins with, little endian.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// How large a header may be, so that a damaged one does not take all memory.
const MAX_HEADER_BYTES: u64 = 64 << 20;

/// How large an object's events may be when nothing is known of them.
const MAX_EVENTS_BYTES: u64 = 1 << 30;

/// What a user of a damaged store has to do.
pub(super) const REPAIR: &str =
    "stop every process that uses it and call `SegmentStoreBuilder::repair`, which keeps what can be read";

/// An epoch as the store knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Life {
    pub(super) epoch: Epoch,
    /// The handle that owns it, and the process that the handle is in.
    pub(super) owner: Uuid,
    pub(super) process: Uuid,
    pub(super) is_closed: bool,
    pub(super) opened_at: DateTime<Utc>,
    /// What it holds stands here or behind.
    pub(super) opened: u64,
    pub(super) next_offset: u64,
}

/// Events of one epoch in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Extent {
    pub(super) segment: u64,
    pub(super) epoch: Epoch,
    /// The place of the first event in the order of the store.
    pub(super) first_place: u64,
    pub(super) events: u64,
    /// The bytes of their lines.
    pub(super) bytes: u64,
    pub(super) first_offset: u64,
    pub(super) last_offset: u64,
    /// The offset that came next in the epoch before them.
    pub(super) expected_offset: u64,
    pub(super) earliest: DateTime<Utc>,
    pub(super) latest: DateTime<Utc>,
    /// Whether damage has taken them.
    #[serde(default)]
    pub(super) is_lost: bool,
}

/// Missing offsets, as a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Missing {
    pub(super) epoch: Epoch,
    pub(super) first: u64,
    pub(super) behind: u64,
    pub(super) reason: String,
}

/// What a segment says of itself and of its epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) format: u32,
    pub(super) segment: u64,
    /// The place of the next event behind the segment.
    pub(super) next_place: u64,
    /// Events in front of this place are let go of.
    pub(super) kept_from: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) life: Option<Life>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) extent: Option<Extent>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) gaps: Vec<Missing>,
}

/// What can be read of a segment.
#[derive(Default)]
pub(super) struct Salvaged {
    pub(super) header: Option<Header>,
    pub(super) events: Option<Vec<StoredEvent>>,
}

impl Extent {
    pub(super) const fn next_place(&self) -> u64 {
        self.first_place.saturating_add(self.events)
    }

    pub(super) const fn last(&self) -> Position {
        Position::new(self.epoch, self.last_offset)
    }
}

impl Missing {
    pub(super) fn of(gap: &Gap) -> Self {
        let (first, behind) = (gap.offsets.start, gap.offsets.end);
        Self { epoch: gap.epoch, first, behind, reason: gap.reason.as_str().to_owned() }
    }

    pub(super) fn gap(&self) -> Option<Gap> {
        Some(Gap::new(self.epoch, self.first..self.behind, GapReason::of_str(&self.reason)?))
    }
}

/// The name of a segment, for people.
pub(super) fn name_of(segment: u64) -> String {
    format!("log/{segment:020}.jsonl.zst")
}

/// Something stored that cannot be read.
pub(super) fn damaged(what: &str) -> StoreError {
    StoreError::damaged(format!("{what}: {REPAIR}"), None)
}

/// The lines of events.
pub(super) fn lines_of(events: &[Arc<Event>]) -> Result<Vec<u8>, StoreError> {
    let mut lines = Vec::new();
    for event in events {
        let written = serde_json::to_writer(&mut lines, &**event);
        written.map_err(|error| StoreError::incompatible(format!("event {} has no JSON: {error}", event.event_id)))?;
        lines.push(b'\n');
    }
    Ok(lines)
}

/// A segment's bytes.
pub(super) fn encode(header: &Header, lines: &[u8]) -> Result<Vec<u8>, StoreError> {
    let failed = |error: io::Error| StoreError::unavailable("compressing a segment", error);
    let head = line_of(header)?;
    let head = frame(&head).map_err(failed)?;
    let mut bytes = head.clone();
    if !lines.is_empty() {
        bytes.extend(frame(lines).map_err(failed)?);
    }
    bytes.extend(head);
    Ok(bytes)
}

pub(super) fn line_of(value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    let mut line = serde_json::to_vec(value)
        .map_err(|error| StoreError::incompatible(format!("a header has no JSON: {error}")))?;
    line.push(b'\n');
    Ok(line)
}

/// The header of a segment.
pub(super) fn header_of(bytes: &[u8], segment: u64) -> Result<Header, StoreError> {
    let head = unframe(bytes, MAX_HEADER_BYTES).and_then(|(head, _)| parse::<Header>(&head));
    let header =
        head.ok_or_else(|| damaged(&format!("the header of {} is not as it was written", name_of(segment))))?;
    check(&header, segment)?;
    Ok(header)
}

fn check(header: &Header, segment: u64) -> Result<(), StoreError> {
    if header.format > FORMAT {
        return Err(StoreError::incompatible(format!(
            "{} has format {}, this version knows up to {FORMAT}; use the version that wrote it, or a later one",
            name_of(segment),
            header.format
        )));
    }
    let is_there = header.segment == segment && header.extent.is_none_or(|extent| extent.segment == segment);
    is_there.then_some(()).ok_or_else(|| damaged(&format!("{} is another segment", name_of(segment))))
}

/// The events of a segment that has some.
pub(super) fn events_of(bytes: &[u8], extent: &Extent) -> Result<Vec<StoredEvent>, StoreError> {
    let read = || {
        let (_, rest) = unframe(bytes, MAX_HEADER_BYTES)?;
        let (lines, _) = unframe(rest, extent.bytes)?;
        parse_events(&lines, extent)
    };
    read().ok_or_else(|| {
        let Extent { segment, epoch, first_offset, last_offset, .. } = extent;
        let what = format!("events {first_offset}..={last_offset} of epoch {epoch} in {}", name_of(*segment));
        damaged(&format!("{what} are not as they were written"))
    })
}

/// Whether every part of a segment is as it was written, the second header too.
pub(super) fn is_whole(bytes: &[u8], header: &Header) -> bool {
    let events = header.extent.filter(|extent| !extent.is_lost);
    let mut rest = bytes;
    for limit in [Some(MAX_HEADER_BYTES), events.map(|extent| extent.bytes), Some(MAX_HEADER_BYTES)] {
        let Some(limit) = limit else { continue };
        let Some((_, behind)) = unframe(rest, limit) else { return false };
        rest = behind;
    }
    rest.is_empty()
}

/// Whatever of a segment is as it was written, found by where frames begin.
pub(super) fn salvage(bytes: &[u8], segment: u64) -> Result<Salvaged, StoreError> {
    let mut salvaged = Salvaged::default();
    let begins = (0..bytes.len().saturating_sub(MAGIC.len() - 1)).filter(|at| bytes[*at..].starts_with(&MAGIC));
    let mut bodies = Vec::new();
    for (body, _) in begins.filter_map(|at| unframe(&bytes[at..], MAX_EVENTS_BYTES)) {
        match parse::<Header>(&body) {
            Some(header) if salvaged.header.is_none() && header.segment == segment => {
                check(&header, segment)?;
                salvaged.header = Some(header);
            }
            Some(_) => {}
            None => bodies.push(body),
        }
    }
    if let Some(extent) = salvaged.header.as_ref().and_then(|header| header.extent) {
        salvaged.events = bodies.iter().find_map(|body| parse_events(body, &extent));
    }
    Ok(salvaged)
}

/// Compresses into a frame with a checksum.
pub(super) fn frame(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), LEVEL)?;
    encoder.include_checksum(true)?;
    encoder.set_pledged_src_size(Some(bytes.len() as u64))?;
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// What is in the first frame, if it is whole and not larger than expected, and what is behind it.
pub(super) fn unframe(bytes: &[u8], limit: u64) -> Option<(Vec<u8>, &[u8])> {
    if !bytes.starts_with(&MAGIC) {
        return None;
    }
    let mut decoder = zstd::stream::Decoder::with_buffer(bytes).ok()?.single_frame();
    let mut body = Vec::new();
    // One byte more, or the end of the frame and its checksum would not be read.
    decoder.by_ref().take(limit.saturating_add(1)).read_to_end(&mut body).ok()?;
    (body.len() as u64 <= limit).then(|| (body, decoder.finish()))
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    serde_json::from_slice(line).ok()
}

fn parse_events(lines: &[u8], extent: &Extent) -> Option<Vec<StoredEvent>> {
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let events = lines.map(|line| {
        let event: Event = parse(line)?;
        Some(StoredEvent::new(Position::new(extent.epoch, event.offset?), Arc::new(event)))
    });
    let events: Vec<_> = events.collect::<Option<_>>()?;
    let offset = |stored: Option<&StoredEvent>| stored.map(|stored| stored.position.offset);
    let is_expected = events.len() as u64 == extent.events
        && offset(events.first()) == Some(extent.first_offset)
        && offset(events.last()) == Some(extent.last_offset);
    is_expected.then_some(events)
}
