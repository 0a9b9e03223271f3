//! Processes that are killed while they write, two at a time on one store.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use agent_runtime::{
    prelude::*,
    store::{EpochState, EventStore as _, Position, RECOVERY_STRIDE, Recorder, recover},
};
use agent_runtime_store::SqliteStore;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tempfile::TempDir;

use crate::{history::History, support::read_all};

/// Where a child finds the store.
const STORE: &str = "AGENT_RUNTIME_TEST_STORE";

/// How many processes are killed for each seed.
const KILLS: usize = 12;

/// A workflow with an agent that asks a model which calls a tool, now and again for ever.
async fn work(runtime: &Runtime) {
    let pause = FnTool::new("pause", "Waits.", json!({"type": "object"}), |_, progress| async move {
        progress("waiting".to_owned(), Some(1));
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(json!("waited"))
    });
    let model = Arc::new(ScriptedModel::answering(|request| {
        let is_over = request.messages.len() > 3;
        if is_over { ScriptedReply::text("Done, and well.") } else { ScriptedReply::tool_calls([("pause", json!({}))]) }
    }));
    let agent = Agent::builder("agent", model).with_tool(pause).build();
    let workflow = Workflow::new("flow").add_step(AgentStep::new(agent)).build();
    runtime.execute(&workflow, "go").await.expect("a scripted run succeeds");
}

/// The child: recovers, works, and says what it has sent and what was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by its parent, which kills it"]
async fn child_writes_until_it_is_killed() {
    let store = Arc::new(SqliteStore::open(env::var(STORE).expect("its parent sets it")).await.unwrap());
    recover(&*store).await.unwrap();
    let runtime = Runtime::new();
    let stream = runtime.event_stream().clone();
    let recorder = Recorder::builder(store).with_linger(Duration::ZERO).start(&stream).await.unwrap();
    let mut said = 0;
    loop {
        tokio::join!(work(&runtime), work(&runtime));
        let mut lines = String::new();
        for event in stream.get_events(said).await {
            said = event.offset.unwrap() + 1;
            lines.push_str(&format!("sent {} {}\n", Position::new(stream.epoch(), said - 1), event.event_id));
        }
        say(&lines);
        assert!(recorder.flush().await, "the store takes all");
        say(&format!("acknowledged {}\n", Position::new(stream.epoch(), said - 1)));
    }
}

fn say(lines: &str) {
    let mut out = std::io::stdout();
    out.write_all(lines.as_bytes()).and_then(|()| out.flush()).expect("its parent reads");
}

fn spawn(store: &Path) -> Child {
    Command::new(env::current_exe().expect("the test is set up"))
        .args(["--exact", "crash::child_writes_until_it_is_killed", "--ignored", "--nocapture"])
        .env(STORE, store)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a test binary can be run again")
}

/// Reads what a child says until it has been acknowledged so often, kills it after a moment, and reads the rest.
fn kill_after(mut child: Child, acknowledgments: usize, moment: Duration) -> (History, usize) {
    let mut history = History::default();
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
    let mut counted = 0;
    while counted < acknowledgments {
        let line = lines.next().expect("a child goes on until it is killed");
        counted += usize::from(take(&mut history, &line));
    }
    std::thread::sleep(moment);
    child.kill().expect("it runs");
    child.wait().expect("it was killed");
    for line in lines {
        take(&mut history, &line);
    }
    let count = history.acknowledged.len();
    (history, count)
}

/// Takes in a line; whether it is an acknowledgment. A line that the kill has cut says nothing.
fn take(history: &mut History, line: &str) -> bool {
    let words: Vec<_> = line.split(' ').collect();
    match words[..] {
        ["sent", position, id] => {
            if let (Ok(_), Ok(id)) = (position.parse::<Position>(), id.parse()) {
                history.sent.insert(position.to_owned(), id);
            }
            false
        }
        ["acknowledged", position] => {
            let Ok(last) = position.parse::<Position>() else { return false };
            let up_to = (0..=last.offset).map(|offset| Position::new(last.epoch, offset).to_string());
            let known = up_to.filter(|position| history.sent.contains_key(position));
            let known: Vec<_> = known.collect();
            history.acknowledged.extend(known);
            true
        }
        _ => false,
    }
}

async fn kills_by_seed(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let folder = TempDir::new().expect("the test is set up");
    let path = folder.path().join("events.db");
    let mut history = History::default();
    // One that goes on while others die beside it.
    let survivor = spawn(&path);
    for _ in 0..KILLS / 2 {
        let victims = [(); 2].map(|()| {
            let (after, moment) = (random.random_range(1..4), Duration::from_micros(random.random_range(0..8_000)));
            let child = spawn(&path);
            std::thread::spawn(move || kill_after(child, after, moment))
        });
        for victim in victims {
            let (theirs, count) = victim.join().expect("a child was killed");
            assert!(count > 0, "seed {seed}: a child was killed before anything was acknowledged");
            history.sent.extend(theirs.sent);
            history.acknowledged.extend(theirs.acknowledged);
        }
    }
    let (theirs, _) = kill_after(survivor, 1, Duration::ZERO);
    let survived =
        theirs.sent.keys().next().expect("the test is set up").parse::<Position>().expect("the test is set up").epoch;
    history.sent.extend(theirs.sent);
    history.acknowledged.extend(theirs.acknowledged);

    let store = SqliteStore::open(&path).await.expect("the test is set up");
    let before = read_all(&store).await.expect("the test is set up");
    let is_recovered = |position: Position| position.epoch == survived && position.offset >= RECOVERY_STRIDE;
    assert!(
        !before.iter().any(|stored| is_recovered(stored.position)),
        "seed {seed}: a live process was taken for dead"
    );
    recover(&store).await.expect("the test is set up");
    let stored = read_all(&store).await.expect("the test is set up");
    let faults = history.faults(&stored);
    assert!(faults.is_empty(), "seed {seed}: {} of {} events\n{}", faults.len(), stored.len(), faults.join("\n"));
    assert!(
        stored.iter().any(|stored| stored.position.offset >= RECOVERY_STRIDE),
        "seed {seed}: nothing was open when a process was killed"
    );
    assert_eq!(stored[..before.len()], before, "seed {seed}: a recovery changed what was stored");
    let epochs = store.epochs().await.expect("the test is set up");
    assert_eq!(epochs.len(), KILLS + 1);
    assert!(epochs.iter().all(|record| record.state == EpochState::Closed));
    assert!(store.verify().await.expect("the test is set up").is_whole());
}

#[tokio::test]
async fn what_was_acknowledged_is_stored_whoever_is_killed_beside_whom() {
    for seed in 0..3 {
        kills_by_seed(seed).await;
    }
}

/// The checker finds what it is there to find.
#[tokio::test]
async fn a_store_that_lost_doubled_or_swapped_something_is_found_out() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("events.db");
    let (history, _) = tokio::task::spawn_blocking({
        let path = path.clone();
        move || kill_after(spawn(&path), 2, Duration::ZERO)
    })
    .await
    .unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    recover(&store).await.unwrap();
    let stored = read_all(&store).await.unwrap();
    assert_eq!(history.faults(&stored), [""; 0]);
    let mut lost = stored.clone();
    lost.remove(3);
    assert!(!history.faults(&lost).is_empty());
    let mut swapped = stored.clone();
    swapped.swap(3, 4);
    assert!(!history.faults(&swapped).is_empty());
    let mut doubled = stored.clone();
    doubled.push(stored[stored.len() - 1].clone());
    assert!(!history.faults(&doubled).is_empty());
    assert!(history.faults(&stored[..stored.len() - 1]).iter().any(|fault| fault.contains("0 ends")));
}
