//! What of an event reaches a store: without being asked for, no content.

use std::{borrow::Cow, sync::Arc};

use agent_runtime::{
    prelude::*,
    store::{Cursor, EventStore as _, MemoryStore, Query, Recorder, RecorderBuilder},
};

use crate::support::{replies, tool};

const CANARIES: [&str; 6] =
    ["canary-prompt", "canary-system", "canary-arguments", "canary-result", "canary-answer", "canary-error"];

/// A run with a canary wherever content can be.
async fn run(runtime: &Runtime) {
    let [prompt, system, arguments, result, answer, error] = CANARIES;
    let call = |name| ScriptedReply::tool_calls([(name, json!({ "q": arguments }))]);
    let model = replies([call("find"), call("find"), call("fail"), ScriptedReply::text(answer)]);
    let find = tool("find", move |_, progress| async move {
        progress(format!("looking for '{arguments}'"), Some(1));
        Ok(json!({ "found": result }))
    });
    let fail = tool("fail", move |_, _| async move { Err(format!("cannot read '{error}'").into()) });
    let agent = Agent::builder("agent", model).with_system_prompt(system).with_tool(find).with_tool(fail).build();
    let workflow = Workflow::new("flow").add_step(AgentStep::new(agent)).build();
    runtime.execute(&workflow, prompt).await.expect("the run succeeds");
}

async fn stored(set_up: impl FnOnce(RecorderBuilder) -> RecorderBuilder, hand_made: Option<Event>) -> Vec<Event> {
    let store = Arc::new(MemoryStore::new());
    let runtime = Runtime::new();
    let recorder =
        set_up(Recorder::builder(store.clone())).start(runtime.event_stream()).await.expect("the store is open");
    run(&runtime).await;
    hand_made.into_iter().for_each(|event| drop(runtime.event_stream().append(event).expect("it is valid")));
    assert!(recorder.stop().await.is_complete());
    let page = store.read(Cursor::Beginning, &Query::default(), usize::MAX).await.expect("the store is open");
    page.events.into_iter().map(|stored| Event::clone(&stored.event)).collect()
}

fn found(events: &[Event], word: &str) -> usize {
    events.iter().filter(|event| serde_json::to_string(event).expect("an event has a JSON form").contains(word)).count()
}

#[tokio::test]
async fn by_default_no_content_is_stored_and_what_is_known_not_to_be_content_is() {
    let data = json!({
        "duration_ms": "canary-hand", "tool_calls": [{ "name": "canary-hand" }], "note": "canary-hand",
        "usage": { "total_tokens": 5, "note": "canary-hand" }, "model": ["canary-hand"], "response_model": "m-1",
        "tags": ["eu", { "note": "canary-hand" }], "error": "canary-hand",
    });
    let hand_made = Event::llm_failed("agent:llm:9", "canary-hand is no JSON", None, None, data);
    let events = stored(|builder| builder, Some(hand_made)).await;
    for canary in CANARIES.into_iter().chain(["canary-hand"]) {
        assert_eq!(found(&events, canary), 0, "{canary}");
    }
    let last = events.last().unwrap();
    assert_eq!(last.data, json!({ "usage": { "total_tokens": 5 }, "response_model": "m-1", "tags": ["eu"] }));
    let ends: Vec<_> = events.iter().filter(|event| event.event_type == EventType::Completed).collect();
    assert!(ends.iter().all(|end| end.data["duration_ms"].is_u64()));
    let asked = events.iter().find(|event| event.scope == EventScope::LlmRequest).unwrap();
    assert_eq!((asked.data["model"].as_str(), asked.data["messages"].is_null()), (Some("scripted"), true));
    let failed = events.iter().find(|event| event.event_type == EventType::Failed).unwrap();
    assert!(failed.message.as_ref().is_some_and(|message| !message.is_empty()), "{failed:?}");
    // Pieces of an answer can still be counted.
    assert!(events.iter().any(|event| event.data["chunk"] == ""));
}

#[tokio::test]
async fn content_that_was_asked_for_is_stored() {
    let events = stored(|builder| builder.with_content(true), None).await;
    for canary in CANARIES {
        assert_ne!(found(&events, canary), 0, "{canary}");
    }
}

#[tokio::test]
async fn a_redaction_comes_before_the_store_and_no_piece_of_an_answer_passes_it() {
    let redact = |event: &mut Event| {
        let text = serde_json::to_string(&event.data).unwrap();
        event.data = serde_json::from_str::<JsonValue>(&text.replace("canary", "[gone]")).unwrap().into();
        event.message = event.message.take().map(|message| message.replace("canary", "[gone]"));
        // Not for it to change.
        (event.event_id, event.offset) = (uuid::Uuid::nil(), None);
        (event.start_id, event.parent_start_id) = (None, None);
    };
    let events = stored(|builder| builder.with_content(true).with_redaction(redact), None).await;
    assert_eq!(found(&events, "canary"), 0);
    assert_ne!(found(&events, "[gone]-answer"), 0, "the whole answer is redacted and stored");
    let pieces: Vec<_> = events.iter().filter_map(|event| event.data.chunk_text()).collect();
    assert!(!pieces.is_empty() && pieces.iter().all(|piece| piece.is_empty()), "{pieces:?}");
    assert!(events.iter().zip(0..).all(|(event, offset)| event.offset == Some(offset) && !event.event_id.is_nil()));
    let is_root = |event: &Event| event.scope == EventScope::Workflow;
    let is_bound = |event: &Event| match event.event_type {
        EventType::Started => event.parent_start_id.is_some() || is_root(event),
        _ => event.start_id.is_some() || event.scope == EventScope::System,
    };
    assert!(events.iter().all(is_bound), "what belongs to what is not for it to change");
}

#[tokio::test]
async fn a_redaction_that_panics_costs_the_text_and_nothing_else() {
    let panics = |event: &mut Event| assert!(event.scope != EventScope::Tool, "a redaction fails");
    let events = stored(|builder| builder.with_content(true).with_redaction(panics), None).await;
    let of_tools: Vec<_> = events.iter().filter(|event| event.scope == EventScope::Tool).collect();
    assert!(!of_tools.is_empty() && of_tools.iter().all(|event| event.data.is_null() && event.message.is_none()));
    assert_ne!(found(&events, "canary-answer"), 0);
}

/// A redactor of telemetry, for the store.
struct NoCanary;

impl agent_runtime::otel::Redactor for NoCanary {
    fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        text.replace("canary", "[gone]").into()
    }
}

#[tokio::test]
async fn the_policy_of_the_telemetry_redacts_for_the_store_too() {
    let policy = agent_runtime::otel::ContentPolicy::default().with_redactor(NoCanary);
    let redact = move |event: &mut Event| policy.redact_event(event);
    let events = stored(|builder| builder.with_content(true).with_redaction(redact), None).await;
    assert_eq!(found(&events, "canary"), 0);
    assert_ne!(found(&events, "[gone]-result"), 0);
}
