//! The short examples as programs.

use std::path::Path;

use super::{running::Running, support::process::run_example};

/// The most lines of the examples that are to be read at a glance.
const MAX_LINES: [(&str, usize); 2] = [("compose", 40), ("watch", 30)];

#[test]
fn the_short_examples_are_short() {
    for (name, limit) in MAX_LINES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name).with_extension("rs");
        let lines = std::fs::read_to_string(path).expect("it is there").lines().count();
        assert!(lines <= limit, "{name} has {lines} lines");
    }
}

#[test]
fn the_first_trace_is_the_one_in_the_readme() {
    super::text::assert_quoted(Path::new("examples/first_trace.rs"));
    let finished = run_example("first_trace", &[], &[]);
    assert!(finished.success && finished.stderr.is_empty(), "{finished:#?}");
    let drawn = super::text::names(&finished.stdout);
    assert_eq!(drawn, super::text::names(super::text::block("text", "invoke_workflow greeting")));
    assert_eq!(drawn.len(), 4, "{}", finished.stdout);
}

#[test]
fn the_first_trace_needs_no_more_than_the_readme_adds() {
    let program = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/first_trace.rs"));
    let program = program.expect("it is there");
    let lines =
        program.lines().filter(|line| !line.is_empty() && !line.starts_with("//") && !line.starts_with("#![")).count();
    assert_eq!(lines, 10);
    for path in program.split("use ").skip(1).filter_map(|used| used.split("::").next()) {
        assert_eq!(path, "agent_runtime");
    }
}

#[test]
fn compose_shows_the_programs_own_spans_around_and_inside_ours() {
    let finished = run_example("compose", &[], &[]);
    assert!(finished.success, "{finished:#?}");
    for line in [
        "handle_request in nothing",
        "invoke_workflow inventory in handle_request",
        "workflow_step clerk in invoke_workflow inventory",
        "invoke_agent clerk in workflow_step clerk",
        "chat script in invoke_agent clerk",
        "execute_tool stock in invoke_agent clerk",
        "query_database in execute_tool stock",
    ] {
        assert!(finished.stdout.lines().any(|printed| printed == line), "{line} in\n{}", finished.stdout);
    }
    let logged = finished.stdout.lines().filter(|line| line.contains("agent_runtime::event")).count();
    assert!(logged >= 12, "the log has each start and end:\n{}", finished.stdout);
}

#[test]
fn watch_prints_a_line_for_each_event() {
    let finished = run_example("watch", &[], &[]);
    assert!(finished.success && finished.stderr.is_empty(), "{finished:#?}");
    let lines: Vec<_> = finished.stdout.lines().collect();
    let (answer, lines) = lines.split_last().expect("it prints");
    let of_events: Vec<_> = lines.iter().filter_map(|line| Some(line.split_once(' ')?.1.trim_end())).collect();
    let expected = [
        "started   letter",
        "started   letter:step:0",
        "started   writer",
        "started   writer:llm:0",
        "progress  writer:llm:0 One",
        "progress  writer:llm:0 word",
        "progress  writer:llm:0 after",
        "progress  writer:llm:0 the",
        "progress  writer:llm:0 other.",
        "completed writer:llm:0",
        "completed writer",
        "completed letter:step:0",
        "completed letter",
    ];
    assert_eq!(of_events, expected);
    assert_eq!(*answer, "\"One word after the other.\"");
}

#[test]
fn watch_prints_while_the_run_goes_on() {
    let mut running = Running::start("watch", &[], &[]);
    // Half a second later the run would be over, and all of it would come at once.
    assert!(running.line().ends_with("started   letter"));
}
