//! Run `cargo run -p agent-runtime-rig --example rig_agent`: a rig agent asks a scripted server, and you see its answer piece by piece and
//! then the tree of what it did. No key, no network.
#![expect(clippy::print_stdout, reason = "this example is about what it prints")]

#[expect(dead_code, reason = "shared with the tests, which use other parts of it")]
#[path = "../../../tests/support/scripted_server.rs"]
mod scripted_server;

use agent_runtime::{component, ingest::ingest, prelude::*, view::Tree};
use agent_runtime_rig::Report;
use futures_util::StreamExt as _;
use rig_agent::agent::AgentBuilder;
use rig_core::{
    message::ToolName,
    providers::openai::OpenAIConfig,
    tool::{DynamicTool, ToolOutput},
};
use scripted_server::{HttpReply, ScriptedServer};
use tracing_subscriber::prelude::*;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let stream = EventStream::new();
    tracing_subscriber::registry().with(ingest(&stream)).init();
    let mut live = stream.subscribe().filter(EventScope::LlmRequest);

    let server = ScriptedServer::start([
        HttpReply::tool_calls(&[("call_1", "clock", json!({}))]),
        HttpReply::chat(&["It is ", "half past ", "nine."]),
    ])
    .await;
    let schema = json!({"type": "object", "properties": {}});
    let clock = DynamicTool::new(ToolName::new("clock")?, "The time.", schema, |_| {
        Box::pin(async { Ok(ToolOutput::text("half past nine")) })
    });
    let client = OpenAIConfig::new("no key").with_base_url(server.base_url()).client();
    let agent = AgentBuilder::new(client.chat("scripted-model"))
        .name("assistant")
        .default_max_turns(3)
        .dynamic_tool(clock)
        .add_hook(Report)
        .build();

    let ask = async {
        let mut answer = agent.prompt("What time is it?").stream();
        while let Some(item) = answer.next().await {
            item?;
        }
        Ok::<_, BoxError>(())
    };
    component::workflow(&stream, "chat").run(component::agent("assistant").run(ask)).await?;

    while let Ok(event) = live.try_recv() {
        print!("{}", event.data.chunk_text().unwrap_or_default());
    }
    println!("\n\n{}", Tree::of(&stream.get_events(0).await));
    Ok(())
}
