//! Run `cargo run --example quickstart`: a report is researched, checked and written before your eyes, then its trace is
//! drawn as a tree. No server, no key and no network are needed.
//!
//! `--trace-out FILE` also writes the trace as OTLP JSON. With `OTEL_EXPORTER_OTLP_ENDPOINT` set the trace is exported
//! there too. With `OPENAI_BASE_URL` or `OPENAI_API_KEY`, and `OPENAI_MODEL`, set, that model is asked.
#![expect(clippy::print_stdout, reason = "this example is about what it prints")]

mod scenario;

use std::{
    env,
    io::{self, Write as _},
    path::PathBuf,
    sync::Arc,
};

use agent_runtime::{
    llm::{ChatModel, OpenAiClient},
    otel::TraceUrl,
    otel::{Telemetry, to_otlp_json},
    prelude::*,
    view::{Live, Tree},
};
use anyhow::bail;
use opentelemetry_sdk::{
    Resource,
    trace::{InMemorySpanExporter, SimpleSpanProcessor},
};

const QUESTION: &str = "How did Acme's sales do in the fourth quarter?";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let trace_out = trace_out_from_args()?;
    let model = choose_model()?;

    let spans = InMemorySpanExporter::default();
    let telemetry = Telemetry::builder("quickstart")
        .with_content_capture_from_env()
        .with_span_processor(SimpleSpanProcessor::new(spans.clone()))
        .with_otlp_if_endpoint_set()
        .build()?
        .install()?;

    let runtime = Runtime::new();
    let printer = tokio::spawn(print_live(runtime.event_stream().subscribe()));
    let result = runtime.execute(&scenario::workflow(model), QUESTION).await;
    let events = runtime.event_stream().get_events(0).await;
    drop(runtime);
    printer.await?;

    let root = result.as_ref().ok().and_then(|run| run.trace);
    println!("\n{}", Tree::of(&events));
    if let Some(path) = trace_out {
        let finished = spans.get_finished_spans()?;
        let resource = Resource::builder().with_service_name("quickstart").build();
        std::fs::write(&path, to_otlp_json(finished, &resource)?)?;
        println!("\nOTLP JSON written to {}", path.display());
    }
    match telemetry.shutdown() {
        Ok(report) if report.spans.delivery.ended > 0 => {
            println!("\n{} spans exported over OTLP", report.spans.delivery.exported);
            let trace_url = TraceUrl::from_env()?.unwrap_or_else(|| TraceUrl::jaeger("http://127.0.0.1:16686"));
            if let Some(trace) = root {
                println!("{}", trace_url.of(&trace));
            }
        }
        Ok(_) => println!("\nSet OTEL_EXPORTER_OTLP_ENDPOINT to export this trace, to Jaeger for example."),
        Err(error) => println!("\nNot everything was exported: {error}"),
    }
    result?;
    Ok(())
}

/// Prints the events of a run as they come, until the stream is closed.
async fn print_live(mut events: Subscription) {
    let mut live = Live::new();
    loop {
        match events.recv().await {
            Ok(event) => live.observe(&event),
            Err(RecvError::Lagged(lagged)) => live.add_line(&format!("… {lagged}")),
            Err(_) => return,
        }
        print!("{}", live.take());
        // A closed terminal is no reason to stop the run.
        io::stdout().flush().ok();
    }
}

fn choose_model() -> anyhow::Result<Arc<dyn ChatModel>> {
    if is_set("OPENAI_BASE_URL") || is_set("OPENAI_API_KEY") {
        let model = OpenAiClient::from_env()?;
        println!("Model: {} ({})", model.model(), model.provider());
        return Ok(Arc::new(model));
    }
    println!("Model: a script, not a real model. Set OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_MODEL to ask one.");
    Ok(Arc::new(scenario::scripted_model()))
}

fn trace_out_from_args() -> anyhow::Result<Option<PathBuf>> {
    let mut args = env::args_os().skip(1);
    match (args.next(), args.next(), args.next()) {
        (None, ..) => Ok(None),
        (Some(flag), Some(path), None) if flag == "--trace-out" => Ok(Some(path.into())),
        _ => bail!("usage: quickstart [--trace-out FILE]"),
    }
}

fn is_set(variable: &str) -> bool {
    env::var_os(variable).is_some_and(|value| !value.is_empty())
}
