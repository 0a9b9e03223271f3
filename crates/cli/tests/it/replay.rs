//! `replay`: what is shown again.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
    time::{Duration, Instant},
};

use agent_runtime::prelude::*;
use tempfile::TempDir;

use crate::support::{Stored, json_lines, program, run};

#[test]
fn what_happened_is_shown_in_lines_for_people_or_as_events_lists_it() {
    let stored = Stored::with_runs(2);
    let shown = run(&stored.path, &["replay"]);
    assert_eq!((shown.code, shown.err.as_str()), (0, ""), "no bar is drawn where nobody sees it");
    for line in ["workflow report started", "researcher says: An otter lives", "failed: there is no page of nobody"] {
        assert!(shown.out.contains(line), "{line:?} is not in {}", shown.out);
    }
    let listed = run(&stored.path, &["events", "--format", "json", "--scope", "tool"]).out;
    assert_eq!(run(&stored.path, &["replay", "--format", "json", "--scope", "tool"]).out, listed);
    let third = json_lines(&listed)[2]["position"].as_str().unwrap().to_owned();
    let rest = run(&stored.path, &["replay", "--format", "json", "--scope", "tool", "--from", &third]).out;
    assert_eq!(rest.lines().collect::<Vec<_>>(), listed.lines().skip(3).collect::<Vec<_>>());
}

/// Two events, an hour apart.
fn an_hour_apart() -> (TempDir, std::path::PathBuf) {
    let folder = TempDir::new().expect("the test is set up");
    let path = folder.path().join("events.db");
    let agents = ["agent0", "agent1"].map(|name| Event::agent_started(name, None, None, json!({})));
    Stored::put(&path, agents.to_vec(), |event| {
        event.timestamp += Duration::from_secs(3_600 * event.offset.expect("the test is set up"));
    });
    (folder, path)
}

#[test]
fn the_pace_is_that_of_the_events_and_long_pauses_are_cut() {
    let (_folder, path) = an_hour_apart();
    let began = Instant::now();
    let shown = run(&path, &["replay", "--speed", "2", "--max-pause", "1s"]);
    assert_eq!((shown.code, shown.out.lines().count()), (0, 2));
    assert!(began.elapsed() >= Duration::from_millis(500), "half of the pause, at twice the speed");
    // At its own pace the second event is an hour away, and the first one is there at once.
    let mut child = program()
        .args(["replay", "--speed", "1", "--max-pause", "none", "--store"])
        .arg(&path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("agent0 started"));
    assert!(child.try_wait().unwrap().is_none(), "it waits");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_reader_of_a_replay_that_ends_early_is_no_error() {
    let stored = Stored::with_runs(100);
    let mut child = program()
        .args(["replay", "--format", "json", "--store"])
        .arg(&stored.path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

#[test]
fn speeds_and_places_that_make_no_sense_are_refused() {
    let stored = Stored::with_runs(1);
    for arguments in
        [["--speed", "0"], ["--speed", "fast"], ["--speed=-1", ""], ["--from", "end"], ["--max-pause", "5"]]
    {
        let arguments: Vec<_> = ["replay"].into_iter().chain(arguments).filter(|text| !text.is_empty()).collect();
        assert_eq!(run(&stored.path, &arguments).code, 2, "{arguments:?}");
    }
}
