//! A filtered subscription gives exactly the events that meet every condition, in order.

use agent_runtime::{prelude::*, stream::Subscription};

use super::support::{all_kinds, append_numbers, drain, event_of, offsets};

/// A filter and what it must let through.
pub(super) type Case = (&'static str, fn(Subscription) -> Subscription, fn(&Event) -> bool);

pub(super) const CASES: [Case; 14] = [
    ("none", |s| s, |_| true),
    ("scope", |s| s.filter(EventScope::LlmRequest), |e| e.scope == EventScope::LlmRequest),
    ("status", |s| s.filter_status(ComponentStatus::Failed), |e| e.status == ComponentStatus::Failed),
    ("running", |s| s.filter_status(ComponentStatus::Running), |e| !e.event_type.is_terminal()),
    ("type", |s| s.filter_type(EventType::Progress), |e| e.event_type == EventType::Progress),
    ("component", |s| s.filter_component("researcher:llm:2"), |e| e.component_id == "researcher:llm:2"),
    (
        "workflow with its children",
        |s| s.filter_workflow("parent"),
        |e| [&e.workflow_id, &e.parent_workflow_id].contains(&&Some("parent".to_owned())),
    ),
    ("workflow without children", |s| s.filter_workflow("child"), |e| e.workflow_id.as_deref() == Some("child")),
    (
        "scope and status",
        |s| s.filter(EventScope::Tool).filter_status(ComponentStatus::Failed),
        |e| e.scope == EventScope::Tool && e.status == ComponentStatus::Failed,
    ),
    (
        "all at once",
        |s| {
            s.filter(EventScope::Agent)
                .filter_status(ComponentStatus::Running)
                .filter_type(EventType::Started)
                .filter_workflow("parent")
                .filter_component("researcher")
        },
        |e| {
            e.scope == EventScope::Agent
                && e.event_type == EventType::Started
                && (e.workflow_id.as_deref() == Some("parent") || e.parent_workflow_id.as_deref() == Some("parent"))
        },
    ),
    (
        "two scopes and two statuses",
        |s| {
            s.filter(EventScope::Tool)
                .filter_status(ComponentStatus::Failed)
                .filter(EventScope::Agent)
                .filter_status(ComponentStatus::Canceled)
                .filter(EventScope::Tool)
        },
        |e| {
            [EventScope::Tool, EventScope::Agent].contains(&e.scope)
                && [ComponentStatus::Failed, ComponentStatus::Canceled].contains(&e.status)
        },
    ),
    (
        "two workflows and two components",
        |s| {
            let runs = s.filter_workflow("child").filter_workflow("other");
            runs.filter_component("researcher").filter_component("researcher:llm:2").filter_component("nobody")
        },
        |e| {
            [Some("child"), Some("other")].contains(&e.workflow_id.as_deref())
                && ["researcher", "researcher:llm:2"].contains(&e.component_id.as_str())
        },
    ),
    ("two runs", |s| s.filter_run("parent").filter_run("other"), |e| e.workflow_id.is_some()),
    ("nothing", |s| s.filter(EventScope::Agent).filter_component("researcher:llm:2"), |_| false),
];

/// Every scope and type, in no run, in a run, in a run nested in it and in an unrelated one.
pub(super) fn append_all_kinds(stream: &EventStream) {
    let runs =
        [(None, None), (Some("parent"), None), (Some("child"), Some("parent")), (Some("other"), Some("strange"))];
    for (run, above) in runs {
        for (scope, event_type) in all_kinds() {
            let event = event_of(scope, event_type).in_workflow(run.map(Into::into), above.map(Into::into));
            stream.append(event).expect("valid");
        }
    }
}

#[tokio::test]
async fn a_filter_gives_what_meets_all_of_its_conditions() {
    let stream = EventStream::new();
    let live: Vec<_> = CASES.iter().map(|(_, filter, _)| filter(stream.subscribe())).collect();
    append_all_kinds(&stream);
    let all = stream.get_events(0).await;
    for ((name, filter, passes), mut live) in CASES.into_iter().zip(live) {
        let expected = offsets(all.iter().filter(|event| passes(event)));
        assert_eq!(expected.is_empty(), name == "nothing");
        assert_eq!(offsets(&drain(&mut live)), expected, "{name}, live");
        assert_eq!(offsets(&drain(&mut filter(stream.subscribe_from(0)))), expected, "{name}, from the history");
    }
}

#[test]
fn runs_and_types_narrow_each_other_and_each_of_them_widens() {
    let stream = EventStream::new();
    append_all_kinds(&stream);
    let runs = stream.subscribe_from(0).filter_run("parent").filter_run("other").filter_run("parent");
    let mut subscription = runs.filter_type(EventType::Started).filter_type(EventType::Failed);
    let events = drain(&mut subscription);
    // Six scopes, two types, three runs.
    assert_eq!(events.len(), 6 * 2 * 3);
    assert!(events.iter().all(|event| [EventType::Started, EventType::Failed].contains(&event.event_type)));
}

#[tokio::test]
async fn a_filtered_reader_sleeps_through_what_it_does_not_want() {
    let stream = EventStream::new();
    let mut failures = stream.subscribe().filter_status(ComponentStatus::Failed);
    let reader = tokio::spawn(async move { failures.recv().await });
    for round in 0..300 {
        append_numbers(&stream, [round]);
        tokio::task::yield_now().await;
    }
    assert!(!reader.is_finished());
    stream.append(event_of(EventScope::Tool, EventType::Failed)).unwrap();
    assert_eq!(reader.await.unwrap().unwrap().offset, Some(300));
}
