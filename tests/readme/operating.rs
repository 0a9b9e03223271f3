//! docs/operating.md and docs/environment.md against the crate: every variable that is read, and every limit by its number.

use std::{collections::BTreeSet, fs, path::Path};

use agent_runtime::{
    llm::OpenAiClient,
    otel::{
        DEFAULT_MAX_CONTENT_BYTES, DEFAULT_MAX_LABEL_VALUES, DEFAULT_MAX_OPEN_SPANS, DEFAULT_MAX_PROGRESS_EVENTS,
        DEFAULT_MAX_SPAN_AGE, MAX_TEXT_BYTES, TelemetryBuilder,
    },
    prelude::*,
    runtime::ProgressCallback,
    stream::Batched,
};

const OPERATING: &str = include_str!("../../docs/operating.md");
const ENVIRONMENT: &str = include_str!("../../docs/environment.md");

/// The names in a text that begin like the variables of this crate and of what it uses.
fn variables(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_');
    let is_name = |word: &&str| ["OTEL_", "OPENAI_", "AGENT_RUNTIME_"].iter().any(|start| word.starts_with(start));
    words.filter(is_name).filter(|word| !word.ends_with('_')).collect()
}

#[test]
fn every_variable_that_the_sources_name_is_here() {
    let mut named = BTreeSet::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut named);
    assert!(named.len() > 25, "the variables are found: {named:?}");
    let listed: BTreeSet<_> = [OPERATING, ENVIRONMENT].into_iter().flat_map(variables).collect();
    // The table gives those for one signal by a rule, and the SDK has no limit for these.
    let is_by_rule = |name: &str| {
        let signals = ["_TRACES_", "_METRICS_", "_LOGS_"];
        let for_all = |signal: &&str| listed.contains(name.replacen(*signal, "_", 1).as_str());
        signals.iter().any(|signal| name.contains(signal) && for_all(signal)) || name.ends_with("_VALUE_LENGTH_LIMIT")
    };
    // `…_MAX_QUEUE_SIZE` in a row stands for the variable with the prefix of that row.
    let is_short =
        |name: &str| name.strip_prefix("OTEL_BLRP").is_some_and(|end| ENVIRONMENT.contains(&format!("`…{end}`")));
    let missing: Vec<_> =
        named.iter().filter(|name| !listed.contains(name.as_str()) && !is_by_rule(name) && !is_short(name)).collect();
    assert_eq!(missing, Vec::<&String>::new());
}

/// The variables in the string literals of all files below a folder.
fn collect(folder: &Path, named: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder of src") {
        let path = entry.expect("an entry of a folder").path();
        if path.is_dir() {
            collect(&path, named);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file");
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in code {
                let literals = line.split('"').skip(1).step_by(2);
                named.extend(literals.filter(|text| variables(text).contains(text)).map(str::to_owned));
            }
        }
    }
}

#[test]
fn every_limit_is_told_by_its_number() {
    const KIB: usize = 1024;
    let thousands = |number: usize| {
        let digits = number.to_string();
        digits.len().checked_sub(4).map_or(digits.clone(), |_| {
            let (high, low) = digits.split_at(digits.len() - 3);
            format!("{high},{low}")
        })
    };
    let limits = [
        ("events kept in a stream", format!("{} events", thousands(EventStream::DEFAULT_CAPACITY))),
        ("events kept in a stream", format!("{} MiB", EventStream::DEFAULT_CAPACITY_BYTES / KIB / KIB)),
        ("progress gathered by a merged", format!("{} events", thousands(Batched::MAX_GATHERED_EVENTS))),
        ("spans that are open", thousands(DEFAULT_MAX_OPEN_SPANS)),
        ("how long a span may be open", format!("{} hours", DEFAULT_MAX_SPAN_AGE.as_secs() / 3600)),
        ("progress events on a span", DEFAULT_MAX_PROGRESS_EVENTS.to_string()),
        ("ended spans that wait", thousands(TelemetryBuilder::DEFAULT_QUEUE_SIZE)),
        ("log events that wait", thousands(TelemetryBuilder::DEFAULT_LOG_QUEUE_SIZE)),
        ("content in one attribute", format!("{} KiB", DEFAULT_MAX_CONTENT_BYTES / KIB)),
        ("another text in an attribute", format!("{} KiB", MAX_TEXT_BYTES / KIB)),
        ("values of a metric's label", DEFAULT_MAX_LABEL_VALUES.to_string()),
        ("one message of a tool's progress", format!("{} KiB", ProgressCallback::MAX_MESSAGE_BYTES / KIB)),
        ("the progress of one tool call", format!("{} MiB", ProgressCallback::MAX_BYTES_PER_CALL / KIB / KIB)),
        ("one event of a model's answer", format!("{} MiB", OpenAiClient::MAX_EVENT_BYTES / KIB / KIB)),
        ("a component's id", format!("{} bytes", EventScope::MAX_COMPONENT_ID_BYTES)),
        ("connecting to a model's server", format!("{} s", OpenAiClient::DEFAULT_CONNECT_TIMEOUT.as_secs())),
        ("silence of a model's server", format!("{} s", OpenAiClient::DEFAULT_READ_TIMEOUT.as_secs())),
        ("rounds of an agent", Agent::DEFAULT_MAX_ITERATIONS.to_string()),
        ("a shutdown or a flush", format!("{} s", TelemetryBuilder::DEFAULT_SHUTDOWN_TIMEOUT.as_secs())),
    ];
    for (what, limit) in limits {
        let row = OPERATING.lines().find(|line| line.starts_with(&format!("| {what}")));
        let row = row.unwrap_or_else(|| panic!("no row begins with {what:?}"));
        assert!(row.contains(&limit), "{limit} in {row}");
    }
}
