//! A client of genai under the runtime's agents.

#[path = "support/client.rs"]
mod client;
#[expect(dead_code, reason = "shared with the tests of the root, which use other parts of it")]
#[path = "../../../tests/support/scripted_server.rs"]
mod scripted_server;

use std::time::Duration;

use agent_runtime::{
    ingest::ingest,
    llm::{ChatMessage, ChatModel as _, ChatRequest, ModelError},
    prelude::*,
    view::Tree,
};
use agent_runtime_genai::GenaiModel;
use client::client;
use futures_util::TryStreamExt as _;
use scripted_server::{HttpReply, ScriptedServer};
use tracing_subscriber::{layer::SubscriberExt as _, registry};

fn model(server: &ScriptedServer) -> GenaiModel {
    GenaiModel::new(client(&server.base_url()), "gpt-test")
}

/// What asking once comes to.
async fn ask(reply: HttpReply) -> Result<Vec<agent_runtime::llm::ChatDelta>, ModelError> {
    let server = ScriptedServer::start([reply]).await;
    let request = ChatRequest::new([ChatMessage::user("Hi!")]);
    model(&server).stream(request).await?.try_collect().await
}

#[tokio::test]
async fn an_agent_asks_it_and_each_request_is_counted_once() {
    let server = ScriptedServer::start([
        HttpReply::tool_calls(&[("c1", "clock", json!({"zone": "utc"}))]),
        HttpReply::chat(&["Half ", "past ", "nine."]),
    ])
    .await;
    let runtime = Runtime::new();
    // genai's own telemetry is on and taken in: its spans are the runtime's requests.
    let _default = agent_runtime::testing::set_default(registry().with(ingest(runtime.event_stream())));
    let clock = FnTool::new("clock", "The time.", json!({"type": "object"}), |arguments, _| async move {
        Ok(json!({"asked": arguments, "time": "9:30"}))
    });
    let agent = Agent::builder("assistant", model(&server)).with_tool(clock).build();
    let workflow = Workflow::new("chat").add_step(AgentStep::new(agent)).build();
    let run = runtime.execute(&workflow, "What time is it?").await.expect("it answers");

    assert_eq!(run.output, "Half past nine.");
    let events = runtime.event_stream().get_events(0).await;
    agent_runtime::testing::assert_balanced(&events);
    let tree = "invoke_workflow chat\n  workflow_step assistant\n    invoke_agent assistant\n      chat gpt-test\n      execute_tool clock\n      chat gpt-test\n";
    assert_eq!(Tree::of(&events).outline(), tree);
    let ends = || events.iter().filter(|event| event.event_type == EventType::Completed);
    let requests: Vec<_> = ends().filter(|event| event.scope == EventScope::LlmRequest).collect();
    assert_eq!(requests.iter().map(|end| end.data["usage"]["total_tokens"].clone()).collect::<Vec<_>>(), [12, 12]);
    assert_eq!((&requests[1].data["chunk_count"], &requests[1].data["finish_reason"]), (&json!(3), &json!("stop")));
    let started = events.iter().find(|event| event.scope == EventScope::LlmRequest).expect("a request");
    assert_eq!((&started.data["provider"], &started.data["model"]), (&json!("openai"), &json!("gpt-test")));
    let agent = ends().find(|event| event.scope == EventScope::Agent).expect("the agent");
    assert_eq!(agent.data["total_tokens"], 24);

    // The call and its result went back as the provider wants them.
    let messages = server.requests()[1].body["messages"].clone();
    assert_eq!(messages[1]["tool_calls"][0]["function"]["name"], "clock");
    assert_eq!((&messages[2]["role"], &messages[2]["tool_call_id"]), (&json!("tool"), &json!("c1")));
}

#[tokio::test]
async fn failures_are_those_that_the_runtime_knows() {
    let refused = |status| {
        let body = json!({"error": {"message": "slow down", "code": "rate_limited"}});
        HttpReply::json(status, &body).with_header("retry-after", "2")
    };
    let error = ask(refused(429)).await.expect_err("it is refused");
    assert!(error.is_retryable(), "{error:?}");
    assert_eq!((error.code(), error.retry_after()), ("rate_limit_exceeded", Some(Duration::from_secs(2))));

    let error = ask(refused(401)).await.expect_err("it is refused");
    assert_eq!((error.code(), error.is_retryable()), ("authentication", false));

    let cut = HttpReply::events().then("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n");
    let error = ask(cut.then_break_off()).await.expect_err("it is cut");
    assert!(error.is_retryable(), "{error:?}");

    let error = ask(HttpReply::events().then("data: {oops\n\n")).await.expect_err("it is no JSON");
    assert_eq!(error.code(), "invalid_response", "{error:?}");
}
