//! All that happens from one seed.

use std::{
    collections::BTreeSet,
    ops::AddAssign,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use agent_runtime::{
    store::{
        Cursor, EpochState, EventStore, Follow, GapReason, MemoryStore, Query, RECOVERY_STRIDE, StoredEvent, recover,
    },
    stream::Epoch,
};
use parking_lot::Mutex;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::{
    faulty::Faulty,
    life::{Ended, live},
};
use crate::support::history::{History, one_end_each};

/// How many processes there are.
const LIVES: usize = 5;

/// What happened, so that a simulation of calm weather is found out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    events: usize,
    killed: usize,
    interrupted: u64,
    failures: u64,
    lost_answers: u64,
    missed: u64,
}

pub(super) struct World {
    random: StdRng,
    store: MemoryStore,
    history: Arc<Mutex<History>>,
}

impl World {
    pub(super) fn of(seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        Self { random, store: MemoryStore::new(), history: Arc::default() }
    }

    /// Lets all processes live; returns what is wrong afterwards, and what happened.
    pub(super) fn run(self) -> (Vec<String>, Seen) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().expect("a runtime starts");
        runtime.block_on(self.live())
    }

    async fn live(mut self) -> (Vec<String>, Seen) {
        let mut seen = Seen::default();
        let mut follow = Follow::new(Arc::new(self.store.reopen()), Cursor::Beginning, Query::default());
        let followed = tokio::spawn(async move {
            let mut all = Vec::new();
            // It ends when nothing is stored any more.
            while let Ok(Ok(stored)) = tokio::time::timeout(Duration::from_secs(86_400), follow.recv()).await {
                all.push(stored);
            }
            all
        });
        let mut lives = Vec::new();
        for _ in 0..LIVES {
            let random = StdRng::from_rng(&mut self.random);
            let faulty =
                Arc::new(Faulty::new(self.store.reopen(), StdRng::from_rng(&mut self.random), self.history.clone()));
            let life = tokio::spawn(live(faulty.clone(), random));
            let dies_after =
                self.random.random_bool(0.6).then(|| Duration::from_millis(self.random.random_range(0..80)));
            lives.push(tokio::spawn(async move {
                let Some(after) = dies_after else { return (faulty, life.await.ok()) };
                tokio::time::sleep(after).await;
                faulty.kill();
                life.abort();
                (faulty, life.await.ok())
            }));
            tokio::time::sleep(Duration::from_millis(self.random.random_range(0..40))).await;
        }
        let mut ended = Vec::new();
        for life in lives {
            let (faulty, end) = life.await.expect("nobody panics");
            seen.failures += faulty.failures.load(Ordering::Relaxed);
            seen.lost_answers += faulty.lost_answers.load(Ordering::Relaxed);
            seen.killed += usize::from(end.is_none());
            ended.extend(end);
        }
        let last = self.store.reopen();
        let recovered = recover(&last).await.expect("a memory store is always there");
        seen.interrupted += recovered.iter().map(|recovered| recovered.interrupted).sum::<u64>();
        let stored = last.read(Cursor::Beginning, &Query::default(), usize::MAX).await.expect("it is there").events;
        seen.events += stored.len();
        let mut faults = self.history.lock().faults_of_positions(&stored);
        let overrun = overrun(&last).await;
        faults.extend(one_end_each(stored.iter().filter(|stored| !overrun.contains(&stored.position.epoch))));
        faults.extend(faults_of_epochs(&last).await);
        for end in &ended {
            seen.interrupted += end.interrupted;
            seen.missed += end.missed;
            faults.extend(faults_of(end, &last).await);
        }
        if followed.await.expect("nobody panics") != stored {
            faults.push("a reader that followed from the beginning has seen something else".to_owned());
        }
        (faults, seen)
    }
}

/// The epochs of which events are named as missing, and so may lack a start or an end.
async fn overrun(store: &dyn EventStore) -> Vec<Epoch> {
    let mut overrun = Vec::new();
    for record in store.epochs().await.expect("it is there") {
        let gaps = store.gaps(record.epoch).await.expect("it is there");
        overrun.extend(gaps.iter().any(|gap| gap.reason == GapReason::Overrun).then_some(record.epoch));
    }
    overrun
}

/// Every life is over, whoever ended it.
async fn faults_of_epochs(store: &dyn EventStore) -> Vec<String> {
    let records = store.epochs().await.expect("it is there");
    let open = records.into_iter().filter(|record| record.state != EpochState::Closed);
    open.map(|record| format!("epoch {} is {:?}", record.epoch, record.state)).collect()
}

/// What a process that ended well has said of its events is so.
async fn faults_of(end: &Ended, store: &dyn EventStore) -> Vec<String> {
    let epoch = end.epoch;
    let query = Query::default().with_epoch(epoch);
    let page = store.read(Cursor::Beginning, &query, usize::MAX).await.expect("it is there");
    let gaps = store.gaps(epoch).await.expect("it is there");
    let stored: BTreeSet<u64> = page.events.iter().map(|stored: &StoredEvent| stored.position.offset).collect();
    let missing: BTreeSet<u64> = gaps.iter().flat_map(|gap| gap.offsets.clone()).collect();
    let mut faults = Vec::new();
    let unaccounted: Vec<_> =
        (0..end.events).filter(|offset| !stored.contains(offset) && !missing.contains(offset)).collect();
    if !unaccounted.is_empty() {
        faults.push(format!("{epoch}: {unaccounted:?} are neither stored nor named as missing"));
    }
    if stored.intersection(&missing).next().is_some() {
        faults.push(format!("{epoch}: something is stored and named as missing"));
    }
    if (stored.len() as u64, missing.len() as u64) != (end.stored, end.missed) {
        let counts = (stored.len(), missing.len());
        faults.push(format!("{epoch}: {counts:?} are stored and missing, and the recorder says {end:?}"));
    }
    if end.is_complete != missing.is_empty() {
        faults.push(format!("{epoch}: whether it is complete is not so: {end:?}"));
    }
    if gaps.iter().any(|gap| gap.reason == GapReason::Interrupted)
        || stored.iter().any(|offset| *offset >= RECOVERY_STRIDE)
    {
        faults.push(format!("{epoch}: a living process was taken for dead"));
    }
    faults
}

impl Seen {
    pub(super) fn assert_all_happened(&self) {
        let Self { events, killed, interrupted, failures, lost_answers, missed } = *self;
        let counts = [events as u64, killed as u64, interrupted, failures, lost_answers, missed];
        assert!(counts.iter().all(|count| *count > 100), "{self:?}");
    }
}

impl AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.killed += other.killed;
        self.interrupted += other.interrupted;
        self.failures += other.failures;
        self.lost_answers += other.lost_answers;
        self.missed += other.missed;
    }
}
