//! README's first steps as a stranger takes them: an empty project, the `cargo add` lines, the program, its output.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::text;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Set, it has the project compiled from nothing, which takes minutes.
const SWITCH: &str = "AGENT_RUNTIME_STRANGER";

/// A directory that is removed with this value.
struct Project(PathBuf);

impl Drop for Project {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Runs cargo in a folder and returns its standard output.
#[track_caller]
fn cargo(folder: &Path, arguments: &[&str]) -> String {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| Path::new(ROOT).join("target"), PathBuf::from);
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(arguments)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target.join("stranger"))
        .env_remove("RUSTFLAGS");
    // What this checkout was built with is there.
    command.env("CARGO_NET_OFFLINE", "true");
    let output = command.output().expect("cargo can be started");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {}: {stderr}", arguments.join(" "));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs the README's commands up to the program; the package is this checkout, as it is not published yet.
#[track_caller]
fn project(name: &str) -> Project {
    let folder = env::temp_dir().join(format!("{name}-{}", std::process::id()));
    let project = Project(folder.join("my-agents"));
    fs::create_dir_all(&folder).expect("a temporary directory can be made");
    let commands = text::block("console", "$ cargo new my-agents");
    for line in commands.lines().map(|line| line.trim_start_matches("$ ")) {
        let words: Vec<_> = line.split(" && ").next().expect("a command").split(' ').collect();
        match words[..] {
            ["cargo", "new", ..] => drop(cargo(&folder, &[&words[1..], &["--vcs", "none"]].concat())),
            ["cargo", "add", "agent-runtime-otel", ..] => {
                cargo(&project.0, &[&words[1..], &["--path", ROOT]].concat());
            }
            ["cargo", ..] => drop(cargo(&project.0, &words[1..])),
            _ => panic!("what is {line:?}?"),
        }
    }
    let program = text::block("rust", "use agent_runtime::{prelude::*, view::Tree};");
    fs::write(project.0.join("src/main.rs"), program).expect("the project is there");
    project
}

#[test]
fn the_lines_add_what_the_program_uses() {
    let project = project("agent-runtime-added");
    let manifest = fs::read_to_string(project.0.join("Cargo.toml")).expect("the project is there");
    for dependency in ["agent-runtime-otel = { ", "tokio = { version = \"1"] {
        assert!(manifest.contains(dependency), "{manifest}");
    }
}

#[test]
fn a_stranger_sees_a_trace() {
    if env::var_os(SWITCH).is_none() {
        eprintln!("skipped: set {SWITCH}=1 to compile the project");
        return;
    }
    let project = project("agent-runtime-stranger");
    // The versions that this checkout is tested with, so that nothing has to be fetched.
    fs::copy(Path::new(ROOT).join("Cargo.lock"), project.0.join("Cargo.lock")).expect("there is a lock file");
    let drawn = cargo(&project.0, &["run", "--quiet"]);
    let quoted = text::block("text", "invoke_workflow greeting");
    assert_eq!(text::names(&drawn), text::names(quoted));
}

#[test]
fn the_package_has_sources_documentation_and_licenses_and_nothing_else() {
    let listed = cargo(Path::new(ROOT), &["package", "--list", "--allow-dirty"]);
    let files: Vec<_> = listed.lines().collect();
    for expected in ["src/lib.rs", "README.md", "LICENSE-MIT", "LICENSE-APACHE", "docs/events.md", "docs/guide.md"] {
        assert!(files.contains(&expected), "{expected} is not packed");
    }
    let is_meant = |file: &&str| {
        let generated = ["Cargo.toml", "Cargo.toml.orig", "Cargo.lock", ".cargo_vcs_info.json"].contains(file);
        let is_page = !file.contains('/') || file.starts_with("docs/") && file.ends_with(".md");
        let is_source = file.starts_with("src/") && (file.ends_with(".rs") || file.ends_with(".md"));
        generated || is_source || is_page && !file.starts_with('.')
    };
    let others: Vec<_> = files.into_iter().filter(|file| !is_meant(file)).collect();
    assert_eq!(others, Vec::<&str>::new());
}
