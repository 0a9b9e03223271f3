//! Which way imports run, that no files import each other in a circle, how files begin and how long they are.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Source, members, sources, sources_below};

/// For each room of `src`, the rooms whose items it may use besides its own.
const IMPORTS: [(&str, &[&str]); 13] = [
    ("event", &[]),
    ("wording", &[]),
    ("environment", &[]),
    ("http", &["environment"]),
    ("stream", &["event"]),
    ("component", &["event", "wording", "stream"]),
    ("ingest", &["event", "wording", "stream", "component"]),
    ("llm", &["event", "wording", "environment", "http"]),
    ("runtime", &["event", "wording", "stream", "component", "llm"]),
    ("store", &["event", "wording", "stream"]),
    ("view", &["event"]),
    ("otel", &["event", "wording", "stream", "store", "environment", "http"]),
    ("testing", &["event", "stream", "component", "llm", "runtime", "store", "view", "otel", "environment"]),
];

/// Rooms that must not know of OpenTelemetry.
const WITHOUT_OPENTELEMETRY: [&str; 9] =
    ["event", "wording", "stream", "component", "ingest", "llm", "runtime", "store", "view"];

/// The most lines of code in a file, without its documentation and its unit tests.
const MAX_LINES: usize = 400;

#[test]
fn imports_run_towards_event() {
    for source in sources().iter().filter(|source| !["lib", "prelude", "reexports"].contains(&source.room())) {
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
fn no_files_of_a_folder_import_each_other_in_a_circle() {
    let mut circles = circles("src", &sources());
    for member in members() {
        circles.extend(self::circles(&member, &sources_below(&member)));
    }
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

fn circles(root: &str, sources: &[Source]) -> Vec<String> {
    let folders: BTreeSet<_> = sources.iter().map(Source::folder).collect();
    let mut circles = Vec::new();
    for folder in folders {
        let arrows = arrows_within(folder, sources);
        for start in arrows.keys() {
            let mut seen = BTreeSet::new();
            let mut next: Vec<_> = arrows[start].iter().collect();
            while let Some(file) = next.pop() {
                if file == start {
                    circles.push(format!("{root}/{folder}: {start} imports itself through {seen:?}"));
                    break;
                }
                if seen.insert(file) {
                    next.extend(arrows.get(file).into_iter().flatten());
                }
            }
        }
    }
    circles
}

/// Which entries of a folder import which; a folder in it is one entry, the front page is none.
fn arrows_within(folder: &str, sources: &[Source]) -> BTreeMap<String, BTreeSet<String>> {
    let (front_page, inside) = if folder.is_empty() {
        ("lib".to_owned(), String::new())
    } else {
        (format!("{folder}/mod"), format!("{folder}/"))
    };
    let below = |source: &Source| -> Option<String> {
        let rest = source.path.strip_prefix(&inside)?;
        Some(rest.split('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned())
    };
    let is_entry = |entry: &String| !["mod", "lib"].contains(&entry.as_str());
    let entries: BTreeSet<_> = sources.iter().filter_map(below).filter(is_entry).collect();
    // Which entry the front page has a name from.
    let front = sources.iter().find(|source| source.path == format!("{front_page}.rs"));
    let origins: BTreeMap<_, _> = front
        .iter()
        .flat_map(|front| front.imports())
        .filter_map(|path| {
            let (entry, name) = path.trim_start_matches("self::").split_once("::")?;
            entries.contains(entry).then(|| (name.rsplit("::").next().unwrap_or(name).to_owned(), entry.to_owned()))
        })
        .collect();
    let own_path = format!("crate::{}", inside.replace('/', "::"));
    let mut arrows = BTreeMap::new();
    for source in sources {
        let Some(entry) = below(source).filter(is_entry) else { continue };
        let depth = source.path[inside.len()..].matches('/').count();
        let up = "super::".repeat(if source.stem() == "mod" { depth } else { depth + 1 });
        let targets: &mut BTreeSet<String> = arrows.entry(entry.clone()).or_default();
        for prefix in [up.as_str(), own_path.as_str()].into_iter().filter(|prefix| !prefix.is_empty()) {
            for path in source.paths_from(prefix) {
                let first = path[prefix.len()..].split("::").next().unwrap_or_default();
                let target = if entries.contains(first) { Some(first) } else { origins.get(first).map(String::as_str) };
                targets.extend(target.filter(|target| *target != entry).map(str::to_owned));
            }
        }
    }
    arrows
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
