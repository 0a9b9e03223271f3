//! Run `cargo run --example service`, then `curl -N http://127.0.0.1:3000/ask -d 'Where is order 1007?'` in another terminal: the
//! events of that request's run as server-sent events, as they happen. Each run's end is printed here; Ctrl-C ends it cleanly.
//!
//! `cargo run --example service 127.0.0.1:8000` listens there. A `traceparent` header puts the run into the caller's trace, which
//! is exported if `OTEL_EXPORTER_OTLP_ENDPOINT` is set. `GET /health` says what became of the telemetry. The model is a script.
#![expect(clippy::print_stdout, reason = "this example is about what it prints")]

use std::{collections::HashMap, env, time::Duration};

use agent_runtime::{
    otel::{Telemetry, extract_context},
    prelude::*,
    stream::Lagged,
};
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode},
    response::sse::{self, KeepAlive, Sse},
    routing::{get, post},
};
use futures_util::{FutureExt as _, Stream, StreamExt as _, future, stream};
use opentelemetry::trace::FutureExt as _;
use tokio::{net::TcpListener, signal, task::spawn_blocking};

const DEFAULT_ADDRESS: &str = "127.0.0.1:3000";

/// What all requests share.
#[derive(Clone)]
struct Service {
    runtime: Runtime,
    workflow: Workflow,
    telemetry: Telemetry,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let telemetry = Telemetry::builder("service").with_otlp_if_endpoint_set().build()?.install()?;
    let runtime = Runtime::new();
    let ends = tokio::spawn(print_ends(runtime.event_stream().subscribe().filter(EventScope::Workflow)));
    let service = Service { runtime, workflow: workflow(), telemetry: telemetry.clone() };
    let routes = Router::new().route("/ask", post(ask)).route("/health", get(health)).with_state(service);

    let address = env::args().nth(1).unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    // Takes no more requests after Ctrl-C, and lets those that are open come to their end.
    axum::serve(listener, routes).with_graceful_shutdown(signal::ctrl_c().map(drop)).await?;
    ends.await?;
    match spawn_blocking(move || telemetry.shutdown()).await? {
        Ok(report) => println!("{report}"),
        Err(lost) => println!("{lost}"),
    }
    Ok(())
}

/// Runs the workflow and answers with the events of this run alone.
async fn ask(
    State(service): State<Service>,
    headers: HeaderMap,
    question: String,
) -> Sse<impl Stream<Item = Result<sse::Event, axum::Error>>> {
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let caller = headers.iter().filter_map(|(name, value)| Some((name.to_string(), text(value)?)));
    let caller: HashMap<String, String> = caller.collect();
    let (events, run) = service.runtime.start(&service.workflow, question);
    let run = run.with_context(extract_context(&caller));
    // The run lives in the body of the answer: a client that leaves cancels it. Its result is in its last event.
    let run = run.into_stream().map(|_result| None);
    let events = events.batched(BatchWindow::default()).map(|event| Some(to_sse(event)));
    Sse::new(stream::select(events, run).filter_map(future::ready)).keep_alive(KeepAlive::default())
}

fn to_sse(event: Result<Event, Lagged>) -> Result<sse::Event, axum::Error> {
    match event {
        Ok(event) => {
            let id = event.offset.unwrap_or_default().to_string();
            sse::Event::default().id(id).event(event.event_type.as_str()).json_data(&event)
        }
        Err(lagged) => Ok(sse::Event::default().event("lagged").data(lagged.to_string())),
    }
}

/// Says what became of the telemetry; 503 where some of it is lost.
async fn health(State(service): State<Service>) -> (StatusCode, String) {
    let report = service.telemetry.report();
    let delivery = report.spans.delivery;
    let status = if delivery.failed + delivery.dropped > 0 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, format!("{} of {} spans exported\n", delivery.exported, delivery.ended))
}

/// Prints how each run ended.
async fn print_ends(mut events: Subscription) {
    loop {
        match events.recv().await {
            Ok(event) if event.event_type.is_terminal() => {
                println!("{} {}", event.workflow_id.unwrap_or_default(), event.event_type);
            }
            Ok(_) => {}
            Err(RecvError::Lagged(lagged)) => println!("… {lagged}"),
            Err(_) => return,
        }
    }
}

fn workflow() -> Workflow {
    let model = ScriptedModel::answering(|request| {
        let question = request.messages.last().map_or("", |message| message.content.as_str());
        let reply = ScriptedReply::text(format!("You asked: {question} It was shipped on Monday."));
        reply.with_delay(Duration::from_millis(30))
    });
    Workflow::new("answer").add_step(AgentStep::new(Agent::builder("clerk", model).build())).build()
}
