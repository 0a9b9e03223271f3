//! `events`: what is listed, followed and refused.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use agent_runtime::prelude::*;

use crate::support::{Stored, block_on, json_lines, program, record, report, run};

#[test]
fn events_are_listed_one_a_line_with_their_positions() {
    let stored = Stored::with_runs(1);
    let all = run(&stored.path, &["events", "--format", "json"]);
    assert_eq!((all.code, all.err.as_str()), (0, ""));
    let lines = json_lines(&all.out);
    assert_eq!(lines[0]["event"]["scope"], "workflow");
    assert_eq!(lines[0]["event"]["event_type"], "started");
    assert_eq!(lines[lines.len() - 1]["event"]["event_type"], "completed");
    for (offset, line) in lines.iter().enumerate() {
        let position = line["position"].as_str().unwrap();
        assert!(position.ends_with(&format!(":{offset}")), "{position}");
        assert_eq!(line["event"]["offset"], offset);
        let event = Event::from_json(&line["event"].to_string()).unwrap();
        assert_eq!(event.offset, Some(offset as u64));
    }
    let text = run(&stored.path, &["events"]);
    assert_eq!((text.code, text.out.lines().count()), (0, lines.len()));
    assert!(text.out.contains("there is no page of nobody"), "{}", text.out);
    assert!(!text.out.contains('\u{1b}'), "a pipe gets no colors");
}

#[test]
fn filters_of_one_kind_widen_and_those_of_different_kinds_narrow() {
    let stored = Stored::with_runs(2);
    let lines = |arguments: &[&str]| {
        let ran = run(&stored.path, &[&["events", "--format", "json"], arguments].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        json_lines(&ran.out)
    };
    let all = lines(&[]);
    let count = |is_wanted: &dyn Fn(&JsonValue) -> bool| all.iter().filter(|line| is_wanted(&line["event"])).count();
    let tools = count(&|event| event["scope"] == "tool");
    let agents = count(&|event| event["scope"] == "agent");
    assert!(tools > 2 && agents > 2);
    assert_eq!(lines(&["--scope", "tool"]).len(), tools);
    assert_eq!(lines(&["--scope", "tool", "--scope", "agent"]).len(), tools + agents);
    assert_eq!(lines(&["--scope", "tool", "--type", "failed"]).len(), 2);
    assert_eq!(lines(&["--status", "failed"]).len(), count(&|event| event["status"] == "failed"));
    assert_eq!(lines(&["--component", "researcher"]).len(), agents);
    let run_id = all[0]["event"]["workflow_id"].as_str().unwrap();
    assert_eq!(lines(&["--workflow", run_id]).len(), all.len() / 2);
    assert_eq!(lines(&["--until", "2000-01-01"]).len(), 0);
    assert_eq!(lines(&["--since", "1h"]).len(), all.len());
    let time = all[5]["event"]["timestamp"].as_str().unwrap();
    let since = count(&|event| event["timestamp"].as_str() >= Some(time));
    assert_eq!(lines(&["--since", time]).len() + lines(&["--until", time]).len(), all.len());
    assert_eq!(lines(&["--since", time]).len(), since);
    assert_eq!(lines(&["--limit", "3"]), all[..3]);
    assert_eq!(lines(&["--limit", "3", "--from", all[2]["position"].as_str().unwrap()]), all[3..6]);
    assert_eq!(lines(&["--from", "end"]).len(), 0);
}

#[test]
fn what_cannot_be_used_is_refused_with_code_2_and_what_to_do() {
    let stored = Stored::with_runs(1);
    for (arguments, says) in [
        (&["events", "--scope", "planet"][..], "[possible values: workflow"),
        (&["events", "--from", "here"], "is not a position"),
        (&["events", "--since", "yesterday"], "how long ago"),
        (&["events", "--limit=-1"], "--limit"),
        (&["dance"], "unrecognized subcommand"),
        (&[], "Usage"),
    ] {
        let ran = run(&stored.path, arguments);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{arguments:?}");
        assert!(ran.err.contains(says), "{arguments:?}: {}", ran.err);
    }
    let refused = run(&stored.path, &["events", "--scope", "planet", "--format", "json"]);
    let error = &json_lines(&refused.err)[0]["error"];
    assert_eq!((refused.code, &error["kind"]), (2, &json!("usage")));
    assert!(error["what"].as_str().unwrap().contains("planet"), "{error}");
    let nowhere = program().arg("events").output().unwrap();
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("AGENT_RUNTIME_STORE"));
}

#[test]
fn the_variable_names_the_store_and_a_secret_in_a_url_is_never_shown() {
    let stored = Stored::with_runs(1);
    let by_variable = program().args(["events", "--limit", "1"]).env("AGENT_RUNTIME_STORE", &stored.path).output();
    assert!(by_variable.unwrap().status.success());
    let url = "mystery://user:hunter2@host/db";
    for arguments in [&["events"][..], &["events", "--format", "json"], &["--help"], &["events", "--limit", "x"]] {
        let output = program().args(arguments).env("AGENT_RUNTIME_STORE", url).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(!String::from_utf8_lossy(&said).contains("hunter2"), "{arguments:?}");
    }
}

#[test]
fn texts_of_others_do_not_steer_the_terminal() {
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\r\nfake line\u{202e}";
    let stored = Stored::made_by(async |runtime| {
        let failed = Event::llm_failed("agent:llm:0", evil, Some("run".to_owned()), None, json!({}));
        runtime.event_stream().append(failed).unwrap();
        let chunk = Event::llm_progress("agent:llm:1", None, Some("run".to_owned()), None, EventData::chunk(evil));
        runtime.event_stream().append(chunk).unwrap();
    });
    let is_safe = |c: char| c == '\n' || !(c.is_control() || c == '\u{202e}');
    let text = run(&stored.path, &["events"]);
    assert!(text.out.chars().all(is_safe), "{:?}", text.out);
    assert_eq!(text.out.lines().count(), 2, "a message makes no line of its own");
    let json = run(&stored.path, &["events", "--format", "json"]);
    assert!(json.out.chars().all(is_safe), "{:?}", json.out);
    assert_eq!(json_lines(&json.out)[0]["event"]["message"], evil, "and nothing is lost");
    let missing = run("\u{1b}[31mred\u{202e}".as_ref(), &["events"]);
    assert!(missing.code == 1 && missing.err.chars().all(is_safe), "{:?}", missing.err);
}

#[test]
fn a_huge_text_is_cut_for_people_and_whole_for_programs() {
    let huge = "å".repeat(3_000_000);
    let stored = Stored::made_by(async |runtime| {
        let data = EventData::chunk(huge.as_str());
        let chunk = Event::llm_progress("agent:llm:0", None, Some("run".to_owned()), None, data);
        runtime.event_stream().append(chunk).unwrap();
    });
    assert!(run(&stored.path, &["events"]).out.len() < 2_000);
    let json = run(&stored.path, &["events", "--format", "json"]);
    assert_eq!(json_lines(&json.out)[0]["event"]["data"]["chunk"], huge);
}

#[test]
fn a_reader_that_ends_early_is_no_error() {
    let stored = Stored::with_runs(300);
    let whole = run(&stored.path, &["events", "--format", "json"]);
    assert!(whole.out.len() > 1_000_000, "more than a pipe holds");
    let mut child = program()
        .args(["events", "--format", "json", "--store"])
        .arg(&stored.path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
    assert_eq!(whole.out.lines().next(), Some(line.trim_end()));
}

#[test]
fn a_follower_sees_what_another_process_stores_and_ends_by_its_limit() {
    let stored = Stored::with_runs(1);
    let before = json_lines(&run(&stored.path, &["events", "--format", "json"]).out).len();
    let follow = |arguments: &[&str]| {
        let mut command = program();
        command.args(["events", "--follow", "--format", "json"]).args(arguments).arg("--store").arg(&stored.path);
        command.stdout(Stdio::piped()).spawn().unwrap()
    };
    let both = (2 * before).to_string();
    let mut all = follow(&["--limit", &both]);
    let mut lines = BufReader::new(all.stdout.take().unwrap()).lines().map(Result::unwrap);
    // What is there comes first, and says that the follower has begun.
    let mut seen: Vec<String> = lines.by_ref().take(before).collect();
    block_on(record(&stored.path, async |runtime| {
        runtime.execute(&report(), "go").await.unwrap();
    }));
    seen.extend(lines);
    assert!(all.wait().unwrap().success());
    let listed = run(&stored.path, &["events", "--format", "json"]).out;
    assert_eq!(seen, listed.lines().collect::<Vec<_>>(), "no gap and no duplicate");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_follower_with_success() {
    let stored = Stored::with_runs(1);
    let mut child = program()
        .args(["events", "--follow", "--store"])
        .arg(&stored.path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("workflow"));
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    lines.for_each(drop);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}
