//! Where names stand: attributes, payload fields and environment variables, each in one place.

use super::source::sources;

/// The files that write names of attributes and metrics, and the one that reads those of others.
const ATTRIBUTE_NAMES: [&str; 3] = ["otel/names.rs", "otel/metrics/instruments.rs", "ingest/names.rs"];

/// The room of the files that write names of payload fields.
const PAYLOAD_NAMES: &str = "event";

/// The room that reads environment variables.
const ENVIRONMENT: &str = "environment";

#[test]
fn attributes_are_named_in_one_place() {
    let prefixes = ["gen_ai.", "agent_runtime.", "error.", "server.", "exception.", "openinference.", "otel.sdk."];
    for source in sources().iter().filter(|source| !ATTRIBUTE_NAMES.contains(&source.path.as_str())) {
        for literal in literals(&source.code()) {
            let is_name = prefixes.iter().any(|prefix| literal.starts_with(prefix)) && !literal.contains(' ');
            assert!(!is_name, "src/{} writes the name {literal:?}", source.path);
        }
    }
}

#[test]
fn payload_fields_are_named_in_one_place() {
    let fields = [
        "agent",
        "chunk",
        "chunk_count",
        "conversation_id",
        "duration_ms",
        "error_code",
        "iterations",
        "llm_calls",
        "max_iterations",
        "merged",
        "response_id",
        "response_model",
        "result",
        "step_name",
        "step_type",
        "time_to_first_chunk_ms",
        "tool_call_id",
        "tool_name",
        "updates",
    ];
    for source in
        sources().iter().filter(|source| ["stream", "component", "runtime", "store", "otel"].contains(&source.room()))
    {
        let code = source.code();
        for field in fields {
            let is_key = code.contains(&format!("\"{field}\":")) || code.contains(&format!("data[\"{field}\"]"));
            assert!(!is_key, "src/{} writes the field {field:?}, which belongs into src/{PAYLOAD_NAMES}", source.path);
        }
    }
}

#[test]
fn the_environment_is_read_in_one_room() {
    for source in sources().iter().filter(|source| source.room() != ENVIRONMENT) {
        let code = source.code();
        for read in ["env::var", "env::vars", "var_os("] {
            assert!(!code.contains(read), "src/{} reads the environment by {read}", source.path);
        }
    }
}

/// The string literals of code, roughly: what stands between two quotes of a line.
fn literals(code: &str) -> Vec<&str> {
    code.lines().flat_map(|line| line.split('"').skip(1).step_by(2)).collect()
}
