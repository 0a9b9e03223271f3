//! `show`: a run, drawn.

use agent_runtime::prelude::*;

use crate::support::{Stored, json_lines, program, report, run};

#[test]
fn the_last_run_is_drawn_with_durations_tokens_cost_and_errors() {
    let stored = Stored::with_runs(2);
    let shown = run(&stored.path, &["show", "--price", "other=1:1,scripted=2:8"]);
    assert_eq!((shown.code, shown.err.as_str()), (0, ""));
    let lines: Vec<_> = shown.out.lines().collect();
    assert!(lines[0].starts_with("run wf_"), "{}", shown.out);
    for (line, title) in lines[1..].iter().zip([
        "invoke_workflow report ",
        "├─ workflow_step tidy ",
        "└─ workflow_step researcher ",
        "   └─ invoke_agent researcher ",
        "      ├─ chat ",
    ]) {
        assert!(line.starts_with(title), "{line:?} is not {title:?}");
        assert!(line.contains('█') && line.contains("ok"), "{line}");
    }
    assert!(shown.out.contains(" tokens"), "{}", shown.out);
    let message = lines.iter().position(|line| line.contains("there is no page of nobody"));
    assert!(lines[message.unwrap() - 1].contains("execute_tool look_up"), "{}", shown.out);
    assert!(lines.last().unwrap().contains("2 requests"), "{}", shown.out);
}

#[test]
fn every_line_fits_the_terminal() {
    let stored = Stored::with_runs(1);
    for columns in ["40", "60", "80", "200"] {
        let output = program().args(["show", "--store"]).arg(&stored.path).env("COLUMNS", columns).output().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        let width: usize = columns.parse().unwrap();
        // The first and the last line have ids and sums, which are not cut.
        for line in out.lines().skip(1).filter(|line| !line.contains("components")) {
            assert!(line.trim_end().chars().count() <= width, "{columns}: {line}");
        }
    }
}

#[test]
fn a_run_in_json_has_its_components_in_their_places() {
    let stored = Stored::with_runs(2);
    let events = json_lines(&run(&stored.path, &["events", "--format", "json"]).out);
    let first = events[0]["event"]["workflow_id"].as_str().unwrap();
    let shown = run(&stored.path, &["show", first, "--format", "json", "--price", "scripted=1000000:0"]);
    let story = &json_lines(&shown.out)[0];
    assert_eq!(story["workflow_id"], first);
    assert_eq!(story["position"], events[0]["position"]);
    let components = story["components"].as_array().unwrap();
    let places: Vec<_> = components.iter().map(|part| (part["depth"].as_u64().unwrap(), &part["scope"])).collect();
    let scopes = places.iter().map(|(depth, scope)| format!("{depth} {}", scope.as_str().unwrap()));
    assert_eq!(
        scopes.collect::<Vec<_>>(),
        [
            "0 workflow",
            "1 workflow_step",
            "1 workflow_step",
            "2 agent",
            "3 llm_request",
            "3 tool",
            "3 tool",
            "3 llm_request"
        ]
    );
    assert_eq!(components.iter().filter(|part| part["status"] == "failed").count(), 1);
    assert_eq!(story["usage"]["requests"], 2);
}

#[test]
fn runs_inside_a_run_are_drawn_in_it_however_deep() {
    let nested = |name: &str, inner: Workflow| Workflow::new(name).add_step(SubWorkflowStep::new(inner)).build();
    let stored = Stored::made_by(async |runtime| {
        let workflow = nested("outer", nested("middle", nested("inner", report())));
        runtime.execute(&workflow, "go").await.unwrap();
        // A run beside it that is not the one.
        Runtime::new().execute(&report(), "go").await.unwrap();
    });
    let shown = run(&stored.path, &["show"]);
    let has = |name: &str| shown.out.contains(&format!("invoke_workflow {name}"));
    assert!(has("outer") && has("middle") && has("inner") && has("report"), "{}", shown.out);
    let story = &json_lines(&run(&stored.path, &["show", "--format", "json"]).out)[0];
    let deepest = story["components"].as_array().unwrap().iter().map(|part| part["depth"].as_u64().unwrap()).max();
    assert_eq!(deepest, Some(9));
}

#[test]
fn what_is_still_open_is_drawn_as_running_and_what_is_not_there_is_said() {
    let stored = Stored::made_by(async |runtime| {
        let run = || Some("wf_1".to_owned());
        runtime.event_stream().append(Event::workflow_started("job", run(), None, json!({}))).unwrap();
        let agent = Event::agent_started("writer\u{1b}[2J".replace('\u{1b}', ""), run(), None, json!({}));
        runtime.event_stream().append(agent).unwrap();
    });
    let shown = run(&stored.path, &["show", "wf_1"]);
    assert!(shown.code == 0 && shown.out.contains("running") && shown.out.contains('▒'), "{}", shown.out);
    let missing = run(&stored.path, &["show", "wf_2"]);
    assert_eq!((missing.code, missing.out.as_str()), (1, ""));
    assert!(missing.err.contains("no event of run") && missing.err.contains("to do:"), "{}", missing.err);
    let missing = run(&stored.path, &["show", "wf_2", "--format", "json"]);
    assert_eq!(json_lines(&missing.err)[0]["error"]["kind"], "not_found");
}
