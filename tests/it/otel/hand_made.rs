//! Events that no runtime made: nested by their ids alone, and forgiving where they do not match.

use std::time::Duration;

use agent_runtime::{otel::SpanMapper, prelude::*};
use chrono::{DateTime, TimeDelta};
use opentelemetry::{
    Context,
    trace::{Span as _, TraceContextExt as _, Tracer as _, TracerProvider as _},
};
use opentelemetry_sdk::trace::SdkTracer;

use crate::support::{Recording, Spans, dispatch_of, spans};

/// An event by hand, in workflow `w` unless told otherwise.
fn event(event_type: EventType, scope: EventScope, id: &str) -> Event {
    Event::new(scope, event_type, id, None, json!({})).in_workflow(Some("w".to_owned()), None)
}

fn started(scope: EventScope, id: &str) -> Event {
    event(EventType::Started, scope, id)
}

fn completed(scope: EventScope, id: &str) -> Event {
    event(EventType::Completed, scope, id)
}

/// Appends the events under a recording; gives the spans and how many are still open.
fn appended(events: Vec<Event>) -> (Spans, usize) {
    let recording = Recording::new();
    let _subscriber = tracing::dispatcher::set_default(&recording.dispatch());
    let stream = EventStream::new();
    for event in events {
        stream.append(event).expect("the ids are well-formed");
    }
    (recording.spans(), recording.mapper().open_spans())
}

/// A whole life by hand: every scope, a nested workflow, and two tools of one agent that end in the order they began.
fn life() -> Vec<Event> {
    use EventScope::{Agent, LlmRequest, Tool, Workflow, WorkflowStep};
    let nested = |event: Event| event.in_workflow(Some("inner".to_owned()), Some("w".to_owned()));
    let mut events = vec![
        started(Workflow, "flow"),
        started(WorkflowStep, "flow:step:0"),
        started(Agent, "agent"),
        started(LlmRequest, "agent:llm:0"),
        completed(LlmRequest, "agent:llm:0"),
        started(Tool, "look:0"),
        started(Tool, "look:1"),
        completed(Tool, "look:0"),
        completed(Tool, "look:1"),
        completed(Agent, "agent"),
        completed(WorkflowStep, "flow:step:0"),
        started(WorkflowStep, "flow:step:1"),
        nested(started(Workflow, "nested")),
        nested(started(WorkflowStep, "nested:step:0")),
        nested(started(Agent, "helper")),
        nested(completed(Agent, "helper")),
        nested(completed(WorkflowStep, "nested:step:0")),
        nested(completed(Workflow, "nested")),
        completed(WorkflowStep, "flow:step:1"),
        completed(Workflow, "flow"),
    ];
    for event in &mut events {
        let of_step = event.component_id.rsplit_once(":step:").map(|(name, number)| format!("{name} {number}"));
        event.data = of_step.map_or(json!({"model": "m"}), |name| json!({"step_name": name})).into();
    }
    events
}

const LIFE_TREE: &str = "\
invoke_workflow flow
  workflow_step flow 0
    invoke_agent agent
      chat m
      execute_tool look
      execute_tool look
  workflow_step flow 1
    invoke_workflow nested
      workflow_step nested 0
        invoke_agent helper
";

#[test]
fn a_life_by_hand_nests_by_its_ids() {
    let (spans, open) = appended(life());
    assert_eq!((spans.tree().as_str(), open), (LIFE_TREE, 0));
    spans.assert_well_formed();
}

#[test]
fn a_life_by_hand_inside_one_span_of_the_users_nests_by_its_ids_under_it() {
    let recording = Recording::new();
    let tracer = recording.tracer_provider().tracer("the user's");
    let _subscriber = tracing::dispatcher::set_default(&recording.dispatch());
    let context = Context::current_with_span(tracer.start("request"));
    {
        let _active = context.attach();
        let stream = EventStream::new();
        life().into_iter().for_each(|event| drop(stream.append(event).expect("the ids are well-formed")));
    }
    let indented: String = LIFE_TREE.lines().map(|line| format!("  {line}\n")).collect();
    assert_eq!(recording.spans().tree(), format!("request\n{indented}"));
}

#[test]
fn parts_without_the_components_around_them_nest_in_what_there_is() {
    use EventScope::{Agent, LlmRequest, Tool, Workflow, WorkflowStep};
    let all = |ids: &[(EventScope, &str)]| {
        let starts = ids.iter().map(|(scope, id)| started(*scope, id));
        starts.chain(ids.iter().rev().map(|(scope, id)| completed(*scope, id))).collect::<Vec<_>>()
    };
    let cases: [(&[(EventScope, &str)], &str); 8] = [
        (&[(Agent, "a"), (LlmRequest, "a:llm:0")], "invoke_agent a\n  chat\n"),
        (&[(Workflow, "f"), (Agent, "a")], "invoke_workflow f\n  invoke_agent a\n"),
        (&[(Workflow, "f"), (LlmRequest, "b:llm:0")], "invoke_workflow f\n  chat\n"),
        (&[(Workflow, "f"), (Tool, "t")], "invoke_workflow f\n  execute_tool t\n"),
        (&[(LlmRequest, "a:llm:0"), (Tool, "t:0")], "chat\n  execute_tool t\n"),
        (&[(Agent, "a"), (Agent, "b"), (LlmRequest, "a:llm:0")], "invoke_agent a\n  chat\ninvoke_agent b\n"),
        (&[(WorkflowStep, "f:step:0"), (Tool, "t")], "workflow_step\n  execute_tool t\n"),
        (&[(Tool, "t")], "execute_tool t\n"),
    ];
    for (ids, tree) in cases {
        let (spans, open) = appended(all(ids));
        assert_eq!((spans.tree().as_str(), open), (tree, 0));
    }
}

#[test]
fn a_tool_that_names_its_agent_lies_under_that_one() {
    use EventScope::{Agent, Tool};
    let of = |mut event: Event, agent: &str| {
        event.data = json!({ "agent": agent }).into();
        event
    };
    let (spans, _) = appended(vec![
        started(Agent, "a"),
        started(Agent, "b"),
        of(started(Tool, "t:0"), "a"),
        of(started(Tool, "t:1"), "b"),
        completed(Tool, "t:1"),
        completed(Tool, "t:0"),
        completed(Agent, "a"),
        completed(Agent, "b"),
    ]);
    assert_eq!(spans.tree(), "invoke_agent a\n  execute_tool t\ninvoke_agent b\n  execute_tool t\n");
}

#[test]
fn an_end_without_a_start_is_a_marked_span_without_length() {
    use EventScope::{Agent, LlmRequest, Tool, Workflow, WorkflowStep};
    for event_type in [EventType::Completed, EventType::Failed, EventType::Canceled] {
        for (scope, id) in
            [(Workflow, "f"), (WorkflowStep, "f:step:0"), (Agent, "a"), (LlmRequest, "a:llm:0"), (Tool, "t")]
        {
            let (spans, open) = appended(vec![event(event_type, scope, id)]);
            assert_eq!((spans.len(), open), (1, 0), "{scope} {event_type}");
            let span = &spans[0];
            assert_eq!(spans::attribute(span, "agent_runtime.unmatched"), true);
            assert_eq!(span.start_time_unix_nano, span.end_time_unix_nano);
            assert_eq!(spans::outcome(span) == "unset", event_type == EventType::Completed);
        }
    }
}

#[test]
fn an_end_without_a_start_keeps_its_kind_and_its_place() {
    use EventScope::{Agent, LlmRequest, Workflow};
    let (spans, open) = appended(vec![
        started(Workflow, "f"),
        started(Agent, "a"),
        completed(LlmRequest, "a:llm:0"),
        completed(Agent, "a"),
        completed(Agent, "a"),
        completed(Workflow, "f"),
    ]);
    assert_eq!(open, 0);
    assert_eq!(spans.tree(), "invoke_workflow f\n  invoke_agent a\n    chat\n  invoke_agent a\n");
    assert_eq!(spans.one("chat").kind(), opentelemetry_proto::tonic::trace::v1::span::SpanKind::Client);
}

#[test]
fn progress_of_something_unknown_is_nothing() {
    use EventScope::{System, Tool};
    let (spans, open) =
        appended(vec![event(EventType::Progress, Tool, "t"), event(EventType::Progress, System, "system:something")]);
    assert_eq!((spans.len(), open), (0, 0));
}

#[test]
fn components_that_collide_pair_up_oldest_first() {
    use EventScope::{Agent, Tool};
    let say = |mut event: Event, word: &str| {
        event.message = Some(word.to_owned());
        event
    };
    let failed = |word| say(event(EventType::Failed, Tool, "t"), word);
    let (spans, open) = appended(vec![
        started(Agent, "a"),
        started(Tool, "t"),
        started(Tool, "t"),
        failed("first"),
        started(Tool, "t"),
        failed("second"),
        failed("third"),
        completed(Agent, "a"),
    ]);
    assert_eq!(open, 0);
    let mut tools: Vec<_> = spans.all("execute_tool t");
    tools.sort_by_key(|span| spans::attribute(span, "agent_runtime.event.offset").as_u64());
    let messages: Vec<_> = tools.iter().map(|span| span.status.as_ref().unwrap().message.as_str()).collect();
    assert_eq!(messages, ["first", "second", "third"]);
}

#[test]
fn the_same_component_in_two_workflows_is_two() {
    use EventScope::{Agent, Workflow};
    let of = |event: Event, id: &str| event.in_workflow(Some(id.to_owned()), None);
    let (spans, open) = appended(vec![
        of(started(Workflow, "f"), "w1"),
        of(started(Workflow, "f"), "w2"),
        of(started(Agent, "a"), "w1"),
        of(started(Agent, "a"), "w2"),
        of(completed(Agent, "a"), "w1"),
        of(completed(Workflow, "f"), "w1"),
        of(completed(Agent, "a"), "w2"),
        of(completed(Workflow, "f"), "w2"),
    ]);
    assert_eq!((spans.trace_ids().len(), open), (2, 0));
    assert_eq!(spans.tree(), "invoke_workflow f\n  invoke_agent a\ninvoke_workflow f\n  invoke_agent a\n");
    for agent in spans.all("invoke_agent a") {
        let parent = spans.parent_of(agent).expect("it has one");
        let id = |span| spans::attribute(span, "agent_runtime.workflow.id");
        assert_eq!(id(agent), id(parent));
    }
}

#[test]
fn two_streams_that_share_a_layer_do_not_mix() {
    let recording = Recording::new();
    let _subscriber = tracing::dispatcher::set_default(&recording.dispatch());
    let streams = [EventStream::new(), EventStream::new()];
    for event in life() {
        for (stream, own) in streams.iter().zip(["one", "two"]) {
            let rename = |id: Option<String>| id.map(|id| format!("{own}-{id}"));
            let (workflow_id, parent) = (rename(event.workflow_id.clone()), rename(event.parent_workflow_id.clone()));
            let mut event = event.clone().in_workflow(workflow_id, parent);
            event.event_id = uuid::Uuid::now_v7();
            stream.append(event).expect("the ids are well-formed");
        }
    }
    let spans = recording.spans();
    spans.assert_well_formed();
    let traces: Vec<_> = spans.trace_ids().into_iter().map(|id| spans.trace(&id).tree()).collect();
    assert_eq!(traces, [LIFE_TREE, LIFE_TREE]);
}

/// Started events a second apart, of components that never end.
fn endless(count: i32) -> Vec<Event> {
    let mut events: Vec<_> = (0..count).map(|n| started(EventScope::Tool, &format!("t:{n}"))).collect();
    for (event, second) in events.iter_mut().zip(0..) {
        event.timestamp = DateTime::UNIX_EPOCH + TimeDelta::seconds(second);
    }
    events
}

/// Observes [`endless`] with a second between any two; returns when what was interrupted ended.
async fn interrupted_in(set_up: impl FnOnce(SpanMapper<SdkTracer>) -> SpanMapper<SdkTracer>) -> (Recording, Vec<i64>) {
    let recording = Recording::with_mapper(set_up);
    for event in endless(10) {
        recording.mapper().observe(&event);
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    let spans = recording.spans();
    let mut seconds = Vec::new();
    for span in &spans {
        assert_eq!(spans::attribute(span, "agent_runtime.interrupted"), true);
        assert_eq!(spans::outcome(span), "error(interrupted): the end of the component was never reported");
        seconds.push((span.end_time_unix_nano / 1_000_000_000).cast_signed());
    }
    assert_eq!(recording.mapper().interrupted_spans() as usize, spans.len());
    (recording, seconds)
}

#[tokio::test(start_paused = true)]
async fn spans_beyond_the_number_are_ended_oldest_first() {
    let (recording, ended_at) = interrupted_in(|mapper| mapper.with_max_open_spans(3)).await;
    assert_eq!((recording.mapper().open_spans(), ended_at), (3, vec![3, 4, 5, 6, 7, 8, 9]));
}

#[tokio::test(start_paused = true)]
async fn spans_beyond_the_age_are_ended_when_the_next_one_starts() {
    let (recording, ended_at) = interrupted_in(|mapper| mapper.with_max_span_age(Duration::from_secs(4))).await;
    assert_eq!((recording.mapper().open_spans(), ended_at), (5, vec![5, 6, 7, 8, 9]));
}

#[test]
fn what_is_open_at_the_close_is_ended_children_first_and_keeps_its_progress() {
    use EventScope::{Agent, LlmRequest, Workflow};
    let recording = Recording::new();
    let chunk = Event::llm_progress("a:llm:0", None, Some("w".to_owned()), None, EventData::chunk("x"));
    recording.replay(&[
        started(Workflow, "f"),
        started(Agent, "a"),
        started(LlmRequest, "a:llm:0"),
        chunk.clone(),
        chunk,
    ]);
    recording.mapper().close();
    recording.mapper().close();
    let spans = recording.spans();
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["chat", "invoke_agent a", "invoke_workflow f"]);
    assert_eq!(spans::chunk_counts(spans.one("chat")).1, 2);
    assert_eq!((recording.mapper().open_spans(), recording.mapper().interrupted_spans()), (0, 3));
    spans.assert_well_formed();
}

#[test]
fn a_span_closed_by_number_takes_no_other_end() {
    let recording = Recording::with_mapper(|mapper| mapper.with_max_open_spans(1));
    let spans = recording.replay(&[
        started(EventScope::Tool, "t:0"),
        started(EventScope::Tool, "t:1"),
        completed(EventScope::Tool, "t:0"),
        completed(EventScope::Tool, "t:1"),
    ]);
    let marks = |key: &str| spans.iter().filter(|span| spans::attribute(span, key) == true).count();
    assert_eq!((spans.len(), marks("agent_runtime.interrupted"), marks("agent_runtime.unmatched")), (2, 1, 0));
}

#[test]
fn many_system_events_leave_room_for_the_rest_and_are_counted() {
    use EventScope::{System, Workflow};
    let mut events = vec![started(Workflow, "f")];
    events.extend((0..100).map(|_| event(EventType::Progress, System, "system:noise")));
    events.push(completed(Workflow, "f"));
    let (spans, _) = appended(events);
    let span = spans.one("invoke_workflow f");
    assert_eq!(spans::events(span, "agent_runtime.system.noise").len(), 15);
    assert_eq!(spans::attribute(span, "agent_runtime.system.dropped_count"), 85);
}

#[test]
fn a_workflow_named_by_an_id_does_not_put_it_into_the_name_of_its_span() {
    for id in ["w", "wf_0198f1b2c3d47e5f8a9b0c1d2e3f4a5b"] {
        let (spans, _) = appended(vec![started(EventScope::Workflow, id), completed(EventScope::Workflow, id)]);
        assert_eq!(spans::attribute(spans.one("invoke_workflow"), "gen_ai.workflow.name"), JsonValue::Null);
    }
}

#[test]
fn a_span_of_the_users_provider_stays_the_current_one_around_an_append() {
    let recording = Recording::new();
    let _subscriber = tracing::dispatcher::set_default(&dispatch_of(tracing_subscriber::registry()));
    let mut span = recording.tracer_provider().tracer("the user's").start("mine");
    span.set_attribute(opentelemetry::KeyValue::new("kept", true));
    let context = Context::current_with_span(span);
    let _active = context.clone().attach();
    EventStream::new().append(started(EventScope::Tool, "t")).expect("the id is well-formed");
    assert_eq!(Context::current().span().span_context(), context.span().span_context());
}
