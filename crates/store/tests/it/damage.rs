//! A file whose bytes have changed: what is read is what was written, or an error that says what to do.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use agent_runtime::{
    event::Event,
    store::{EventStore, GapReason, Position, StoreError, StoredEvent},
};
use agent_runtime_store::SqliteStore;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tempfile::TempDir;

use crate::support::{closed_store, read_all};

/// How a damaged file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// The change was where nothing is stored.
    Whole,
    /// Repaired, without some events or with all.
    Repaired,
    Refused,
}

type Originals = BTreeMap<String, Event>;

fn originals(stored: &[StoredEvent]) -> Originals {
    stored.iter().map(|stored| (stored.position.to_string(), Event::clone(&stored.event))).collect()
}

/// Panics unless an error says what is wrong and no thread of the store has ended.
#[track_caller]
fn assert_says_what_to_do(error: &StoreError) {
    let text = error.to_string();
    assert!(!text.contains("thread of the store"), "a thread panicked: {text}");
    let is_known = matches!(
        error,
        StoreError::Damaged { .. }
            | StoreError::Incompatible { .. }
            | StoreError::Unavailable { .. }
            | StoreError::UnknownEpoch { .. }
    );
    assert!(is_known, "{text}");
}

async fn outcome(path: &Path, originals: &Originals) -> Outcome {
    match read(path).await {
        Ok(stored) if stored.len() == originals.len() => {
            check(&stored, originals);
            return Outcome::Whole;
        }
        // A damaged tree may have lost events without being able to know it; `verify` does.
        Ok(stored) => check(&stored, originals),
        Err(error) => assert_says_what_to_do(&error),
    }
    let repaired = match SqliteStore::repair(path).await {
        Ok(repaired) => repaired,
        Err(error) => {
            assert_says_what_to_do(&error);
            return Outcome::Refused;
        }
    };
    assert!(repaired.damaged.exists());
    let store = SqliteStore::open(path).await.expect("a repaired store opens");
    let stored = read_all(&store).await.expect("a repaired store is whole");
    assert!(store.verify().await.expect("the test is set up").is_whole());
    assert_eq!(stored.len() as u64, repaired.events);
    check(&stored, originals);
    let kept: BTreeSet<_> = stored.iter().map(|stored| stored.position.to_string()).collect();
    for position in originals.keys().filter(|position| !kept.contains(*position)) {
        let position: Position = position.parse().expect("the test is set up");
        let is_named =
            repaired.lost.iter().any(|gap| gap.epoch == position.epoch && gap.offsets.contains(&position.offset));
        let knows_epoch = store.gaps(position.epoch).await;
        assert!(
            is_named || matches!(knows_epoch, Err(StoreError::UnknownEpoch { .. })),
            "{position} is lost and not named"
        );
        assert!(
            knows_epoch.is_err()
                || knows_epoch.expect("the test is set up").iter().any(|gap| gap.reason == GapReason::Damaged)
        );
    }
    Outcome::Repaired
}

async fn read(path: &Path) -> Result<Vec<StoredEvent>, StoreError> {
    let store = SqliteStore::open(path).await?;
    store.epochs().await?;
    let stored = read_all(&store).await?;
    store.latest().await?;
    Ok(stored)
}

/// Everything that is read is what was written there.
#[track_caller]
fn check(stored: &[StoredEvent], originals: &Originals) {
    for stored in stored {
        assert_eq!(Some(&*stored.event), originals.get(&stored.position.to_string()), "at {}", stored.position);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_random_flips_never_panic_and_never_make_another_event() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("events.db");
    let originals = originals(&closed_store(&path, 240).await);
    let bytes = fs::read(&path).unwrap();
    let mut outcomes: BTreeMap<Outcome, usize> = BTreeMap::new();
    for seed in 0..1_000 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut damaged = bytes.clone();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..damaged.len());
            damaged[at] ^= 1 << random.random_range(0..8);
        }
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("events.db");
        fs::write(&path, damaged).unwrap();
        let outcome = tokio::spawn({
            let originals = originals.clone();
            async move { outcome(&path, &originals).await }
        });
        *outcomes.entry(outcome.await.unwrap_or_else(|error| panic!("seed {seed}: {error}"))).or_default() += 1;
    }
    let count = |outcome| outcomes.get(&outcome).copied().unwrap_or_default();
    assert!(count(Outcome::Repaired) > 300 && count(Outcome::Whole) > 100, "the flips are everywhere: {outcomes:?}");
}

#[tokio::test]
async fn pages_that_are_gone_cost_their_events_and_no_others() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("events.db");
    let stored = closed_store(&path, 900).await;
    let originals = originals(&stored);
    let mut bytes = fs::read(&path).unwrap();
    // The page that has the body of an event in the middle.
    let needle = stored[450].event.event_id.to_string();
    let at = bytes.windows(needle.len()).position(|window| window == needle.as_bytes()).unwrap();
    let page = at / 16_384 * 16_384;
    bytes[page..page + 16_384].fill(0xff);
    fs::write(&path, bytes).unwrap();
    let error = read(&path).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Damaged { .. }) && error.to_string().contains("SqliteStore::repair"),
        "{error}"
    );
    let repaired = SqliteStore::repair(&path).await.unwrap();
    assert!((700..900).contains(&repaired.events), "{repaired:?}");
    let lost: u64 = repaired.lost.iter().map(|gap| gap.offsets.end - gap.offsets.start).sum();
    assert_eq!(repaired.events + lost, 900, "{repaired:?}");
    check(&read(&path).await.unwrap(), &originals);
}
