//! The short examples as programs.

use std::path::Path;

use super::support::{process::run_example, running::Running};

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

#[test]
fn a_loop_of_ones_own_takes_five_lines() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/own_loop.rs");
    let program = std::fs::read_to_string(path).expect("it is there");
    let is_ours = |line: &&str| ["component::", "EventStream::new"].iter().any(|ours| line.contains(ours));
    let ours: Vec<_> = program.lines().filter(is_ours).collect();
    assert!(ours.iter().all(|line| line.ends_with("// +")), "{ours:#?}");
    assert_eq!(ours.len(), 5, "README.md says five");
    let finished = run_example("own_loop", &[], &[]);
    assert!(finished.success && finished.stderr.is_empty(), "{finished:#?}");
    let (_, drawing) = finished.stdout.split_once("\n\n").expect("the answer, then the tree");
    let expected = [
        "invoke_workflow research",
        "└─ invoke_agent researcher",
        "   ├─ chat script",
        "   ├─ execute_tool look_up",
        "   └─ chat script",
    ];
    let drawn: Vec<_> = super::text::names(drawing).into_iter().map(str::trim_end).collect();
    assert_eq!(drawn, expected, "{}", finished.stdout);
    assert_eq!(drawing.matches("21 → 9 tokens").count(), 2, "{drawing}");
}

#[test]
fn a_job_whose_worker_was_killed_goes_on_under_the_same_ids() {
    let finished = run_example("resumed_job", &[], &[]);
    assert!(finished.success && finished.stderr.is_empty(), "{finished:#?}");
    let lines: Vec<_> = finished.stdout.lines().collect();
    let [loading, charging, "worker 1: killed", "worker 2: load_order was done before", again, mailing] = lines[..]
    else {
        panic!("{}", finished.stdout)
    };
    let span = |line: &str, begins: &str| line.strip_prefix(begins).map(str::to_owned);
    let first = span(charging, "worker 1: charge_card begins as span ");
    assert!(first.is_some() && first == span(again, "worker 2: charge_card begins as span "), "{}", finished.stdout);
    assert!(span(loading, "worker 1: load_order begins as span ").is_some_and(|id| id.len() == 16));
    assert!(span(mailing, "worker 2: send_mail begins as span ").is_some_and(|id| Some(id) != first));
}

#[test]
fn the_snippets_for_an_agent_that_is_there_are_short() {
    let readme = include_str!("../../README.md");
    let (_, section) = readme.split_once("## You have an agent already?\n").expect("there is the section");
    let (section, _) = section.split_once("\n## ").expect("there is another one behind it");
    let snippets: Vec<_> = section.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(snippets.len() >= 3, "{section}");
    for snippet in snippets {
        let lines = snippet.lines().filter(|line| !line.is_empty()).count();
        let ours = snippet.lines().filter(|line| line.contains("component::") && !line.starts_with("use ")).count();
        assert!(lines <= 10 && ours <= 5, "{lines} lines, {ours} of them ours:\n{snippet}");
    }
}

/// What needs rig to compile is compiled in rig's README, line for line.
#[test]
fn the_snippet_for_rig_is_that_of_its_crate() {
    let (root, member) = (include_str!("../../README.md"), include_str!("../../crates/rig/README.md"));
    let (_, rest) = root.split_once("```rust,ignore\n").expect("there is the snippet");
    let (snippet, _) = rest.split_once("```").expect("it ends");
    let (_, rest) = member.split_once("```rust,no_run\n").expect("there is the program");
    let (program, _) = rest.split_once("```").expect("it ends");
    let missing: Vec<_> = snippet.lines().filter(|line| !program.lines().any(|own| own == *line)).collect();
    assert!(missing.is_empty() && snippet.lines().count() <= 5, "{missing:#?}");
}
