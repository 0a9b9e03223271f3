//! What a store says of itself, and what its events say of it.

use std::{collections::HashMap, fs, path::Path};

use agent_runtime::{
    store::{Cursor, EpochRecord, EpochState, EventStore, Gap, GapReason, Query, StoreError},
    stream::Epoch,
};
use chrono::{DateTime, TimeDelta, Utc};

use super::{
    check::{Check, Part},
    machine,
    repair::range,
};
use crate::{
    failure::Failure,
    pages,
    store::{Engine, Location, beside},
    times,
};

/// How far the clocks of two machines may be apart.
const TOLERANCE: TimeDelta = TimeDelta::seconds(5);

/// The most of a kind that are named.
const MAX_NAMED: usize = 5;

/// What all events of a store say together.
struct Scan {
    events: u64,
    /// Offsets in front of each event of an epoch that are missing.
    holes: Vec<Gap>,
    /// The latest event that is from the future, and how many are.
    future: Option<(DateTime<Utc>, u64)>,
}

pub(super) async fn checks(location: &Location, is_quick: bool) -> Vec<Check> {
    let mut checks = Vec::new();
    match location.open_engine().await {
        Ok(engine) => {
            checks.push(Part::Store.ok("opens", format!("{location}, {}", engine.name())));
            let found = looked_into(&engine, is_quick, &mut checks).await;
            if let Err(error) = found {
                checks.push(problem_of("reading", &location.failed(error)));
            }
        }
        Err(failure) => checks.push(problem_of("opens", &failure)),
    }
    if let Some(path) = location.path().filter(|path| path.exists()) {
        if path.is_file() {
            checks.push(size(path));
        }
        checks.extend(machine::checks(path));
    }
    checks
}

fn problem_of(name: &'static str, failure: &Failure) -> Check {
    Part::Store.problem(name, failure.whole(), failure.advice().unwrap_or("see the error"))
}

async fn looked_into(engine: &Engine, is_quick: bool, checks: &mut Vec<Check>) -> Result<(), StoreError> {
    let store = engine.store();
    checks.push(Part::Store.ok("durability", engine.durability()));
    let epochs = store.epochs().await?;
    checks.push(owners(&epochs));
    let gaps = gaps(&*store, &epochs).await?;
    checks.extend(gap_checks(&gaps));
    if is_quick {
        checks.push(Part::Store.note("verify", "left out by --quick"));
        return Ok(());
    }
    if let Some(verified) = engine.verify().await? {
        if !verified.is_whole() {
            let repair = "stop every process that uses the store, then call agent-runtime doctor with --repair, which \
                          keeps what can be read";
            let shown: Vec<_> = verified.faults.iter().take(MAX_NAMED).map(String::as_str).collect();
            let what = format!("{} events are as they were written; damaged: {}", verified.events, shown.join("; "));
            checks.push(Part::Store.problem("verify", what, repair));
            return Ok(());
        }
        checks.push(Part::Store.ok("verify", format!("{} events, each as it was written", verified.events)));
    }
    let scan = scan(&*store, &gaps).await?;
    checks.extend(scan.checks());
    Ok(())
}

fn owners(epochs: &[EpochRecord]) -> Check {
    let count = |state| epochs.iter().filter(|record| record.state == state).count();
    let (open, abandoned, closed) = (count(EpochState::Open), count(EpochState::Abandoned), count(EpochState::Closed));
    let what = format!("epochs: {open} open under live processes, {closed} closed, {abandoned} abandoned");
    match abandoned {
        0 => Part::Store.ok("owners", what),
        _ => {
            let named = epochs.iter().filter(|record| record.state == EpochState::Abandoned).take(MAX_NAMED);
            let named: Vec<_> = named.map(|record| record.epoch.to_string()).collect();
            let advice = "agent-runtime recover ends what their processes left open";
            Part::Store.problem("owners", format!("{what}: {}", named.join(", ")), advice)
        }
    }
}

async fn gaps(store: &dyn EventStore, epochs: &[EpochRecord]) -> Result<HashMap<Epoch, Vec<Gap>>, StoreError> {
    let mut gaps = HashMap::new();
    for record in epochs {
        gaps.insert(record.epoch, store.gaps(record.epoch).await?);
    }
    Ok(gaps)
}

/// What is known to be missing; the ends of a process that died are no loss.
fn gap_checks(gaps: &HashMap<Epoch, Vec<Gap>>) -> Vec<Check> {
    let lost: Vec<_> = gaps.values().flatten().filter(|gap| gap.reason != GapReason::Interrupted).collect();
    let interrupted = gaps.values().flatten().count() - lost.len();
    if lost.is_empty() {
        let recovered = match interrupted {
            0 => String::new(),
            count => format!("; {count} processes ended without storing all"),
        };
        return vec![Part::Store.ok("gaps", format!("no event is known to be lost{recovered}"))];
    }
    let name = |gap: &&Gap| Part::Store.note("gaps", format!("{}, {}", range(gap), gap.reason.as_str()));
    let mut checks: Vec<_> = lost.iter().take(MAX_NAMED).map(name).collect();
    if lost.len() > MAX_NAMED {
        checks.push(Part::Store.note("gaps", format!("and {} more", lost.len() - MAX_NAMED)));
    }
    checks
}

async fn scan(store: &dyn EventStore, gaps: &HashMap<Epoch, Vec<Gap>>) -> Result<Scan, StoreError> {
    let mut scan = Scan { events: 0, holes: Vec::new(), future: None };
    let mut next: HashMap<Epoch, u64> = HashMap::new();
    pages::each(store, Cursor::Beginning, &Query::default(), |stored| {
        let (epoch, offset) = (stored.position.epoch, stored.position.offset);
        scan.events += 1;
        // What retention has taken is in front of the first.
        if let Some(expected) = next.insert(epoch, offset + 1).filter(|expected| *expected < offset) {
            let hole = Gap::new(epoch, expected..offset, GapReason::Damaged);
            let known = gaps.get(&epoch).map(Vec::as_slice).unwrap_or_default();
            if !is_known(&hole, known) {
                scan.holes.push(hole);
            }
        }
        // One that was stored meanwhile is not from the future.
        if stored.event.timestamp > Utc::now() + TOLERANCE {
            let (time, count) = scan.future.get_or_insert((stored.event.timestamp, 0));
            *time = stored.event.timestamp.max(*time);
            *count += 1;
        }
    })
    .await?;
    Ok(scan)
}

/// Whether known gaps, which come lowest first, cover all of a hole.
fn is_known(hole: &Gap, known: &[Gap]) -> bool {
    let covered =
        known.iter().fold(
            hole.offsets.start,
            |covered, gap| {
                if gap.offsets.contains(&covered) { gap.offsets.end } else { covered }
            },
        );
    covered >= hole.offsets.end
}

impl Scan {
    fn checks(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        if !self.holes.is_empty() {
            let named: Vec<_> = self.holes.iter().take(MAX_NAMED).map(range).collect();
            checks.push(Part::Store.problem(
                "holes",
                format!("{} ranges are missing and no gap names them: {}", self.holes.len(), named.join(", ")),
                "compare with a copy of the store: something has removed events from it",
            ));
        }
        checks.push(match self.future {
            None => Part::Clock.ok("events", format!("none of {} events is from the future", self.events)),
            Some((time, count)) => Part::Clock.problem(
                "events",
                format!("{count} events are from the future, the latest of {}", times::stamp(time)),
                "set the clock of the machine that wrote them, or of this one",
            ),
        });
        checks
    }
}

/// The store's own files.
fn size(path: &Path) -> Check {
    let bytes = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
    let (file, log) = (bytes(path), bytes(&beside(path, "-wal")));
    Part::Store
        .ok("size", format!("{} and {} that are not written back yet", machine::amount(file), machine::amount(log)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_is_known_if_gaps_cover_all_of_it() {
        let epoch = Epoch::new();
        let gap = |offsets| Gap::new(epoch, offsets, GapReason::Overrun);
        let known = [gap(3..5), gap(5..9), gap(20..30)];
        for (hole, expected) in
            [(3..9, true), (4..6, true), (2..5, false), (3..10, false), (10..12, false), (20..30, true)]
        {
            assert_eq!(is_known(&gap(hole.clone()), &known), expected, "{hole:?}");
        }
    }
}
