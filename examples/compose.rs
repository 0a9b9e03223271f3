//! Run `cargo run --example compose`: our layer beside `fmt` and `tracing-opentelemetry`. You see the log of the run, then every
//! span and the one that it lies in: the program's own spans lie around and inside ours.
#![expect(clippy::print_stdout, reason = "this example is about what it prints")]

use agent_runtime::{otel, prelude::*};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::InMemorySpanExporter;
use tracing::{Instrument as _, info_span, level_filters::LevelFilter};
use tracing_subscriber::{Layer as _, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let finished = InMemorySpanExporter::default();
    let telemetry = otel::Telemetry::builder("compose").with_span_exporter(finished.clone()).build()?;
    let tracer = telemetry.tracer_provider().tracer("compose");
    tracing_subscriber::registry()
        .with(telemetry.layer().with_filter(otel::BridgeFilter))
        .with(tracing_opentelemetry::layer().with_tracer(tracer).with_filter(otel::NeighborFilter))
        .with(fmt::layer().with_filter(LevelFilter::INFO)) // here, since a filter on the registry would hide runs from all
        .init();

    let model = ScriptedModel::new("script")
        .with_reply(ScriptedReply::tool_calls([("stock", json!({}))]))
        .with_reply(ScriptedReply::text("Seven are left."));
    let stock = FnTool::new("stock", "Counts what is left.", json!({"type": "object"}), |_args, _progress| {
        async { Ok(json!(7)) }.instrument(info_span!("query_database"))
    });
    let clerk = Agent::builder("clerk", model).with_tool(stock).build();
    let workflow = Workflow::new("inventory").add_step(AgentStep::new(clerk)).build();
    Runtime::new().execute(&workflow, "How many?").instrument(info_span!("handle_request")).await?;

    telemetry.flush()?;
    let spans = finished.get_finished_spans()?;
    for span in &spans {
        let around = spans.iter().find(|other| other.span_context.span_id() == span.parent_span_id);
        println!("{} in {}", span.name, around.map_or("nothing", |around| &around.name));
    }
    telemetry.shutdown()?;
    Ok(())
}
