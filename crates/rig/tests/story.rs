//! The story, told by rig's agents with `ingest` and the hook.

#[expect(dead_code, reason = "shared with the tests of the root, which use other parts of it")]
#[path = "../../../tests/support/scripted_server.rs"]
mod scripted_server;
#[path = "../../../tests/support/story.rs"]
mod story;

use agent_runtime::{component, ingest::ingest, prelude::*};
use agent_runtime_rig::Report;
use futures_util::StreamExt as _;
use rig_agent::agent::{Agent, AgentBuilder, MultiTurnStreamItem};
use rig_core::{
    message::ToolName,
    providers::openai::OpenAIConfig,
    tool::{DynamicTool, ToolExecutionError, ToolOutput},
};
use story::{STORY, cancel_waiting, server, telling};
use tracing_subscriber::{layer::SubscriberExt as _, registry};

type Answer = Result<ToolOutput, ToolExecutionError>;

fn tool<F>(name: &'static str, work: impl Fn() -> F + Send + Sync + 'static) -> DynamicTool
where
    F: Future<Output = Answer> + Send + 'static,
{
    let schema = json!({"type": "object", "properties": {}});
    DynamicTool::new(ToolName::new(name).expect("a name"), name, schema, move |_| Box::pin(work()))
}

/// An agent called like its model.
fn agent(base_url: &str, name: &str, tools: Vec<DynamicTool>) -> Agent {
    let client = OpenAIConfig::new("no key").with_base_url(base_url).client();
    AgentBuilder::new(client.chat(name)).name(name).default_max_turns(4).dynamic_tools(tools).add_hook(Report).build()
}

/// Reads an agent's answer to its end.
async fn read(agent: Agent) -> Result<(), BoxError> {
    let mut answer = agent.prompt("Go on.").stream();
    while let Some(item) = answer.next().await {
        item?;
    }
    Ok(())
}

/// Reads an agent's answer up to its first piece.
async fn read_a_piece(agent: Agent) {
    let mut answer = agent.prompt("Go on.").stream();
    while let Some(item) = answer.next().await {
        if let Ok(MultiTurnStreamItem::StreamAssistantItem(item)) = item
            && format!("{item:?}").contains("Well")
        {
            return;
        }
    }
}

#[tokio::test]
async fn rig_tells_the_story() {
    let stream = EventStream::new();
    let _default = agent_runtime::testing::set_default(registry().with(ingest(&stream)));
    let server = server().await;
    let url = server.base_url();

    let run = component::workflow(&stream, "report").start().expect("a run");
    run.run(async {
        let tools = vec![
            tool("search", async || Ok(ToolOutput::text("a page"))),
            tool("prices", async || Ok(ToolOutput::text("3.50"))),
            tool("broken", async || Err(ToolExecutionError::not_found("no such thing"))),
        ];
        read(agent(&url, "researcher", tools)).await.expect("it answers");

        let editor = agent(&url, "editor", Vec::new());
        let ask_editor = tool("ask_editor", move || {
            let editor = editor.clone();
            async move {
                // Inside a span rig makes none for an agent, so the agent is said.
                let review = component::agent("editor").run(read(editor));
                component::nested_workflow("review").run(review).await.expect("it answers");
                Ok(ToolOutput::text("Fine."))
            }
        });
        read(agent(&url, "writer", vec![ask_editor])).await.expect("it answers");

        // Whoever leaves an answer cancels the agent, which only the code around it can say.
        let talker = component::agent("talker").start().expect("a place");
        talker.run(read_a_piece(agent(&url, "talker", Vec::new()))).await;
        drop(talker);

        let wait = tool("wait", async || std::future::pending().await);
        let waiter = component::agent("waiter").run(read(agent(&url, "waiter", vec![wait])));
        cancel_waiting(&stream, waiter).await;
    })
    .await;
    run.complete(());
    assert_eq!(telling(&stream), STORY);
}
