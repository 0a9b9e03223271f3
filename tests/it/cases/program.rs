//! The README's program, in a process of its own with the variables of a row.

use agent_runtime::{component::trace_headers, otel, prelude::*};
use opentelemetry::trace::FutureExt as _;
use std::collections::HashMap;

use crate::support::process::run_child;

/// How many runs the program makes; each has two spans.
const RUNS: &str = "AGENT_RUNTIME_TEST_RUNS";

/// A caller's `traceparent`.
const CALLER: &str = "AGENT_RUNTIME_TEST_CALLER";

/// What the program left behind.
#[derive(Debug)]
pub(super) struct Program {
    stdout: String,
    /// Everything that whoever starts the program sees.
    pub(super) printed: String,
}

impl Program {
    /// Runs it once, or not at all if it cannot be set up.
    pub(super) fn run(variables: &[(&str, &str)]) -> Self {
        Self::running(1, variables)
    }

    pub(super) fn running(runs: usize, variables: &[(&str, &str)]) -> Self {
        let runs = runs.to_string();
        let variables = [&[(RUNS, runs.as_str())], variables].concat();
        let finished = run_child("cases::program::child", &variables);
        let printed = format!("{}{}", finished.stdout, finished.stderr);
        Self { stdout: finished.stdout, printed }
    }

    pub(super) fn with_caller(traceparent: &str, variables: &[(&str, &str)]) -> Self {
        Self::running(1, &[&[(CALLER, traceparent)], variables].concat())
    }

    /// What it said after a word.
    pub(super) fn said(&self, word: &str) -> Option<&str> {
        self.stdout.lines().find_map(|line| line.strip_prefix(word))
    }

    /// How its shutdown ended.
    #[track_caller]
    pub(super) fn outcome(&self) -> &str {
        self.said("outcome: ").unwrap_or_else(|| panic!("{self:?}"))
    }

    /// Why it could not be set up.
    #[track_caller]
    pub(super) fn refusal(&self) -> &str {
        self.said("set-up: ").unwrap_or_else(|| panic!("{self:?}"))
    }
}

#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn child() {
    let telemetry = match otel::Telemetry::from_env("in-the-code").and_then(otel::Telemetry::install) {
        Ok(telemetry) => telemetry,
        Err(error) => return println!("\nset-up: {error}"),
    };
    let step = TransformStep::new("look", |input: JsonValue| async move {
        println!("\nheaders: {:?}", trace_headers());
        Ok::<_, ToolError>(input)
    });
    let workflow = Workflow::new("flow").add_step(step).build();
    let caller = std::env::var(CALLER).ok().map(|traceparent| ("traceparent".to_owned(), traceparent));
    let caller = otel::extract_context(&caller.into_iter().collect::<HashMap<_, _>>());
    let runs = std::env::var(RUNS).map_or(1, |runs| runs.parse().expect("it is a number"));
    for _ in 0..runs {
        let run = Runtime::new();
        let run = run.execute(&workflow, "x").with_context(caller.clone()).await;
        println!("\ntrace: {:?}", run.expect("it succeeds").trace);
    }
    match telemetry.shutdown() {
        Ok(report) => println!("outcome: {report}"),
        Err(error) => println!("outcome: {error}"),
    }
}
