//! `doctor`, and stores that cannot be used.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    thread,
};

use agent_runtime::prelude::*;
use tempfile::TempDir;

use crate::support::{Stored, json_lines, program, ran, run};

/// The checks of a kind, with their states.
fn states(out: &str, name: &str) -> Vec<String> {
    let checks = json_lines(out)[0]["checks"].as_array().expect("there are checks").clone();
    let found = checks.iter().filter(|check| check["name"] == name);
    found
        .map(|check| {
            format!(
                "{} {}",
                check["part"].as_str().expect("the test is set up"),
                check["state"].as_str().expect("the test is set up")
            )
        })
        .collect()
}

#[test]
fn a_store_that_is_well_is_said_to_be() {
    let stored = Stored::with_runs(2);
    let well = run(&stored.path, &["doctor"]);
    assert_eq!((well.code, well.err.as_str()), (0, ""), "{}", well.out);
    assert!(well.out.contains("schema version 1") && well.out.ends_with("all is well\n"), "{}", well.out);
    let json = run(&stored.path, &["doctor", "--format", "json"]).out;
    for name in ["opens", "durability", "owners", "gaps", "verify", "size", "disk"] {
        assert_eq!(states(&json, name), ["store ok"], "{name}: {json}");
    }
    for name in ["wall", "even", "events"] {
        assert_eq!(states(&json, name), ["clock ok"], "{name}: {json}");
    }
    assert_eq!(states(&json, "traces"), ["endpoint note"]);
    let repaired = run(&stored.path, &["doctor", "--repair"]);
    assert!(repaired.code == 0 && repaired.out.contains("nothing is damaged"), "{}", repaired.out);
    assert_eq!(fs::read_dir(stored.path.parent().unwrap()).unwrap().filter(is_damaged).count(), 0);
}

fn is_damaged(entry: &std::io::Result<fs::DirEntry>) -> bool {
    entry.as_ref().expect("the test is set up").file_name().to_string_lossy().contains("damaged")
}

#[test]
fn a_damaged_store_is_found_out_and_repaired_and_what_is_lost_is_named() {
    let stored = Stored::with_runs(60);
    let before = run(&stored.path, &["events", "--format", "json"]).out;
    let lines = json_lines(&before);
    // The page that has an event of the middle.
    let needle = lines[lines.len() / 2]["event"]["event_id"].as_str().unwrap();
    let mut bytes = fs::read(&stored.path).unwrap();
    let at = bytes.windows(needle.len()).position(|window| window == needle.as_bytes()).unwrap();
    let page = at / 16_384 * 16_384;
    bytes[page..page + 16_384].fill(0xff);
    fs::write(&stored.path, bytes).unwrap();

    let listed = run(&stored.path, &["events"]);
    assert_eq!(listed.code, 1);
    assert!(listed.err.contains("is damaged") && listed.err.contains("doctor --store"), "{}", listed.err);
    let sick = run(&stored.path, &["doctor", "--format", "json"]);
    assert_eq!((sick.code, states(&sick.out, "verify")), (1, vec!["store problem".to_owned()]));

    let repaired = run(&stored.path, &["doctor", "--repair"]);
    assert_eq!(repaired.code, 0, "{}", repaired.out);
    assert!(repaired.out.contains("lost") && repaired.out.contains("offsets)"), "{}", repaired.out);
    assert_eq!(fs::read_dir(stored.path.parent().unwrap()).unwrap().filter(is_damaged).count(), 1);
    let after = run(&stored.path, &["events", "--format", "json"]).out;
    let kept = after.lines().count();
    assert!(kept > lines.len() / 2 && kept < lines.len(), "{kept} of {}", lines.len());
    assert!(after.lines().all(|line| before.contains(line)), "what is kept is as it was");
    let known = run(&stored.path, &["doctor"]);
    assert!(known.code == 0 && known.out.contains("damaged"), "the loss stays known: {}", known.out);
}

#[test]
fn what_is_no_store_is_refused_with_what_where_and_what_to_do_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("empty.db"), "").unwrap();
    fs::write(path("text.db"), "no database at all ".repeat(100)).unwrap();
    let other = rusqlite::Connection::open(path("other.db")).unwrap();
    other.execute_batch("CREATE TABLE theirs (id INTEGER)").unwrap();
    drop(other);
    let later = Stored::with_runs(1);
    let connection = rusqlite::Connection::open(&later.path).unwrap();
    connection.pragma_update(None, "user_version", 1_000).unwrap();
    drop(connection);
    fs::create_dir(path("folder")).unwrap();
    for (store, kind, says) in [
        (path("missing.db"), "no_store", "there is no such file"),
        (path("empty.db"), "no_store", "is empty"),
        (path("folder"), "no_store", "is a folder"),
        (path("text.db/events.db"), "unavailable", "the store is not available"),
        (path("text.db"), "damaged", "is damaged"),
        (path("other.db"), "incompatible", "another program's"),
        (later.path.clone(), "incompatible", "version 1000"),
    ] {
        let before = fs::read(&store).ok();
        for command in [&["events"][..], &["show"], &["replay"], &["recover"]] {
            let text = run(&store, command);
            assert_eq!((text.code, text.out.as_str()), (1, ""), "{command:?} {}", text.err);
            assert!(text.err.contains(says), "{command:?} {}", text.err);
            assert!(text.err.contains(&format!("where: {}", store.display())), "{command:?} {}", text.err);
            let json = run(&store, &[command, &["--format", "json"]].concat());
            let error = &json_lines(&json.err)[0]["error"];
            assert_eq!((json.code, &error["kind"]), (1, &json!(kind)), "{error}");
            assert_eq!(error["where"], store.display().to_string());
        }
        let examined = run(&store, &["doctor"]);
        assert!(examined.code == 1 && examined.out.contains(says), "{}", examined.out);
        assert_eq!(fs::read(&store).ok(), before, "{} was changed", store.display());
    }
    assert!(!path("missing.db").exists() && !path("missing.db-owners").exists(), "looking makes no store");
    let refused = run(&path("text.db"), &["doctor", "--repair"]);
    assert_eq!((refused.code, refused.out.as_str()), (1, ""), "{}", refused.err);
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_read_is_an_error_and_no_missing_store() {
    use std::os::unix::{fs::PermissionsExt as _, process::CommandExt as _};

    let stored = Stored::with_runs(1);
    let folder = stored.path.parent().unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(folder, 0o000);
    let is_root = fs::read_dir(folder).is_ok();
    let mut command = program();
    // Where root may read everything, somebody else runs a copy of the program that everybody can reach.
    let reachable = TempDir::new().unwrap();
    if is_root {
        let copy = reachable.path().join("agent-runtime");
        fs::copy(env!("CARGO_BIN_EXE_agent-runtime"), &copy).unwrap();
        mode(reachable.path(), 0o755);
        mode(&copy, 0o755);
        command = std::process::Command::new(copy);
        command.env_clear().current_dir("/").uid(65_534).gid(65_534);
    }
    let output = command.args(["events", "--store"]).arg(&stored.path).output();
    mode(folder, 0o700);
    let refused = ran(output.unwrap());
    assert_eq!((refused.code, refused.out.as_str()), (1, ""));
    assert!(refused.err.contains("not available") && refused.err.contains("ermission"), "{}", refused.err);
}

#[test]
fn an_event_from_the_future_is_a_problem_of_a_clock() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("events.db");
    let event = Event::agent_started("writer", None, None, json!({}));
    Stored::put(&path, vec![event], |event| event.timestamp += std::time::Duration::from_secs(86_400));
    let sick = run(&path, &["doctor", "--format", "json"]);
    assert_eq!((sick.code, states(&sick.out, "events")), (1, vec!["clock problem".to_owned()]), "{}", sick.out);
}

/// A collector that answers one request in such a way; returns its address.
fn collector(status: &'static str) -> (String, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the test is set up");
    let address = listener.local_addr().expect("the test is set up");
    let answered = thread::spawn(move || {
        let (mut connection, _) = listener.accept().expect("the test is set up");
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && connection.read(&mut byte).expect("the test is set up") == 1 {
            head.push(byte[0]);
        }
        let answer = format!("HTTP/1.1 {status}\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n");
        connection.write_all(answer.as_bytes()).expect("the test is set up");
        String::from_utf8(head).expect("the test is set up")
    });
    (address.to_string(), answered)
}

#[test]
fn the_endpoint_is_asked_as_an_export_would_and_the_address_is_named_without_secrets() {
    let ask = |endpoint: &str| {
        let mut command = program();
        command.args(["doctor", "--format", "json"]).env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
        command.env("OTEL_EXPORTER_OTLP_HEADERS", "x-key=hunter2").env("OTEL_EXPORTER_OTLP_TIMEOUT", "2000");
        let asked = ran(command.output().unwrap());
        assert!(!asked.out.contains("hunter2"), "{}", asked.out);
        asked
    };
    let (address, answered) = collector("200 OK");
    let well = ask(&format!("http://user:hunter2@{address}"));
    assert_eq!((well.code, states(&well.out, "traces")), (0, vec!["endpoint ok".to_owned()]), "{}", well.out);
    assert!(well.out.contains(&format!("http://{address}/v1/traces takes spans")), "{}", well.out);
    let head = answered.join().unwrap();
    assert!(head.starts_with("POST /v1/traces") && head.contains("x-key: hunter2"), "{head}");

    let (address, answered) = collector("401 Unauthorized");
    let refused = ask(&format!("http://{address}"));
    assert_eq!((refused.code, states(&refused.out, "traces")), (1, vec!["endpoint problem".to_owned()]));
    assert!(refused.out.contains("401"), "{}", refused.out);
    answered.join().unwrap();

    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dead = ask(&format!("http://{free}"));
    assert_eq!(dead.code, 1);
    assert!(dead.out.contains(&format!("http://{free}/v1/traces does not take spans")), "{}", dead.out);
    let wrong = ask("nowhere");
    assert!(wrong.code == 1 && wrong.out.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{}", wrong.out);
}
