//! A damaged store made whole again, without what cannot be read.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use agent_runtime::{
    event::Event,
    store::{Batch, Gap, GapReason, StoreError},
    stream::Epoch,
};
use chrono::Utc;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use uuid::Uuid;

use super::{
    append::{insert, insert_gap},
    durability::Durability,
    epochs::Life,
    failure, files,
    owner::Owners,
    row::Raw,
    salvage::{self, Name},
    schema,
};

/// What a repair has kept and lost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// How many events were kept.
    pub events: u64,
    /// The offsets that are lost, as far as they are known; the store names them too.
    pub lost: Vec<Gap>,
    /// Where the damaged file is now.
    pub damaged: PathBuf,
}

/// What is known of an epoch's offsets.
#[derive(Default)]
struct Extent {
    /// What comes next behind what was kept or is known to be missing.
    next: Option<u64>,
    lost: Vec<Gap>,
}

pub(super) fn repair(path: &Path) -> Result<Repaired, StoreError> {
    let failed = |error: io::Error| StoreError::unavailable(format!("repairing {}", path.display()), error);
    if Owners::of(path).any_alive().map_err(failed)? {
        let error = io::Error::from(io::ErrorKind::ResourceBusy);
        return Err(StoreError::unavailable("a process has the store open; stop it first", error));
    }
    let new = files::beside(path, "-repairing");
    remove(&new).map_err(failed)?;
    files::prepare(&new).map_err(failed)?;
    let copied = copy(path, &new);
    if copied.is_err() {
        // Nothing is left of the attempt, and the damaged store is as it was.
        remove(&new).ok();
    }
    let (events, lost) = copied?;
    let damaged = files::beside(path, &format!("-damaged-{}", Utc::now().timestamp_millis()));
    let moves = files::all(path).zip(files::all(&damaged)).chain(files::all(&new).zip(files::all(path)));
    for (from, to) in moves.filter(|(from, _)| from.exists()) {
        fs::rename(from, to).map_err(failed)?;
    }
    Ok(Repaired { events, lost, damaged })
}

fn remove(path: &Path) -> io::Result<()> {
    files::all(path).filter(|file| file.exists()).try_for_each(fs::remove_file)
}

/// Copies what can be read; returns how many events that is, and what is lost.
fn copy(damaged: &Path, new: &Path) -> Result<(u64, Vec<Gap>), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let old =
        Connection::open_with_flags(damaged, flags).map_err(|error| failure::of("opening the damaged store", error))?;
    let names = salvage::names(&old);
    if names.is_empty() && !salvage::is_ours(&old) {
        let what = "nothing of it can be read, or it is another program's; put back a copy of the file, or remove it to begin anew";
        return Err(StoreError::incompatible(what));
    }
    let mut connection = schema::open_writer(new, Durability::Machine)?;
    let of = |error| failure::of("writing the repaired store", error);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(of)?;
    for name in &names {
        add_epoch(&transaction, name).map_err(of)?;
    }
    let gaps = salvage::gaps(&old, &names);
    for (id, gap) in &gaps {
        insert_gap(&transaction, *id, gap).map_err(of)?;
    }
    let mut extents: HashMap<Epoch, Extent> = HashMap::new();
    for name in &names {
        extents.insert(name.epoch, Extent { next: name.first_offset, lost: Vec::new() });
    }
    let by_id: HashMap<i64, Epoch> = names.iter().map(|name| (name.id, name.epoch)).collect();
    let mut kept = 0;
    let mut failed = None;
    salvage::events(&old, |rows| {
        if failed.is_none() {
            match put(&transaction, &by_id, &rows, &mut extents) {
                Ok(count) => kept += count,
                Err(error) => failed = Some(error),
            }
        }
    });
    failed.map_or(Ok(()), Err)?;
    let known = |epoch, offset| {
        let is_in = |gap: &&(i64, Gap)| gap.1.epoch == epoch && gap.1.offsets.contains(&offset);
        gaps.iter().find(is_in).map(|(_, gap)| gap.offsets.end)
    };
    let mut lost = Vec::new();
    for name in &names {
        let Some(mut extent) = extents.remove(&name.epoch) else { continue };
        if let (Some(next), Some(end)) = (extent.next.or(Some(0)), name.next_offset) {
            extent.add(name.epoch, next, end);
        }
        // What was missing before is no loss of today.
        for gap in extent.lost.into_iter().flat_map(|gap| without_known(&gap, known)) {
            insert_gap(&transaction, name.id, &gap).map_err(of)?;
            lost.push(gap);
        }
    }
    transaction.commit().map_err(of)?;
    Ok((kept, lost))
}

fn add_epoch(transaction: &Connection, name: &Name) -> rusqlite::Result<()> {
    let sql = "INSERT OR IGNORE INTO epochs VALUES (?, ?, ?, ?, ?, ?, ?)";
    // An owner that cannot be read is none: the epoch is recovered as one that was abandoned.
    let owner = name.owner.unwrap_or(Uuid::nil());
    let next_offset = name.next_offset.and_then(|offset| i64::try_from(offset).ok()).unwrap_or_default();
    let row = (name.id, name.epoch.as_uuid(), owner, name.is_closed, name.opened_at_ms, name.opened, next_offset);
    transaction.execute(sql, row).map(drop)
}

/// Puts rows that are whole to their places; returns how many.
fn put(
    transaction: &rusqlite::Transaction<'_>,
    names: &HashMap<i64, Epoch>,
    rows: &[Raw],
    extents: &mut HashMap<Epoch, Extent>,
) -> Result<u64, StoreError> {
    let of = |error| failure::of("writing the repaired store", error);
    let mut kept = 0;
    let mut run: Vec<Arc<Event>> = Vec::new();
    let mut run_of: Option<(i64, Epoch, i64)> = None;
    let mut flush = |run: &mut Vec<Arc<Event>>, run_of: Option<(i64, Epoch, i64)>| -> Result<(), StoreError> {
        let Some((_, epoch, place)) = run_of.filter(|_| !run.is_empty()) else { return Ok(()) };
        let life = Life::of(transaction, epoch)?.ok_or(StoreError::unknown_epoch(epoch))?;
        transaction.execute("UPDATE state SET next_place = ?", [place]).map_err(of)?;
        let closing = life.next_offset;
        insert(transaction, &Batch::new(epoch), &life, run).map_err(of)?;
        // What was stored once may not be stored anew, also if it is lost.
        let sql = "UPDATE epochs SET next_offset = max(next_offset, ?) WHERE id = ?";
        transaction.execute(sql, (closing, life.id)).map_err(of)?;
        kept += run.len() as u64;
        run.clear();
        Ok(())
    };
    for raw in rows {
        let (Some(epoch), Ok(event)) = (names.get(&raw.epoch), raw.event()) else { continue };
        let extent = extents.entry(*epoch).or_default();
        let offset = event.offset.unwrap_or_default();
        if extent.next.is_some_and(|next| offset < next) {
            // Out of order: not as it was written.
            continue;
        }
        if let Some(next) = extent.next {
            extent.add(*epoch, next, offset);
        }
        extent.next = Some(offset + 1);
        let continues = run_of.is_some_and(|(id, _, first)| id == raw.epoch && first + run.len() as i64 == raw.place);
        if !continues {
            flush(&mut run, run_of)?;
            run_of = Some((raw.epoch, *epoch, raw.place));
        }
        run.push(Arc::new(event));
    }
    flush(&mut run, run_of)?;
    Ok(kept)
}

/// The parts of a gap that no known gap has.
fn without_known(gap: &Gap, known: impl Fn(Epoch, u64) -> Option<u64>) -> Vec<Gap> {
    let (mut parts, mut offset) = (Vec::new(), gap.offsets.start);
    while offset < gap.offsets.end {
        if let Some(end) = known(gap.epoch, offset) {
            offset = end;
            continue;
        }
        // A known gap may begin within: lost offsets are few, but for jumps, which begin with the gap.
        let end = (offset..gap.offsets.end).take(1 << 20).find(|at| known(gap.epoch, *at).is_some());
        let end = end.unwrap_or(gap.offsets.end);
        parts.push(Gap::new(gap.epoch, offset..end, GapReason::Damaged));
        offset = end;
    }
    parts
}

impl Extent {
    fn add(&mut self, epoch: Epoch, from: u64, to: u64) {
        if from < to {
            self.lost.push(Gap::new(epoch, from..to, GapReason::Damaged));
        }
    }
}
