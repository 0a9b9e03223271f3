//! The story, told by a hand-written loop over genai with its own telemetry and `ingest`, and what genai cannot know of it.

#[path = "support/client.rs"]
mod client;
#[expect(dead_code, reason = "shared with the tests of the root, which use other parts of it")]
#[path = "../../../tests/support/scripted_server.rs"]
mod scripted_server;
#[path = "../../../tests/support/story.rs"]
mod story;

use std::sync::Arc;

use agent_runtime::{component, ingest::ingest, prelude::*};
use client::client;
use futures_util::{StreamExt as _, future::join_all};
use genai::{
    Client,
    chat::{ChatMessage, ChatOptions, ChatRequest, ChatStreamEvent, MessageContent, Tool, ToolCall, ToolResponse},
    otel::agent::{AgentSpan, execute_tool_span, set_error},
};
use story::{STORY, cancel_waiting, server, telling};
use tracing::Instrument as _;
use tracing_subscriber::{layer::SubscriberExt as _, registry};

/// What the loop's tools do, by name.
type Work = Arc<dyn Fn(&str) -> futures_util::future::BoxFuture<'static, Result<String, &'static str>> + Send + Sync>;

/// One answer: its text and the tools that it asks for. `until` ends the reading.
async fn ask(
    client: &Client,
    model: &str,
    request: ChatRequest,
    until: impl Fn(&str) -> bool,
) -> Option<(String, Vec<ToolCall>)> {
    let options = ChatOptions::default().with_capture_usage(true).with_capture_tool_calls(true);
    let mut answer = client.exec_chat_stream(model, request, Some(&options)).await.expect("it answers").stream;
    let (mut text, mut calls) = (String::new(), Vec::new());
    while let Some(event) = answer.next().await {
        match event.expect("the answer is whole") {
            ChatStreamEvent::Chunk(chunk) => text += &chunk.content,
            ChatStreamEvent::End(end) => calls = end.captured_into_tool_calls().unwrap_or_default(),
            _ => {}
        }
        if until(&text) {
            return None;
        }
    }
    Some((text, calls))
}

/// The loop of an agent that is called like its model.
async fn agent(client: &Client, name: &str, tools: &[&str], work: Work, until: impl Fn(&str) -> bool) {
    let body = async {
        let tools: Vec<_> = tools.iter().map(|tool| Tool::new(*tool).with_schema(json!({"type": "object"}))).collect();
        let mut request = ChatRequest::from_user("Go on.").with_tools(tools);
        while let Some((_, calls)) = ask(client, name, request.clone(), &until).await
            && !calls.is_empty()
        {
            let results = join_all(calls.iter().map(|call| {
                let span = execute_tool_span(call);
                let run = work(&call.fn_name);
                async move {
                    let result = run.instrument(span.clone()).await;
                    if let Err(kind) = result {
                        set_error(&span, kind);
                    }
                    ToolResponse::from_tool_call(call, result.unwrap_or_else(str::to_owned))
                }
            }));
            let results = results.await;
            request = request.append_message(ChatMessage::assistant(MessageContent::from_tool_calls(calls)));
            request = request.append_message(ChatMessage::tool(MessageContent::from_tool_responses(results)));
        }
    };
    body.instrument(AgentSpan::invoke_agent().with_name(name).start()).await;
}

#[tokio::test]
async fn genai_tells_the_story_as_far_as_it_knows() {
    let stream = EventStream::new();
    let _default = agent_runtime::testing::set_default(registry().with(ingest(&stream)));
    let server = server().await;
    let client = client(&server.base_url());
    let editor_client = client.clone();
    let work: Work = Arc::new(move |name| {
        let (name, client) = (name.to_owned(), editor_client.clone());
        Box::pin(async move {
            match name.as_str() {
                "broken" => Err("not_found"),
                "wait" => std::future::pending().await,
                "ask_editor" => {
                    let idle: Work = Arc::new(|_| Box::pin(async { Ok(String::new()) }));
                    let review = agent(&client, "editor", &[], idle, |_| false);
                    let review = async {
                        review.await;
                        Ok::<_, std::convert::Infallible>(())
                    };
                    component::nested_workflow("review").run(review).await.expect("it never fails");
                    Ok("Fine.".to_owned())
                }
                _ => Ok("a page".to_owned()),
            }
        })
    });

    let run = component::workflow(&stream, "report").start().expect("a run");
    run.run(async {
        agent(&client, "researcher", &["search", "prices", "broken"], Arc::clone(&work), |_| false).await;
        agent(&client, "writer", &["ask_editor"], Arc::clone(&work), |_| false).await;
        agent(&client, "talker", &[], Arc::clone(&work), |text| text.starts_with("Well")).await;
        let waiter = agent(&client, "waiter", &["wait"], work, |_| false);
        cancel_waiting(&stream, waiter).await;
    })
    .await;
    run.complete(());

    // Its spans say nothing of pieces, and of an agent or a tool only that it failed.
    let mut known = STORY.to_owned();
    for (is, said) in [
        ("2 chunks", "0 chunks"),
        ("1 chunks", "0 chunks"),
        ("3 chunks", "0 chunks"),
        ("invoke_agent talker: canceled", "invoke_agent talker: completed"),
        ("invoke_agent waiter: canceled", "invoke_agent waiter: completed"),
        ("execute_tool wait: canceled", "execute_tool wait: completed"),
    ] {
        known = known.replace(is, said);
    }
    assert_eq!(telling(&stream), known);
}
