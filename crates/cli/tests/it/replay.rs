//! `replay`: what is shown again.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    process::Stdio,
    time::{Duration, Instant},
};

use agent_runtime::prelude::*;
use tempfile::TempDir;

use crate::support::{Stored, json_lines, program, ran, run};

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

/// A collector that takes one request and says what was in it.
fn collector() -> (String, std::thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the test is set up");
    let address = format!("http://{}", listener.local_addr().expect("the test is set up"));
    let taken = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("somebody sends");
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a whole request comes");
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("it is a number");
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a whole request comes");
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        reader.get_mut().write_all(answer.as_bytes()).expect("the answer is read");
        body
    });
    (address, taken)
}

#[test]
fn spans_are_sent_again_to_where_the_environment_says() {
    let stored = Stored::with_runs(1);
    let (address, taken) = collector();
    let send = |address: &str, format: &str| {
        let mut command = program();
        command.args(["replay", "--otlp", "--format", format, "--store"]).arg(&stored.path);
        ran(command.env("OTEL_EXPORTER_OTLP_ENDPOINT", address).output().expect("it runs"))
    };
    let sent = send(&address, "json");
    let body = taken.join().expect("it was sent a request");
    assert_eq!((sent.code, sent.err.as_str()), (0, ""));
    let report = &json_lines(&sent.out)[0];
    let address = format!("{address}/v1/traces");
    assert_eq!((report["address"].as_str(), report["rejected"].as_u64()), (Some(&*address), Some(0)));
    let named = |name: &str| body.windows(name.len()).filter(|window| *window == name.as_bytes()).count();
    assert!(
        named("invoke_workflow report") == 1 && named("gen_ai.agent.name") > 0,
        "{}",
        String::from_utf8_lossy(&body)
    );
    assert!(report["sent"].as_u64() > Some(3), "{report}");

    // Its listener is gone.
    let refused = send(address.trim_end_matches("/v1/traces"), "text");
    assert_eq!((refused.code, refused.out.as_str()), (1, ""));
    assert!(refused.err.contains("the collector has not taken") && refused.err.contains(&address), "{}", refused.err);
    let nowhere = send("not an address", "text");
    assert_eq!(nowhere.code, 2, "{}", nowhere.err);
    assert!(nowhere.err.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{}", nowhere.err);
}
