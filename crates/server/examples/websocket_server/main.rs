//! Run `cargo run -p agent-runtime-server --example websocket_server`, open the address that it prints: a page shows the runs of a
//! scripted agent live, each answer as it is written, and goes on where it was when the connection is lost. Ctrl-C ends it.
//! Another address: `… --example websocket_server 127.0.0.1:8000`.
//!
//! The same events are at `curl -N http://127.0.0.1:4380/agents/stream` and, described, at `/agents/openapi.json`.
#![expect(clippy::print_stdout, reason = "this example is about what it prints")]

use std::{env, error::Error, time::Duration};

use agent_runtime::prelude::*;
use agent_runtime_server::EventServer;
use axum::{Router, response::Html, routing::get};
use tokio::{net::TcpListener, signal, time::sleep};

const DEFAULT_ADDRESS: &str = "127.0.0.1:4380";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let runtime = Runtime::new();
    // The answers are this example's own script, so that they may be shown.
    let events = EventServer::builder(runtime.event_stream().clone()).with_content(true).build();
    let page = get(|| async { Html(include_str!("page.html")) });
    let app = Router::new().route("/", page).nest("/agents", events.router());

    let address = env::args().nth(1).unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let work = tokio::spawn(work(runtime));
    let end = async move {
        drop(signal::ctrl_c().await);
        events.shutdown().await;
    };
    axum::serve(listener, app).with_graceful_shutdown(end).await?;
    work.abort();
    Ok(())
}

/// Runs a workflow every few seconds.
async fn work(runtime: Runtime) {
    let model = ScriptedModel::answering(|_| {
        ScriptedReply::text("Order 1007 was shipped on Monday and will arrive tomorrow.")
            .with_delay(Duration::from_millis(80))
    });
    let workflow = Workflow::new("answer").add_step(AgentStep::new(Agent::builder("clerk", model).build())).build();
    loop {
        if let Err(error) = runtime.execute(&workflow, "Where is order 1007?").await {
            println!("{error}");
        }
        sleep(Duration::from_secs(2)).await;
    }
}
