//! README.md, held against the files that it speaks of.

use std::{collections::BTreeSet, fs, path::Path};

const README: &str = include_str!("../../README.md");
const MANIFEST: &str = include_str!("../../Cargo.toml");

/// The repository's files are found from here.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The blocks of code in a language, whether they are to be run or not.
fn blocks(language: &str) -> Vec<&'static str> {
    let fenced = README.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    fenced.filter(|(tag, _)| tag.split(',').next() == Some(language)).map(|(_, code)| code).collect()
}

/// Checks that README has a program as it stands in an example, but for the head of the file.
#[track_caller]
pub(super) fn assert_quoted(path: &Path) {
    let source = fs::read_to_string(Path::new(ROOT).join(path)).expect("the example is there");
    let is_head = |line: &&str| line.starts_with("//!") || line.starts_with("#![") || line.is_empty();
    let program: String = source.lines().skip_while(is_head).flat_map(|line| [line, "\n"]).collect();
    assert!(blocks("rust").contains(&program.as_str()), "README.md has no block that is\n{program}");
}

/// The block of code in a language that begins with these words.
#[track_caller]
pub(super) fn block(language: &str, start: &str) -> &'static str {
    let block = blocks(language).into_iter().find(|block| block.starts_with(start));
    block.unwrap_or_else(|| panic!("README.md has no block of {language} that begins with {start:?}"))
}

/// What a drawn tree has, without bars and durations, which differ from run to run.
pub(super) fn names(drawing: &str) -> Vec<&str> {
    drawing
        .trim_end()
        .lines()
        .map(|line| &line[..line.find("  █").or(line.find("  ·")).unwrap_or(line.len())])
        .collect()
}

#[test]
fn the_stated_rust_version_is_that_of_the_manifest() {
    let manifest = MANIFEST.lines().find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'));
    let version = manifest.expect("the manifest has a version");
    assert!(README.contains(&format!("Rust {version}")), "README.md speaks of another version than {version}");
}

#[test]
fn the_versions_that_fit_are_those_of_the_manifest() {
    let (_, table) = README.split_once("| crate | version |").expect("there is a table of versions");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let rows: Vec<_> = rows.take(6).collect();
    assert_eq!(rows.len(), 6, "the rows are found: {rows:?}");
    for (name, version) in rows {
        let version = version.split(' ').next().expect("a cell");
        let lines = MANIFEST.lines().filter(|line| line.starts_with(&format!("{name} = ")));
        let mut quoted = lines.flat_map(|line| line.split('"').skip(1).step_by(2));
        let declared = quoted.find(|value| value.starts_with(|c: char| c.is_ascii_digit()));
        let declared = declared.unwrap_or_else(|| panic!("the manifest has no version of {name}"));
        assert!(declared.starts_with(version), "README.md: {name} {version}; Cargo.toml: {declared}");
    }
}

#[test]
fn every_file_that_is_linked_is_there() {
    for page in [
        "README.md",
        "CONTRIBUTING.md",
        "ARCHITECTURE.md",
        "docs/guide.md",
        "docs/operating.md",
        "docs/environment.md",
        "docs/events.md",
    ] {
        let text = fs::read_to_string(Path::new(ROOT).join(page)).expect("the page is there");
        let folder = Path::new(page).parent().expect("a file has a folder");
        let links = text.split("](").skip(1).filter_map(|link| link.split(')').next());
        for link in links.filter(|link| !link.contains("://") && !link.starts_with('#')) {
            let file = link.split('#').next().expect("a link");
            assert!(Path::new(ROOT).join(folder).join(file).exists(), "{page} links to {link}");
        }
    }
}

#[test]
fn every_example_says_first_how_to_run_it_and_is_in_the_readme() {
    let entries = fs::read_dir(Path::new(ROOT).join("examples")).expect("there are examples");
    let paths: BTreeSet<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    assert!(paths.len() >= 8, "{paths:?}");
    for path in paths {
        let name = path.file_stem().and_then(|name| name.to_str()).expect("UTF-8").to_owned();
        let file = if path.is_dir() { path.join("main.rs") } else { path };
        let source = fs::read_to_string(&file).expect("it can be read");
        let first = source.lines().next().unwrap_or_default();
        let command = format!("cargo run --example {name}");
        assert!(first.starts_with("//! Run `") && first.contains(&command), "{}: {first}", file.display());
        assert!(README.contains(&command), "README.md does not name the example {name}");
    }
}
