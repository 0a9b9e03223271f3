//! A trace goes on from one process into another, by an explicit call on either side and not without.

use std::{collections::HashMap, process::Command, sync::Arc};

use agent_runtime::{
    component::trace_headers,
    otel::{Telemetry, context_from_env, extract_context, pass_context_to},
    prelude::*,
};
use opentelemetry::trace::FutureExt as _;
use opentelemetry_sdk::trace::InMemorySpanExporter;
use parking_lot::Mutex;
use tracing_subscriber::{layer::SubscriberExt as _, registry};

use crate::support::{process::run_child, set_default};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[test]
fn the_callers_variables_are_read_where_that_is_asked_for() {
    let valid = format!("00-{TRACE}-b7ad6b7169203331-01");
    for (traceparent, asks, continues) in
        [(valid.as_str(), "yes", true), (&valid, "no", false), ("nonsense", "yes", false), ("", "yes", false)]
    {
        let variables = [("TRACEPARENT", traceparent), ("TRACESTATE", "vendor=a"), ("TEST_ASKS", asks)];
        let finished = run_child("cases::process_context::child_runs", &variables);
        let trace = finished.stdout.lines().find_map(|line| line.strip_prefix("trace: ")).expect("it says so");
        assert_eq!(trace == TRACE, continues, "{variables:?}: {trace}");
        let state = finished.stdout.contains("TRACESTATE=vendor=a");
        assert_eq!(state, continues, "{variables:?}: {}", finished.stdout);
    }
}

/// A record of a queue may hold anything.
#[tokio::test]
async fn what_no_header_can_carry_is_left_out() {
    let telemetry = Telemetry::builder("test").with_span_exporter(InMemorySpanExporter::default()).build().unwrap();
    let _subscriber = set_default(registry().with(telemetry.layer()));
    for (state, is_passed_on) in [("vendor=a", true), ("vendor=a\nb", false), ("vendor=a\u{7f}", false)] {
        let headers: HashMap<_, _> =
            [("traceparent", format!("00-{TRACE}-b7ad6b7169203331-01")), ("tracestate", state.to_owned())]
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect();
        let passed: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let seen = Arc::clone(&passed);
        let step = TransformStep::new("ask", move |input: JsonValue| {
            *seen.lock() = trace_headers();
            async move { Ok::<_, ToolError>(input) }
        });
        let workflow = Workflow::new("flow").add_step(step).build();
        Runtime::new().execute(&workflow, "x").with_context(extract_context(&headers)).await.unwrap();
        let names: Vec<_> = passed.lock().iter().map(|(name, _)| name.clone()).collect();
        let expected: &[&str] = if is_passed_on { &["traceparent", "tracestate"] } else { &["traceparent"] };
        assert_eq!(names, expected, "C9 {state:?}");
    }
}

/// Runs a step that starts a process, or would.
#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn child_runs() {
    let telemetry = Telemetry::builder("test").with_span_exporter(InMemorySpanExporter::default()).build().unwrap();
    let _subscriber = set_default(registry().with(telemetry.layer()));
    let passed: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&passed);
    let step = TransformStep::new("start", move |input: JsonValue| {
        let mut command = Command::new("git");
        pass_context_to(&mut command);
        let pairs = command.get_envs().filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?)));
        seen.lock().extend(pairs.map(|(name, value)| format!("{name}={value}")));
        async move { Ok::<_, ToolError>(input) }
    });
    let workflow = Workflow::new("flow").add_step(step).build();
    let run = Runtime::new();
    let run = run.execute(&workflow, "x");
    let run = if std::env::var("TEST_ASKS").is_ok_and(|value| value == "yes") {
        run.with_context(context_from_env()).await.unwrap()
    } else {
        run.await.unwrap()
    };
    let trace = run.trace.expect("the bridge is on").trace_id.to_string();
    println!("\ntrace: {trace}");
    let passed = passed.lock();
    assert!(passed.iter().any(|pair| pair.starts_with(&format!("TRACEPARENT=00-{trace}-"))), "{passed:?}");
    passed.iter().for_each(|pair| println!("{pair}"));
    telemetry.shutdown().unwrap();
}
