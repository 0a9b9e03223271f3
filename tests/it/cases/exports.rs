//! B17, B25: batches are as the environment bounds them, and a panic whose hook ends the telemetry ends it.

use std::sync::{Arc, OnceLock};

use agent_runtime::{otel::Telemetry, prelude::*};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SpanData, SpanExporter},
};

use super::program::Program;
use crate::support::{process::run_child, sink::Sink};

#[test]
fn no_batch_has_more_spans_than_the_environment_says() {
    let sink = Sink::http();
    let url = sink.url();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "64")];
    let program = Program::running(200, &variables);
    let spans_in = |scope: &opentelemetry_proto::tonic::trace::v1::ScopeSpans| scope.spans.len();
    let batches = sink.requests().into_iter().map(|request| {
        request.resource_spans.iter().flat_map(|resource| &resource.scope_spans).map(spans_in).sum::<usize>()
    });
    let batches: Vec<_> = batches.collect();
    assert_eq!(batches.iter().sum::<usize>(), 400, "B25: {program:?}");
    assert!(batches.iter().all(|spans| *spans <= 64), "B25: {batches:?}");
}

#[test]
fn a_panic_whose_hook_ends_the_telemetry_ends_it() {
    let finished = run_child("cases::exports::child_panics_with_a_hook", &[]);
    for span in
        ["execute_tool explode: interrupted", "invoke_agent a: interrupted", "invoke_workflow flow: interrupted"]
    {
        assert!(finished.stdout.contains(span), "B17: no {span}: {finished:#?}");
    }
    assert!(finished.stdout.contains("the run went on"), "B17: {finished:#?}");
}

/// Prints what it is given, with what it failed of.
#[derive(Debug)]
struct Printing;

#[expect(clippy::print_stdout, reason = "its parent reads what it prints")]
impl SpanExporter for Printing {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        for span in batch {
            let error = span.attributes.iter().find(|attribute| attribute.key.as_str() == "error.type");
            println!("{}: {}", span.name, error.map_or("well".into(), |error| error.value.as_str()));
        }
        Ok(())
    }
}

#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn child_panics_with_a_hook() {
    static TELEMETRY: OnceLock<Telemetry> = OnceLock::new();
    let telemetry = Telemetry::builder("test").with_span_exporter(Printing).build().unwrap().install().unwrap();
    TELEMETRY.set(telemetry).expect("it is set once");
    std::panic::set_hook(Box::new(|_| {
        TELEMETRY.get().expect("it is set").shutdown().expect("what was open is sent");
    }));
    let explode = FnTool::new("explode", "Panics.", json!({}), |_, _| async { panic!("as it should") });
    let model = ScriptedModel::new("m")
        .with_reply(ScriptedReply::tool_calls([("explode", json!({}))]))
        .with_reply(ScriptedReply::text("done"));
    let agent = Agent::builder("a", Arc::new(model)).with_tool(explode).build();
    let workflow = Workflow::new("flow").add_step(AgentStep::new(agent)).build();
    Runtime::new().execute(&workflow, "x").await.expect("a tool's panic is a result");
    println!("the run went on");
}
