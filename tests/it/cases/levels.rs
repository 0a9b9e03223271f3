//! C74, C75: the bridge asks `tracing` for what it looks at and takes nothing from other layers.

use std::sync::Arc;

use agent_runtime::{
    otel::{BridgeFilter, NeighborFilter, Telemetry},
    prelude::*,
};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SpanData};
use parking_lot::Mutex;
use tracing::{Instrument as _, Level, Subscriber, info, info_span, trace, trace_span};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    registry,
};

use crate::support::{process::run_child, set_default};

/// A run whose tool says something at each end of the levels and reports its progress.
async fn run_a_talking_tool() {
    let talk = FnTool::new("talk", "Talks.", json!({}), |_, progress| async move {
        info!("from the tool");
        trace!("too much");
        progress("half way".to_owned(), Some(50));
        async { Ok(json!(1)) }.instrument(info_span!("query_database")).await
    });
    let model = ScriptedModel::new("m")
        .with_reply(ScriptedReply::tool_calls([("talk", json!({}))]))
        .with_reply(ScriptedReply::text("done"));
    let agent = Agent::builder("a", model).with_tool(talk).build();
    let workflow = Workflow::new("flow").add_step(AgentStep::new(agent)).build();
    Runtime::new().execute(&workflow, "x").await.expect("the script ends well");
}

/// The names of the span events of the tool.
fn events_of_the_tool(spans: &[SpanData]) -> Vec<&str> {
    let tool = spans.iter().find(|span| span.name == "execute_tool talk").expect("the tool has a span");
    tool.events.iter().map(|event| event.name.as_ref()).collect()
}

#[test]
fn an_installed_bridge_turns_nothing_on_that_it_does_not_look_at() {
    let said = run_child("cases::levels::child_installs_alone", &[]).stdout;
    assert!(said.contains("wants: [false, false, false, true]"), "C74: {said}");
    assert!(said.contains(r#"on the tool: ["log", "agent_runtime.progress"]"#), "C75: {said}");
}

#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn child_installs_alone() {
    let exporter = InMemorySpanExporter::default();
    let telemetry = Telemetry::builder("test").with_span_exporter(exporter.clone()).build().unwrap();
    let telemetry = telemetry.install().unwrap();
    let wants = [
        !trace_span!(target: "a_library", "detail").is_disabled(),
        tracing::enabled!(target: "a_library", Level::TRACE),
        !info_span!(target: "a_library", "request").is_disabled(),
        tracing::enabled!(target: "a_library", Level::INFO),
    ];
    println!("\nwants: {wants:?}");
    run_a_talking_tool().await;
    telemetry.flush().unwrap();
    println!("on the tool: {:?}", events_of_the_tool(&exporter.get_finished_spans().unwrap()));
    telemetry.shutdown().unwrap();
}

/// Keeps the levels of the events that it sees.
#[derive(Clone, Default)]
struct Levels(Arc<Mutex<Vec<Level>>>);

impl<S: Subscriber> Layer<S> for Levels {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        self.0.lock().push(*event.metadata().level());
    }
}

#[tokio::test]
async fn layers_beside_a_filtered_bridge_get_what_they_ask_for() {
    let (exporter, levels) = (InMemorySpanExporter::default(), Levels::default());
    let telemetry = Telemetry::builder("test").with_span_exporter(exporter.clone()).build().unwrap();
    let theirs = tracing_opentelemetry::layer().with_tracer(telemetry.tracer_provider().tracer("test"));
    let registry = registry()
        .with(telemetry.layer().with_filter(BridgeFilter))
        .with(theirs.with_filter(NeighborFilter))
        .with(levels.clone().with_filter(NeighborFilter));
    let subscriber = set_default(registry);
    run_a_talking_tool().instrument(info_span!("request")).await;
    drop(subscriber);
    telemetry.flush().unwrap();

    assert!(levels.0.lock().contains(&Level::TRACE), "C75");
    let spans = exporter.get_finished_spans().unwrap();
    assert_eq!(events_of_the_tool(&spans), ["log", "agent_runtime.progress"], "C75");
    let id = |name: &str| {
        let span = spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name}"));
        (span.span_context.span_id(), span.parent_span_id, span)
    };
    assert_eq!(id("invoke_workflow flow").1, id("request").0);
    assert_eq!(id("query_database").1, id("execute_tool talk").0);
    let lines: Vec<_> = id("request").2.events.iter().map(|event| event.name.as_ref()).collect();
    assert_eq!(lines, ["from the tool", "too much"], "the user's own, and none of ours");
    telemetry.shutdown().unwrap();
}
