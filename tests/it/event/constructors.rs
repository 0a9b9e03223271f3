//! Each constructor sets scope, type, status, message and run together.

use agent_runtime::prelude::*;

/// The constructors of one scope with what each must give: its type and its message.
macro_rules! built {
    ($scope:ident: $started:ident $progress:ident $completed:ident $failed:ident $canceled:ident) => {{
        let (id, run, above) = (crate::stream::support::id_of(EventScope::$scope), Some("wf".into()), Some("up".into()));
        let (note, data) = (|text: &str| Some(text.to_owned()), json!({"k": 1}));
        [
            (EventScope::$scope, EventType::Started, None, Event::$started(id, run.clone(), above.clone(), data.clone())),
            (
                EventScope::$scope,
                EventType::Progress,
                Some("half"),
                Event::$progress(id, note("half"), run.clone(), above.clone(), data.clone()),
            ),
            (
                EventScope::$scope,
                EventType::Completed,
                None,
                Event::$completed(id, run.clone(), above.clone(), data.clone()),
            ),
            (
                EventScope::$scope,
                EventType::Failed,
                Some("broken"),
                Event::$failed(id, "broken".to_string(), run.clone(), above.clone(), data.clone()),
            ),
            (EventScope::$scope, EventType::Canceled, Some("stop"), Event::$canceled(id, note("stop"), run, above, data)),
        ]
    }};
}

fn all_built() -> Vec<(EventScope, EventType, Option<&'static str>, Event)> {
    [
        built!(Workflow: workflow_started workflow_progress workflow_completed workflow_failed workflow_canceled),
        built!(WorkflowStep: workflow_step_started workflow_step_progress workflow_step_completed workflow_step_failed
            workflow_step_canceled),
        built!(Agent: agent_started agent_progress agent_completed agent_failed agent_canceled),
        built!(LlmRequest: llm_started llm_progress llm_completed llm_failed llm_canceled),
        built!(Tool: tool_started tool_progress tool_completed tool_failed tool_canceled),
        built!(System: system_started system_progress system_completed system_failed system_canceled),
    ]
    .concat()
}

/// The guide's table, written out: what a component's status is after an event of a type.
const fn status_after(event_type: EventType) -> ComponentStatus {
    match event_type {
        EventType::Started | EventType::Progress => ComponentStatus::Running,
        EventType::Completed => ComponentStatus::Completed,
        EventType::Failed => ComponentStatus::Failed,
        EventType::Canceled => ComponentStatus::Canceled,
    }
}

#[test]
fn every_constructor_sets_scope_type_status_message_and_run() {
    let built = all_built();
    assert_eq!(built.len(), EventScope::ALL.len() * EventType::ALL.len());
    for (scope, event_type, message, event) in built {
        let what = format!("{scope} {event_type}");
        assert_eq!((event.scope, event.event_type), (scope, event_type), "{what}");
        assert_eq!(event.status, status_after(event_type), "{what}");
        assert_eq!(event.message.as_deref(), message, "{what}");
        assert_eq!(event.workflow_id.as_deref(), Some("wf"), "{what}");
        assert_eq!(event.parent_workflow_id.as_deref(), Some("up"), "{what}");
        assert_eq!(event.data, json!({"k": 1}), "{what}");
        assert_eq!((event.offset, event.trace), (None, None), "{what}: only a stream gives these");
        assert!(event.validate().is_ok(), "{what}");
    }
}

#[test]
fn every_event_has_an_id_of_its_own_of_version_7() {
    let mut ids: Vec<_> = all_built().into_iter().map(|(.., event)| event.event_id).collect();
    assert!(ids.iter().all(|id| id.get_version_num() == 7));
    let built = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), built);
}

#[test]
fn only_the_three_ends_are_terminal() {
    let terminal: Vec<_> = EventType::ALL.iter().copied().filter(|event_type| event_type.is_terminal()).collect();
    assert_eq!(terminal, [EventType::Completed, EventType::Failed, EventType::Canceled]);
}

#[test]
fn a_component_id_is_read_as_a_name_and_a_number() {
    let table = [
        (EventScope::Workflow, "daily:report", "daily:report", None),
        (EventScope::WorkflowStep, "daily:step:4", "daily", Some(4)),
        (EventScope::Agent, "Prüfer", "Prüfer", None),
        (EventScope::LlmRequest, "team:lead:llm:12", "team:lead", Some(12)),
        (EventScope::Tool, "search", "search", None),
        (EventScope::Tool, "mcp:search:0", "mcp:search", Some(0)),
        (EventScope::System, "system:limiter", "limiter", None),
    ];
    for (scope, id, name, index) in table {
        let event = Event::new(scope, EventType::Started, id, None, json!({}));
        assert_eq!((event.component_name(), event.component_index()), (name, index), "{scope} {id}");
    }
}

#[test]
fn a_bad_id_is_refused_by_append_and_leaves_no_trace() {
    let stream = EventStream::new();
    let mut subscription = stream.subscribe();
    let table = [
        (EventScope::Workflow, "", "`name`, not empty"),
        (EventScope::WorkflowStep, "daily:4", "`workflow:step:N`"),
        (EventScope::Agent, " lead", "`name`, not empty"),
        (EventScope::LlmRequest, "llm", "`agent:llm:N`"),
        (EventScope::Tool, "search::0", "`tool` or `tool:N`"),
        (EventScope::System, "limiter", "`system:subsystem`"),
    ];
    for (scope, id, rule) in table {
        let event = Event::new(scope, EventType::Started, id, None, json!({}));
        let error = stream.append(event).expect_err(id);
        assert!(matches!(&error, EventError::ComponentId { scope: s, id: i, .. } if (*s, i.as_str()) == (scope, id)));
        let text = error.to_string();
        for part in [scope.as_str(), rule, &format!("{id:?}")] {
            assert!(text.contains(part), "{text:?} lacks {part:?}");
        }
    }
    assert_eq!(stream.next_offset(), 0, "a refused event takes no offset");
    assert!(subscription.try_recv().is_err());
}

#[test]
fn append_refuses_a_status_that_cannot_follow_from_the_type() {
    let statuses = [
        ComponentStatus::Pending,
        ComponentStatus::Running,
        ComponentStatus::Completed,
        ComponentStatus::Failed,
        ComponentStatus::Canceled,
    ];
    let stream = EventStream::new();
    for event_type in EventType::ALL.iter().copied() {
        for status in statuses {
            let mut event = crate::stream::support::event_of(EventScope::Agent, event_type);
            event.status = status;
            let may_be =
                status == status_after(event_type) || (status == ComponentStatus::Pending && !event_type.is_terminal());
            let appended = stream.append(event);
            assert_eq!(appended.is_ok(), may_be, "{event_type} with {status}");
            if let Err(error) = appended {
                assert!(
                    matches!(error, EventError::StatusMismatch { event_type: t, status: s, .. } if (t, s) == (event_type, status))
                );
                let text = error.to_string();
                assert!(text.contains(event_type.as_str()) && text.contains(status.as_str()), "{text}");
            }
        }
    }
}
