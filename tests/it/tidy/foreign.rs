//! Which types of other crates the public API names: each is a crate whose major release would be one of ours.

use std::collections::BTreeSet;

use super::source::{Source, sources};

/// The crates whose types public signatures may name, and why.
const ALLOWED: [(&str, &str); 13] = [
    ("async_trait", "the attribute of our traits"),
    ("chrono", "timestamps, in the type that the guide names"),
    ("futures_util", "`Stream`"),
    ("opentelemetry", "tracers, meters and contexts of the user's"),
    ("opentelemetry_sdk", "providers, exporters and processors of the user's"),
    ("regex", "the error of a pattern of the user's, behind the feature `redaction`"),
    ("reqwest", "the HTTP client of the user's, behind the feature `openai`"),
    ("serde", "events and payloads are read and written"),
    ("serde_json", "the data of events"),
    ("tokio", "`mpsc::Sender` and `JoinHandle`, which the guide names"),
    ("tracing", "the layer's subscriber"),
    ("tracing_subscriber", "the layer"),
    ("uuid", "event ids"),
];

#[test]
fn public_signatures_name_types_of_few_other_crates() {
    let mut found = BTreeSet::new();
    let dependencies = dependencies();
    assert!(dependencies.len() > 15, "the dependencies are found: {dependencies:?}");
    for source in &sources() {
        for (name, krate) in foreign(source) {
            if let Some(signature) = signatures(&source.code()).into_iter().find(|text| names(text, &name)) {
                let is_allowed = ALLOWED.iter().any(|(allowed, _)| *allowed == krate);
                assert!(is_allowed, "src/{} names {krate}'s {name} in public: {signature}", source.path);
                found.insert(krate);
            }
        }
        for krate in &dependencies {
            let path = format!("{krate}::");
            if let Some(signature) = signatures(&source.code()).into_iter().find(|text| has_path(text, &path)) {
                let is_allowed = ALLOWED.iter().any(|(allowed, _)| allowed == krate);
                assert!(is_allowed, "src/{} names a type of {krate} in public: {signature}", source.path);
                found.insert(krate.clone());
            }
        }
    }
    // These are named by derives and by implementations of their traits, which are no signatures.
    let in_implementations = ["async_trait", "futures_util", "serde", "tracing", "tracing_subscriber"];
    for (krate, _) in ALLOWED.iter().filter(|(krate, _)| !in_implementations.contains(krate)) {
        assert!(found.contains(*krate), "no public signature names a type of {krate} any more");
    }
}

/// C83: a program names the same versions through us.
#[test]
fn the_crates_that_signatures_name_are_re_exported_and_no_others() {
    let sources = sources();
    let reexports = sources.iter().find(|source| source.path == "reexports.rs").expect("there is a list of them");
    let listed: BTreeSet<_> = reexports.imports().into_iter().collect();
    assert_eq!(listed, ALLOWED.iter().map(|(krate, _)| (*krate).to_owned()).collect());
}

/// The crates that ours depends on, as code names them.
fn dependencies() -> Vec<String> {
    let manifest = include_str!("../../../Cargo.toml");
    let (_, section) = manifest.split_once("\n[dependencies]\n").expect("there are dependencies");
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| line.split_once([' ', '.', '=']));
    names.map(|(name, _)| name.replace('-', "_")).filter(|name| !name.starts_with('#')).collect()
}

fn has_path(text: &str, path: &str) -> bool {
    text.match_indices(path).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

/// The names that a file imports from other crates.
fn foreign(source: &Source) -> Vec<(String, String)> {
    // Macros expand to `std`, so what `thiserror` derives names none of its types.
    let own = ["crate", "super", "self", "std", "core", "alloc", "thiserror"];
    let imports = source.imports().into_iter().filter_map(|path| {
        let (krate, rest) = path.split_once("::")?;
        let is_foreign = !own.contains(&krate) && krate.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        is_foreign.then(|| (rest.rsplit("::").next().unwrap_or(rest).to_owned(), krate.to_owned()))
    });
    // A front page's `use child::Name` is no import from elsewhere.
    imports.filter(|_| source.stem() != "mod" && !["lib", "prelude"].contains(&source.stem())).collect()
}

/// Public items up to their bodies, and public fields.
fn signatures(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        if !line.trim_start().starts_with("pub ") || line.trim_start().starts_with("pub use ") {
            continue;
        }
        let mut signature = line.to_owned();
        let is_whole = |text: &str| text.contains('{') || text.contains(';') || text.trim_end().ends_with(',');
        let is_field =
            !["fn ", "struct ", "enum ", "trait ", "type ", "const ", "static "].iter().any(|kind| line.contains(kind));
        while !(is_whole(&signature) && (is_field || signature.contains('{') || signature.contains(';'))) {
            let Some(next) = lines.next() else { break };
            signature.push_str(next);
        }
        found.push(signature.split('{').next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" "));
    }
    found
}

fn names(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        ![before, after].into_iter().flatten().any(|c| c.is_alphanumeric() || c == '_')
    })
}
