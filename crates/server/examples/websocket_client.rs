//! Run `cargo run -p agent-runtime-server --example websocket_client` beside the example `websocket_server`: prints each event of
//! an agent or a tool, and goes on where it was when the server comes back. Another address and other filters:
//! `… --example websocket_client 'ws://127.0.0.1:4380/agents/socket?scope=workflow'`.
#![expect(clippy::print_stdout, reason = "this example is about what it prints")]

use std::{env, error::Error, time::Duration};

use agent_runtime::prelude::*;
use futures_util::StreamExt as _;
use tokio::time::sleep;
use tokio_tungstenite::{connect_async, tungstenite::Message};

const DEFAULT_ADDRESS: &str = "ws://127.0.0.1:4380/agents/socket?scope=agent&scope=tool";

#[tokio::main]
async fn main() {
    let address = env::args().nth(1).unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
    let mut last = "now".to_owned();
    loop {
        if let Err(error) = follow(&address, &mut last).await {
            println!("… {error}; again from {last}");
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// Prints what comes until the connection ends, and keeps the id of the last message.
async fn follow(address: &str, last: &mut String) -> Result<(), Box<dyn Error>> {
    let separator = if address.contains('?') { '&' } else { '?' };
    let (mut socket, _) = connect_async(format!("{address}{separator}from={last}")).await?;
    while let Some(frame) = socket.next().await {
        let Message::Text(text) = frame? else { continue };
        let message: JsonValue = serde_json::from_str(&text)?;
        match message["type"].as_str() {
            Some("event") => {
                let event = Event::from_json(&message["event"].to_string())?;
                println!("{} {} {}", event.scope, event.component_id, event.event_type);
            }
            Some("gap") => println!("… lost: {}", message["gap"]),
            _ => {}
        }
        *last = message["id"].as_str().unwrap_or("now").to_owned();
    }
    Ok(())
}
