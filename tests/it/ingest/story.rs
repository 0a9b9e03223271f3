//! The story that `crates/` holds other libraries' agents to, as the guard and the runtime tell it.

use agent_runtime::{
    component,
    llm::{ChatDelta, ChatMessage, ChatModel as _, ChatRequest, ChatResponse, OpenAiClient, ToolDefinition},
    prelude::*,
};
use futures_util::{StreamExt as _, future::join_all};

use crate::support::{
    ScriptedServer,
    story::{STORY, cancel_waiting, server, telling},
};

fn model(url: &str, name: &str) -> OpenAiClient {
    OpenAiClient::builder(name).with_base_url(url).build().expect("the settings are right")
}

/// A tool by its name, as all tell it.
async fn work(url: String, name: String) -> Result<String, BoxError> {
    match name.as_str() {
        "broken" => Err("no such thing".into()),
        "wait" => std::future::pending().await,
        "ask_editor" => {
            let review = component::nested_workflow("review").run(agent(&url, "editor", &[], |_| false));
            Box::pin(review).await?;
            Ok("Fine.".to_owned())
        }
        _ => Ok("a page".to_owned()),
    }
}

/// A hand-written loop in the guard; `until` ends the reading of an answer.
async fn agent(url: &str, name: &str, tools: &[&str], until: impl Fn(&str) -> bool) -> Result<(), BoxError> {
    let model = model(url, name);
    let schema = json!({"type": "object", "properties": {}});
    let tools = tools.iter().map(|tool| ToolDefinition::new(*tool, *tool, schema.clone()));
    let mut request = ChatRequest::new([ChatMessage::user("Go on.")]).with_tools(tools);
    let agent = component::agent(name).start()?;
    let is_read = agent
        .run(async {
            loop {
                let answer = component::request("openai", name).stream(model.stream(request.clone())).await?;
                let mut answer = answer.on_item(|request, delta| match delta {
                    ChatDelta::Text(text) => request.chunk(text),
                    ChatDelta::Usage(usage) => request.usage(*usage),
                    _ => {}
                });
                let mut response = ChatResponse::default();
                while let Some(delta) = answer.next().await {
                    response.push(delta?);
                    if until(&response.text) {
                        return Ok::<_, BoxError>(false);
                    }
                }
                if response.tool_calls.is_empty() {
                    return Ok(true);
                }
                let results = response.tool_calls.iter().map(async |call| {
                    let result = component::tool(&*call.name).run(work(url.to_owned(), call.name.clone())).await;
                    ChatMessage::tool(result.unwrap_or_else(|error| error.to_string()), &*call.id)
                });
                let results = join_all(results).await;
                request.messages.push(ChatMessage::assistant("", response.tool_calls));
                request.messages.extend(results);
            }
        })
        .await?;
    if is_read {
        agent.complete(());
    }
    Ok(())
}

#[tokio::test]
async fn the_guard_tells_the_story() {
    let (stream, server) = (EventStream::new(), server().await);
    let url = server.base_url();
    let story = async {
        agent(&url, "researcher", &["search", "prices", "broken"], |_| false).await?;
        agent(&url, "writer", &["ask_editor"], |_| false).await?;
        agent(&url, "talker", &[], |text| text.starts_with("Well")).await?;
        let waiter = agent(&url, "waiter", &["wait"], |_| false);
        cancel_waiting(&stream, waiter).await;
        Ok::<_, BoxError>(())
    };
    component::workflow(&stream, "report").run(story).await.expect("it goes well");
    assert_eq!(telling(&stream), STORY);
}

/// An agent of the runtime; its tools do what the others' do.
fn native(server: &ScriptedServer, name: &'static str, tools: &[&'static str]) -> AgentStep {
    let agent = Agent::builder(name, model(&server.base_url(), name));
    let tools = tools.iter().map(|tool| {
        let (tool, url) = (*tool, server.base_url());
        FnTool::new(tool, tool, json!({"type": "object", "properties": {}}), move |_, _| {
            let url = url.clone();
            async move { work(url, tool.to_owned()).await.map(JsonValue::from) }
        })
    });
    AgentStep::new(tools.fold(agent, |agent, tool| agent.with_tool(tool)).build())
}

/// It has steps, and no reader of its own who could leave an answer; the run is canceled that waits.
#[tokio::test]
async fn the_runtime_tells_what_it_can_of_the_story() {
    let server = server().await;
    let report = Workflow::new("report")
        .add_step(native(&server, "researcher", &["search", "prices", "broken"]))
        .add_step(native(&server, "writer", &["ask_editor"]))
        .add_step(native(&server, "waiter", &["wait"]))
        .build();
    let runtime = Runtime::new();
    cancel_waiting(runtime.event_stream(), runtime.execute(&report, "Go on.")).await;

    let without_steps = |line: &str| {
        let depth = line.len() - line.trim_start().len();
        let is_of_report = depth > 2;
        (!line.contains("workflow_step")).then(|| format!("{}\n", if is_of_report { &line[2..] } else { line }))
    };
    let said: String = telling(runtime.event_stream()).lines().filter_map(without_steps).collect();
    let known = STORY
        .replace("report: completed", "report: canceled")
        .lines()
        .filter(|line| !line.contains("talker"))
        .fold(String::new(), |known, line| known + line + "\n");
    assert_eq!(said, known);
}
