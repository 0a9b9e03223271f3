//! What the hook says that spans do not, of an agent that nothing is around but a run.

#[expect(dead_code, reason = "shared with the tests of the root, which use other parts of it")]
#[path = "../../../tests/support/scripted_server.rs"]
mod scripted_server;

use agent_runtime::{component, ingest::ingest, prelude::*, testing::assert_balanced};
use agent_runtime_rig::Report;
use futures_util::StreamExt as _;
use rig_agent::agent::{Agent, AgentBuilder};
use rig_core::providers::openai::OpenAIConfig;
use scripted_server::{HttpReply, ScriptedServer};
use tracing_subscriber::{layer::SubscriberExt as _, registry};

fn agent(server: &ScriptedServer) -> Agent {
    let client = OpenAIConfig::new("no key").with_base_url(server.base_url()).client();
    AgentBuilder::new(client.chat("small")).name("writer").add_hook(Report).build()
}

/// The events of an agent that does its work in a run.
async fn events_of(replies: impl IntoIterator<Item = HttpReply>, work: impl AsyncFnOnce(Agent)) -> Vec<Event> {
    let stream = EventStream::new();
    let _default = agent_runtime::testing::set_default(registry().with(ingest(&stream)));
    let server = ScriptedServer::start(replies).await;
    let run = component::workflow(&stream, "report").start().expect("a run");
    run.run(work(agent(&server))).await;
    run.complete(());
    let events = stream.get_events(0).await;
    assert_balanced(&events);
    events
}

fn end<'a>(events: &'a [Event], component_id: &str) -> &'a Event {
    let is_it = |event: &&Event| event.component_id == component_id && event.event_type.is_terminal();
    events.iter().find(is_it).unwrap_or_else(|| panic!("no end of {component_id} in {events:#?}"))
}

#[tokio::test]
async fn an_agent_says_what_it_returned_and_its_request_in_which_pieces() {
    let work = async |agent: Agent| {
        let mut answer = agent.prompt("Write.").stream();
        while let Some(item) = answer.next().await {
            item.expect("it answers");
        }
    };
    let events = events_of([HttpReply::chat(&["Otters ", "pay."])], work).await;
    assert_eq!(end(&events, "writer").data["output"], "Otters pay.");
    let request = &end(&events, "writer:llm:0").data;
    assert_eq!((&request["response"], &request["chunk_count"]), (&json!("Otters pay."), &json!(2)));
    let pieces = events.iter().filter(|event| event.event_type == EventType::Progress);
    assert_eq!(
        pieces.filter_map(|event| event.data.chunk_text().map(str::to_owned)).collect::<Vec<_>>(),
        ["Otters ", "pay."]
    );
}

#[tokio::test]
async fn an_answer_that_comes_at_once_has_its_request_too() {
    let message = json!({"role": "assistant", "content": "Otters pay."});
    let reply = json!({
        "id": "r-1", "object": "chat.completion", "created": 1, "model": "small-2026",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12},
    });
    let work = async |agent: Agent| drop(agent.prompt("Write.").run().await.expect("it answers"));
    let events = events_of([HttpReply::json(200, &reply)], work).await;
    let request = end(&events, "writer:llm:0");
    assert_eq!(request.event_type, EventType::Completed);
    assert_eq!(
        (&request.data["usage"]["total_tokens"], &request.data["response_model"]),
        (&json!(12), &json!("small-2026"))
    );
    assert_eq!(end(&events, "writer").data["total_tokens"], 12);
}

#[tokio::test]
async fn a_request_that_is_refused_fails_and_its_agent_with_it() {
    let refusal = json!({"error": {"message": "who is canary-4711?", "code": "invalid_api_key"}});
    let work = async |agent: Agent| drop(agent.prompt("Write.").run().await.expect_err("it is refused"));
    let events = events_of([HttpReply::json(401, &refusal)], work).await;
    let request = end(&events, "writer:llm:0");
    assert_eq!((request.event_type, &request.data["error_code"]), (EventType::Failed, &json!("request_failed")));
    let agent = end(&events, "writer");
    assert_eq!((agent.event_type, &agent.data["error_code"]), (EventType::Failed, &json!("agent_failed")));
    // Every layer reads what the hook says, so it quotes nobody.
    assert!(!format!("{events:?}").contains("canary"), "{events:#?}");
}
