//! The rules of the house that a program can check: which way imports run, and how long a file is.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// For each folder of `src`, the folders whose items it may use besides its own.
const IMPORTS: [(&str, &[&str]); 7] = [
    ("event", &[]),
    ("stream", &["event"]),
    ("component", &["event", "stream"]),
    ("llm", &["event", "environment", "http"]),
    ("runtime", &["event", "stream", "component", "llm"]),
    ("otel", &["event", "stream", "environment", "http"]),
    ("testing", &["event", "stream", "component", "llm", "runtime", "otel"]),
];

/// Folders that must not know of OpenTelemetry.
const WITHOUT_OPENTELEMETRY: [&str; 5] = ["event", "stream", "component", "llm", "runtime"];

/// The most lines of code in a file, without its documentation and its unit tests.
const MAX_LINES: usize = 400;

#[test]
fn imports_run_towards_event() {
    for (folder, may_use) in IMPORTS {
        for (path, code) in sources(folder) {
            for used in code.split("crate::").skip(1) {
                // `crate::{a, b}` lists its folders; only the outermost level of the braces holds them.
                let folders = if used.starts_with('{') { listed(used) } else { vec![identifier(used)] };
                for other in folders {
                    let is_allowed = other == folder || may_use.contains(&other.as_str());
                    assert!(is_allowed, "{} uses crate::{other}", path.display());
                }
            }
        }
    }
}

#[test]
fn what_does_the_work_knows_nothing_of_opentelemetry() {
    for folder in WITHOUT_OPENTELEMETRY {
        for (path, code) in sources(folder) {
            assert!(!code.contains("opentelemetry::"), "{} uses OpenTelemetry", path.display());
            assert!(!code.contains("opentelemetry_sdk"), "{} uses OpenTelemetry", path.display());
        }
    }
}

#[test]
fn events_are_data_and_nothing_else() {
    for (path, code) in sources("event") {
        for runtime in ["tokio::", "tracing::"] {
            assert!(!code.contains(runtime), "{} uses {runtime}", path.display());
        }
    }
}

#[test]
fn the_environment_is_read_in_one_file() {
    for folder in IMPORTS.map(|(folder, _)| folder) {
        for (path, code) in sources(folder) {
            let reads = ["env::var", "env::vars", "std::env"].iter().any(|name| code.contains(name));
            assert!(!reads, "{} reads the environment", path.display());
        }
    }
}

#[test]
fn files_are_short() {
    for folder in IMPORTS.map(|(folder, _)| folder) {
        for (path, code) in sources(folder) {
            let lines = code.lines().filter(|line| !line.trim().is_empty()).count();
            assert!(lines <= MAX_LINES, "{} has {lines} lines of code, more than {MAX_LINES}", path.display());
        }
    }
}

/// The source files below a folder, without comments and unit tests.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder), &mut found);
    assert!(!found.is_empty(), "src/{folder} has no source files");
    found
}

fn collect(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).expect("a folder of src") {
        let path = entry.expect("an entry of a folder").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file");
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            let code = code.collect::<Vec<_>>().join("\n");
            found.push((path, code));
        }
    }
}

fn listed(used: &str) -> Vec<String> {
    let mut depth = 0;
    let mut folders = Vec::new();
    let mut previous = ' ';
    for (at, c) in used.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            c if depth == 1 && c.is_ascii_lowercase() && matches!(previous, '{' | ' ' | ',' | '\n') => {
                folders.push(identifier(&used[at..]));
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
        previous = c;
    }
    folders
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}
