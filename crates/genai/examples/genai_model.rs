//! Run `cargo run -p agent-runtime-genai --example genai_model`: an agent asks a scripted server through genai, and you see its answer and the
//! tree of what it did. No key, no network.
#![expect(clippy::print_stdout, reason = "this example is about what it prints")]

#[expect(dead_code, reason = "shared with the tests, which use other parts of it")]
#[path = "../../../tests/support/scripted_server.rs"]
mod scripted_server;

use agent_runtime::{prelude::*, view::Tree};
use agent_runtime_genai::GenaiModel;
use genai::{
    Client, ModelIden, ServiceTarget,
    adapter::AdapterKind,
    resolver::{AuthData, Endpoint},
};
use scripted_server::{HttpReply, ScriptedServer};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let server = ScriptedServer::start([
        HttpReply::tool_calls(&[("call_1", "clock", json!({}))]),
        HttpReply::chat(&["It is ", "half past ", "nine."]),
    ])
    .await;
    let url = format!("{}/", server.base_url());
    let client = Client::builder()
        .with_service_target_resolver_fn(move |target: ServiceTarget| {
            let model = ModelIden::new(AdapterKind::OpenAI, target.model.model_name);
            Ok(ServiceTarget {
                endpoint: Endpoint::from_owned(url.as_str()),
                auth: AuthData::from_single("no key"),
                model,
            })
        })
        .build()?;

    let clock =
        FnTool::new("clock", "The time.", json!({"type": "object"}), |_, _| async { Ok(json!("half past nine")) });
    let agent = Agent::builder("assistant", GenaiModel::new(client, "scripted-model")).with_tool(clock).build();
    let workflow = Workflow::new("chat").add_step(AgentStep::new(agent)).build();
    let runtime = Runtime::new();
    let run = runtime.execute(&workflow, "What time is it?").await?;

    println!("{}\n\n{}", run.output, Tree::of(&runtime.event_stream().get_events(0).await));
    Ok(())
}
