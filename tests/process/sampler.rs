//! The samplers of `OTEL_TRACES_SAMPLER`, as a program has them that only calls `Telemetry::from_env`.
//!
//! The SDK reads its environment, so each case runs in a process of its own; see `child_…`.

use agent_runtime::{otel::Telemetry, prelude::*};
use opentelemetry::{
    Context,
    trace::{FutureExt as _, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};
use tracing_subscriber::{layer::SubscriberExt as _, registry};

use crate::support::process::run_child;
use crate::support::sink::Sink;

const WORKFLOWS: usize = 2_000;

/// How many spans a workflow of the child has.
const SPANS: usize = 4;

/// What fraction of the workflows arrives, all of them whole. A caller's span is there if `caller` names a decision.
fn kept(sampler: &str, argument: &str, caller: &str) -> f64 {
    let sink = Sink::http();
    let url = sink.url();
    run_child(
        "child_runs_workflows",
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_TRACES_SAMPLER", sampler),
            ("OTEL_TRACES_SAMPLER_ARG", argument),
            ("AGENT_RUNTIME_TEST_CALLER", caller),
        ],
    );
    let spans = sink.spans();
    let roots = spans.iter().filter(|span| span.name == "invoke_workflow flow").count();
    assert_eq!(spans.len(), roots * SPANS, "{sampler} keeps parts of a trace");
    roots as f64 / WORKFLOWS as f64
}

#[tokio::test]
#[ignore = "run in a process of its own, with an environment of its own"]
async fn child_runs_workflows() {
    let telemetry = Telemetry::from_env("test").expect("the variables are right");
    let _subscriber = tracing::subscriber::set_default(registry().with(telemetry.layer()));
    let model = ScriptedModel::answering(|_| ScriptedReply::text("done"));
    let agent = Agent::builder("agent", std::sync::Arc::new(model)).build();
    let workflow = Workflow::new("flow").add_step(AgentStep::new(agent)).build();
    let runtime = Runtime::new();
    for number in 1..=WORKFLOWS as u64 {
        let run = runtime.execute(&workflow, "go");
        let flags = match std::env::var("AGENT_RUNTIME_TEST_CALLER").as_deref() {
            Ok("sampled") => TraceFlags::SAMPLED,
            Ok("unsampled") => TraceFlags::default(),
            _ => {
                run.await.expect("it succeeds");
                continue;
            }
        };
        let trace_id = TraceId::from(u128::from(number) << 64 | u128::from(number));
        let caller = SpanContext::new(trace_id, SpanId::from(number), flags, true, TraceState::default());
        run.with_context(Context::new().with_remote_span_context(caller)).await.expect("it succeeds");
    }
    assert_eq!(runtime.event_stream().next_offset(), (WORKFLOWS * (2 * SPANS + 1)) as u64, "events are never sampled");
    telemetry.shutdown().expect("all arrives");
}

#[test]
fn every_standard_sampler_keeps_whole_traces_in_the_share_that_it_is_given() {
    let close_to = |share: f64, expected: f64| (share - expected).abs() < 0.03;
    for (sampler, argument, caller, expected) in [
        ("always_on", "", "none", 1.0),
        ("always_off", "", "none", 0.0),
        ("traceidratio", "0.1", "none", 0.1),
        ("parentbased_traceidratio", "0.25", "none", 0.25),
        ("parentbased_traceidratio", "0", "sampled", 1.0),
        ("parentbased_always_on", "", "unsampled", 0.0),
        ("parentbased_always_off", "", "sampled", 1.0),
        ("parentbased_always_off", "", "none", 0.0),
    ] {
        let share = kept(sampler, argument, caller);
        assert!(close_to(share, expected), "{sampler} {argument} with caller {caller} keeps {share}");
    }
}
