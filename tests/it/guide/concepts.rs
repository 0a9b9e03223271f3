//! The guide's ideas: scope × type × status, ids by scope, one life for all components, emission that never waits.

use std::collections::BTreeMap;

use agent_runtime::prelude::*;
use futures_util::FutureExt;

use super::homework::{EVENTS, do_on, done_to_a_channel};
use crate::support::assert_balanced;

#[tokio::test]
async fn every_component_of_a_run_lives_the_same_life() {
    let mut rx = done_to_a_channel().await;
    let mut lives: BTreeMap<String, Vec<EventType>> = BTreeMap::new();
    while let Some(event) = rx.recv().await {
        let expected = match event.event_type {
            EventType::Started | EventType::Progress => ComponentStatus::Running,
            EventType::Completed => ComponentStatus::Completed,
            EventType::Failed => ComponentStatus::Failed,
            EventType::Canceled => ComponentStatus::Canceled,
        };
        assert_eq!(event.status, expected);
        lives.entry(format!("{} {}", event.scope, event.component_id)).or_default().push(event.event_type);
    }
    let (started, progress) = (EventType::Started, EventType::Progress);
    let (completed, failed) = (EventType::Completed, EventType::Failed);
    let expected = [
        ("agent pupil", vec![started, progress, completed]),
        ("llm_request pupil:llm:0", vec![started, failed]),
        ("llm_request pupil:llm:1", vec![started, completed]),
        ("llm_request pupil:llm:2", vec![started, progress, progress, progress, completed]),
        ("tool calculator:0", vec![started, progress, completed]),
        ("tool search:0", vec![started, failed]),
        ("workflow homework", vec![started, completed]),
        ("workflow_step homework:step:0", vec![started, completed]),
    ];
    assert_eq!(lives, expected.map(|(component, life)| (component.to_owned(), life)).into());
    assert_eq!(lives.values().map(Vec::len).sum::<usize>(), EVENTS);
}

#[tokio::test]
async fn an_event_has_the_fields_of_the_guide() {
    let stream = EventStream::new();
    let run = do_on(&stream).await;
    let events = stream.get_events(0).await;
    assert_balanced(&events);
    let mut ids = std::collections::HashSet::new();
    for event in &events {
        assert!(ids.insert(event.event_id), "each event has an id of its own");
        assert_eq!(event.workflow_id.as_deref(), Some(run.workflow_id.as_str()));
        assert_eq!(event.parent_workflow_id, None);
        assert!(event.data.is_object());
    }
    assert!(events.is_sorted_by_key(|event| event.timestamp));
    let failed = events.iter().find(|event| event.event_type == EventType::Failed).expect("a request is turned away");
    assert!(failed.message.as_deref().is_some_and(|message| message.contains("Slow down.")));
}

#[test]
fn emission_waits_for_nobody() {
    let stream = EventStream::new();
    let mut reader = stream.subscribe();
    let event = Event::system_progress("system:boot", Some("up".into()), None, None, json!({"ms": 3}));
    let appended = stream.append(event).expect("the id follows the rule");
    assert_eq!(appended.offset, Some(0));
    assert_eq!(reader.recv().now_or_never().expect("it is there at once").expect("it is open"), *appended);
    assert_eq!(stream.get_events(0).now_or_never().expect("the history is there, too").len(), 1);
}

#[test]
fn ids_follow_the_form_of_their_scope_or_are_refused() {
    let stream = EventStream::new();
    let good = [
        Event::workflow_started("data_pipeline", None, None, json!({})),
        Event::workflow_step_started("pipeline:step:0", None, None, json!({})),
        Event::agent_started("researcher", None, None, json!({})),
        Event::llm_started("researcher:llm:0", None, None, json!({})),
        Event::tool_started("calculator", None, None, json!({})),
        Event::tool_started("web_scraper:0", None, None, json!({})),
        Event::tool_started("web_scraper:batch_1", None, None, json!({})),
        Event::system_progress("system:tool_loop", None, None, None, json!({})),
    ];
    for event in good {
        stream.append(event).expect("the guide's own id");
    }
    let bad = [
        Event::llm_started("llm", None, None, json!({})),
        Event::workflow_step_started("step", None, None, json!({})),
        Event::system_progress("tool_loop", None, None, None, json!({})),
        Event::agent_started("", None, None, json!({})),
    ];
    for event in bad {
        let id = event.component_id.clone();
        let error = stream.append(event).expect_err("an id without its context");
        assert!(error.to_string().contains(&format!("{id:?}")), "{error}");
    }
    assert_eq!(stream.next_offset(), 8);
}
