//! Segments in a folder: damaged, foreign, raced for, slept through, and written by processes that are stopped and killed.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use agent_runtime::{
    event::Event,
    store::{Cursor, EventStore as _, Follow, GapReason, Position, Query, Retention, StoreError, StoredEvent, recover},
    stream::{Epoch, EventStream},
};
use agent_runtime_store::{SegmentStore, SegmentStoreBuilder};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tempfile::TempDir;

use crate::support::{append, events, read_all};

/// Where a child finds the archive.
const ARCHIVE: &str = "AGENT_RUNTIME_TEST_ARCHIVE";

/// How long an owner of the tests is taken for alive.
const LEASE: Duration = Duration::from_secs(2);

fn builder(folder: &Path) -> SegmentStoreBuilder {
    SegmentStore::builder(folder).with_lease(LEASE).with_poll_interval(Duration::from_millis(10))
}

/// Makes an archive of three epochs, of which retention has taken the beginning, and returns what is in it.
async fn closed_archive(folder: &Path, count: usize) -> Vec<StoredEvent> {
    let store = builder(folder).open().await.expect("the test is set up");
    for _ in 0..3 {
        let stream = EventStream::new();
        store.open_epoch(stream.epoch()).await.expect("the test is set up");
        for part in events(&stream, count / 3).chunks(17) {
            append(&store, stream.epoch(), part).await.expect("the test is set up");
        }
        store.close_epoch(stream.epoch()).await.expect("the test is set up");
    }
    store.trim(&Retention::default().with_max_events(count as u64 - 20)).await.expect("the test is set up");
    read_all(&store).await.expect("the test is set up")
}

/// The files of an archive that damage to would matter, by name.
fn files(folder: &Path) -> Vec<PathBuf> {
    let in_folder = |name| {
        fs::read_dir(folder.join(name))
            .expect("the test is set up")
            .map(|entry| entry.expect("the test is set up").path())
    };
    let mut files: Vec<_> = ["log", "checkpoint"].into_iter().flat_map(in_folder).collect();
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    for name in ["log", "checkpoint", "owners", "damaged"] {
        fs::create_dir_all(to.join(name)).expect("the test is set up");
        for entry in fs::read_dir(from.join(name))
            .expect("the test is set up")
            .map(|entry| entry.expect("the test is set up"))
            .filter(|_| name != "owners")
        {
            fs::copy(entry.path(), to.join(name).join(entry.file_name())).expect("the test is set up");
        }
    }
    fs::copy(from.join("format"), to.join("format")).expect("the test is set up");
}

/// Something that happens to a file.
type Change = fn(&Path);

type Originals = BTreeMap<String, Event>;

#[track_caller]
fn check(stored: &[StoredEvent], originals: &Originals) {
    for stored in stored {
        assert_eq!(Some(&*stored.event), originals.get(&stored.position.to_string()), "at {}", stored.position);
    }
}

async fn read(folder: &Path) -> Result<Vec<StoredEvent>, StoreError> {
    let store = builder(folder).open().await?;
    store.epochs().await?;
    read_all(&store).await
}

/// Reads a damaged archive, repairs it, and holds what is left against what there was. Returns whether anything was wrong.
async fn outcome(folder: &Path, originals: &Originals) -> bool {
    let before = read(folder).await;
    match &before {
        Ok(stored) => {
            check(stored, originals);
            assert_eq!(stored.len(), originals.len(), "something is gone and nobody says so");
        }
        Err(error) => assert!(
            matches!(error, StoreError::Damaged { .. } | StoreError::Incompatible { .. })
                && error.to_string().contains("SegmentStoreBuilder::repair"),
            "{error}"
        ),
    }
    let verified = builder(folder).verify().await.expect("the test is set up");
    assert!(before.is_ok() || !verified.is_whole(), "what cannot be read is no fault: {before:?}");
    let repaired = builder(folder).repair().await.expect("the test is set up");
    let store = builder(folder).open().await.expect("a repaired archive opens");
    let stored = read_all(&store).await.expect("a repaired archive is whole");
    assert!(store.verify().await.expect("the test is set up").is_whole(), "{:?}", store.verify().await);
    check(&stored, originals);
    assert_eq!(stored.len() as u64, repaired.events);
    let kept: BTreeSet<_> = stored.iter().map(|stored| stored.position.to_string()).collect();
    for position in originals.keys().filter(|position| !kept.contains(*position)) {
        let position: Position = position.parse().expect("the test is set up");
        let is_named = |gaps: &[agent_runtime::store::Gap]| {
            gaps.iter().any(|gap| {
                gap.epoch == position.epoch
                    && gap.offsets.contains(&position.offset)
                    && gap.reason == GapReason::Damaged
            })
        };
        assert!(is_named(&repaired.lost), "{position} is lost and not named: {repaired:?}");
        assert!(
            is_named(&store.gaps(position.epoch).await.expect("the test is set up")),
            "{position} is lost and the store does not know"
        );
    }
    !verified.is_whole()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_flips_in_segments_cost_their_events_and_say_so() {
    let folder = TempDir::new().expect("the test is set up");
    let stored = closed_archive(folder.path(), 120).await;
    let originals: Originals =
        stored.iter().map(|stored| (stored.position.to_string(), Event::clone(&stored.event))).collect();
    let mut damaged = 0;
    for seed in 0..1_000 {
        let mut random = StdRng::seed_from_u64(seed);
        let copied = TempDir::new().expect("the test is set up");
        copy(folder.path(), copied.path());
        let files = files(copied.path());
        let file = &files[random.random_range(0..files.len())];
        let mut bytes = fs::read(file).expect("the test is set up");
        let at = random.random_range(0..bytes.len());
        bytes[at] ^= 1 << random.random_range(0..8);
        fs::write(file, bytes).expect("the test is set up");
        let (path, originals) = (copied.path().to_owned(), originals.clone());
        let outcome = tokio::spawn(async move { outcome(&path, &originals).await }).await;
        damaged += usize::from(outcome.unwrap_or_else(|error| panic!("seed {seed}, {}: {error}", file.display())));
    }
    assert!(damaged > 900, "{damaged} flips were found, though there is little that has no checksum");
}

#[tokio::test]
async fn what_is_cut_empty_gone_or_foreign_is_named() {
    let folder = TempDir::new().expect("the test is set up");
    let stored = closed_archive(folder.path(), 120).await;
    let originals: Originals =
        stored.iter().map(|stored| (stored.position.to_string(), Event::clone(&stored.event))).collect();
    let count =
        files(folder.path()).iter().filter(|file| file.parent().expect("the test is set up").ends_with("log")).count();
    let changes: [(&str, Change); 4] = [
        ("cut", |file| {
            fs::write(
                file,
                &fs::read(file).expect("the test is set up")[..fs::read(file).expect("the test is set up").len() / 2],
            )
            .expect("the test is set up")
        }),
        ("empty", |file| fs::write(file, "").expect("the test is set up")),
        ("gone", |file| fs::remove_file(file).expect("the test is set up")),
        ("foreign", |file| fs::write(file, "no segment at all ".repeat(50)).expect("the test is set up")),
    ];
    for (what, change) in changes {
        for index in 0..count {
            let copied = TempDir::new().expect("the test is set up");
            copy(folder.path(), copied.path());
            let file = files(copied.path())
                .into_iter()
                .filter(|file| file.parent().expect("the test is set up").ends_with("log"));
            let file = file.collect::<Vec<_>>()[index].clone();
            change(&file);
            assert!(outcome(copied.path(), &originals).await, "{what} {}", file.display());
        }
    }
    fs::write(folder.path().join("log/readme.txt"), "not ours").expect("the test is set up");
    fs::write(folder.path().join("owners/readme.txt"), "not ours").expect("the test is set up");
    assert_eq!(read(folder.path()).await.expect("the test is set up"), stored, "files of other names are left alone");
    let empty = TempDir::new().expect("the test is set up");
    let refused = builder(empty.path()).repair().await.unwrap_err();
    assert!(matches!(refused, StoreError::Incompatible { .. }), "{refused}");
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_folder() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = TempDir::new().expect("the test is set up");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("the test is set up");
    closed_archive(folder.path(), 30).await;
    let mode = |path: &Path| fs::metadata(path).expect("the test is set up").permissions().mode() & 0o777;
    let folders = ["", "log", "checkpoint", "owners", "damaged"].map(|name| mode(&folder.path().join(name)));
    assert_eq!(folders, [0o700; 5]);
    assert!(files(folder.path()).iter().all(|file| mode(file) == 0o600));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_that_race_lose_nothing_and_readers_see_one_order() {
    let folder = TempDir::new().expect("the test is set up");
    let write = |path: PathBuf| async move {
        let store = builder(&path).open().await.expect("the test is set up");
        let stream = EventStream::new();
        store.open_epoch(stream.epoch()).await.expect("the test is set up");
        for part in events(&stream, 120).chunks(3) {
            append(&store, stream.epoch(), part).await.expect("the test is set up");
            append(&store, stream.epoch(), part).await.expect("the test is set up");
        }
        store
    };
    let writers = [(); 3].map(|()| tokio::spawn(write(folder.path().to_owned())));
    let reader = Arc::new(builder(folder.path()).open().await.expect("the test is set up"));
    let mut follow = Follow::new(reader.clone(), Cursor::Beginning, Query::default());
    let mut followed = Vec::new();
    while followed.len() < 360 {
        followed.push(follow.recv().await.expect("the test is set up"));
    }
    for writer in writers {
        assert_eq!(read_all(&writer.await.expect("the test is set up")).await.expect("the test is set up"), followed);
    }
    let mut next: BTreeMap<String, u64> = BTreeMap::new();
    for stored in &followed {
        let next = next.entry(stored.position.epoch.to_string()).or_default();
        assert_eq!(stored.position.offset, *next);
        *next += 1;
    }
    assert_eq!(next.into_values().collect::<Vec<_>>(), [120; 3]);
}

#[tokio::test]
async fn a_handle_that_slept_through_a_retention_forks_nothing() {
    let folder = TempDir::new().expect("the test is set up");
    let (sleeper, other) = (
        builder(folder.path()).open().await.expect("the test is set up"),
        builder(folder.path()).open().await.expect("the test is set up"),
    );
    let (slept, written) = (EventStream::new(), EventStream::new());
    let sleepers = events(&slept, 20);
    sleeper.open_epoch(slept.epoch()).await.expect("the test is set up");
    append(&sleeper, slept.epoch(), &sleepers[..10]).await.expect("the test is set up");
    other.open_epoch(written.epoch()).await.expect("the test is set up");
    for part in events(&written, 40).chunks(4) {
        append(&other, written.epoch(), part).await.expect("the test is set up");
    }
    assert_eq!(other.trim(&Retention::default().with_max_events(0)).await.expect("the test is set up").events, 50);
    assert_eq!(
        fs::read_dir(folder.path().join("log")).expect("the test is set up").count(),
        1,
        "only the last segment is left"
    );
    append(&sleeper, slept.epoch(), &sleepers[10..]).await.expect("the test is set up");
    let stored =
        read_all(&builder(folder.path()).open().await.expect("the test is set up")).await.expect("the test is set up");
    assert_eq!(stored.iter().map(|stored| stored.position.offset).collect::<Vec<_>>(), Vec::from_iter(10..20));
    assert_eq!(read_all(&other).await.expect("the test is set up"), stored);
    assert!(other.verify().await.expect("the test is set up").is_whole());
}

/// The child: appends until it is refused, and says what was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by its parent, which stops or kills it"]
async fn child_appends_until_it_is_refused() {
    let store =
        builder(Path::new(&env::var(ARCHIVE).expect("its parent sets it"))).open().await.expect("the test is set up");
    let stream = EventStream::new();
    store.open_epoch(stream.epoch()).await.expect("the test is set up");
    loop {
        let part = events(&stream, 5);
        match append(&store, stream.epoch(), &part).await {
            Ok(()) => {
                println!("acknowledged {}", Position::new(stream.epoch(), part[4].offset.expect("the test is set up")))
            }
            Err(StoreError::NotOwner { .. }) => return println!("refused"),
            Err(error) => panic!("{error}"),
        }
    }
}

fn spawn(folder: &Path) -> Child {
    Command::new(env::current_exe().expect("the test is set up"))
        .args(["--exact", "archive::child_appends_until_it_is_refused", "--ignored", "--nocapture"])
        .env(ARCHIVE, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test is set up")
}

/// The last position of a child that was acknowledged, after it has said so a few times.
fn acknowledged(lines: &mut impl Iterator<Item = String>, count: usize) -> Position {
    let said = lines.filter_map(|line| line.rsplit_once("acknowledged ")?.1.parse().ok());
    said.take(count).last().expect("a child goes on until it is ended")
}

async fn adopt(store: &SegmentStore, epoch: Epoch) {
    while !store.adopt_epoch(epoch).await.expect("the test is set up") {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_writer_was_acknowledged_is_stored() {
    let folder = TempDir::new().expect("the test is set up");
    for count in 1..6 {
        let mut child = spawn(folder.path());
        let mut lines = BufReader::new(child.stdout.take().expect("the test is set up")).lines().map_while(Result::ok);
        let mut last = acknowledged(&mut lines, 3 * count);
        std::thread::sleep(Duration::from_micros(700 * count as u64));
        child.kill().expect("the test is set up");
        child.wait().expect("the test is set up");
        // What it has said before it was killed.
        last = lines.filter_map(|line| line.rsplit_once("acknowledged ")?.1.parse().ok()).last().unwrap_or(last);
        let store = builder(folder.path()).open().await.expect("the test is set up");
        let stored = read_all(&store).await.expect("the test is set up");
        let of_child = stored.iter().map(|stored| stored.position).filter(|position| position.epoch == last.epoch);
        let offsets: Vec<_> = of_child.map(|position| position.offset).collect();
        assert_eq!(offsets, Vec::from_iter(0..offsets.len() as u64));
        assert!(offsets.len() as u64 > last.offset, "{last} was acknowledged, {} are stored", offsets.len());
        assert_eq!(offsets.len() % 5, 0, "a batch is stored as a whole");
        adopt(&store, last.epoch).await;
        store.close_epoch(last.epoch).await.expect("the test is set up");
        assert!(store.verify().await.expect("the test is set up").is_whole());
        assert_eq!(recover(&store).await.expect("the test is set up"), []);
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_was_taken_for_dead_is_refused() {
    let folder = TempDir::new().expect("the test is set up");
    let mut child = spawn(folder.path());
    let mut lines = BufReader::new(child.stdout.take().expect("the test is set up")).lines().map_while(Result::ok);
    let id = child.id().to_string();
    let signal = |signal: &str| {
        assert!(Command::new("kill").args([signal, &id]).status().expect("the test is set up").success())
    };
    let epoch = acknowledged(&mut lines, 3).epoch;
    let store = builder(folder.path()).open().await.expect("the test is set up");
    assert!(!store.adopt_epoch(epoch).await.expect("the test is set up"), "it is alive");
    signal("-STOP");
    adopt(&store, epoch).await;
    let before = read_all(&store).await.expect("the test is set up");
    signal("-CONT");
    assert!(lines.any(|line| line.ends_with("refused")));
    assert!(child.wait().expect("the test is set up").success());
    assert_eq!(read_all(&store).await.expect("the test is set up"), before);
}
