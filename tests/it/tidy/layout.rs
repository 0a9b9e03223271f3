//! Which way imports run, that no files import each other in a circle, how files begin and how long they are.

use super::source::sources;

/// For each room of `src`, the rooms whose items it may use besides its own.
const IMPORTS: [(&str, &[&str]); 10] = [
    ("event", &[]),
    ("environment", &[]),
    ("http", &["environment"]),
    ("stream", &["event"]),
    ("component", &["event", "stream"]),
    ("llm", &["event", "environment", "http"]),
    ("runtime", &["event", "stream", "component", "llm"]),
    ("view", &["event"]),
    ("otel", &["event", "stream", "environment", "http"]),
    ("testing", &["event", "stream", "component", "llm", "runtime", "view", "otel", "environment"]),
];

/// Rooms that must not know of OpenTelemetry.
const WITHOUT_OPENTELEMETRY: [&str; 6] = ["event", "stream", "component", "llm", "runtime", "view"];

/// The most lines of code in a file, without its documentation and its unit tests.
const MAX_LINES: usize = 400;

#[test]
fn imports_run_towards_event() {
    for source in sources().iter().filter(|source| !["lib", "prelude"].contains(&source.room())) {
        let (_, may_use) = *IMPORTS
            .iter()
            .find(|(room, _)| *room == source.room())
            .unwrap_or_else(|| panic!("src/{} is in a room that the drawing does not have", source.path));
        for path in source.paths_from("crate::") {
            let other = path.split("::").nth(1).unwrap_or_default();
            let is_allowed = other == source.room() || may_use.contains(&other);
            assert!(is_allowed, "src/{} uses {path}", source.path);
        }
    }
}

#[test]
fn what_does_the_work_knows_nothing_of_opentelemetry() {
    for source in sources().iter().filter(|source| WITHOUT_OPENTELEMETRY.contains(&source.room())) {
        let code = source.code();
        assert!(!code.contains("opentelemetry"), "src/{} uses OpenTelemetry", source.path);
    }
}

#[test]
fn events_and_their_views_are_data_and_nothing_else() {
    for source in sources().iter().filter(|source| ["event", "view"].contains(&source.room())) {
        let code = source.code();
        for machinery in ["tokio::", "tracing::", "std::io", "print!", "println!"] {
            assert!(!code.contains(machinery), "src/{} uses {machinery}", source.path);
        }
    }
}

#[test]
fn files_are_short_and_begin_with_what_they_are_for() {
    for source in sources() {
        let lines = source.code().lines().filter(|line| !line.trim().is_empty()).count();
        assert!(lines <= MAX_LINES, "src/{} has {lines} lines of code, more than {MAX_LINES}", source.path);
        assert!(source.text.starts_with("//! "), "src/{} does not begin with `//!`", source.path);
    }
}

#[test]
fn front_pages_have_no_logic() {
    for source in sources().iter().filter(|source| source.stem() == "mod") {
        let code = source.code();
        for item in ["fn ", "struct ", "enum ", "trait ", "impl ", "static "] {
            let has = code.lines().any(|line| {
                let line =
                    line.trim_start_matches("pub ").trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
                line.starts_with(item)
            });
            assert!(!has, "src/{} has `{item}`", source.path);
        }
    }
}
