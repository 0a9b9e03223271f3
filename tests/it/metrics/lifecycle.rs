//! Components that end badly or never, and events that make no sense.

use std::{sync::Arc, time::Duration};

use agent_runtime::{prelude::*, stream::EventStream};
use chrono::TimeDelta;

use super::{
    harness::{Metered, Meters, Snapshot},
    scenario::{MS, agent_alone},
};

const DURATION: &str = "gen_ai.invoke_agent.duration";

#[tokio::test(start_paused = true)]
async fn active_components_are_counted_while_they_run_and_back_to_zero() {
    let metered = Metered::new();
    let workflow = agent_alone("flow", "agent", ScriptedReply::pending());
    let run = async { metered.runtime.execute(&workflow, "x").await };
    let looked_at = async {
        tokio::time::sleep(MS).await;
        let snapshot = metered.collect();
        for scope in ["workflow", "workflow_step", "agent", "llm_request"] {
            assert_eq!(active(&snapshot, scope), 1.0, "{scope}");
        }
        assert_eq!(metered.recorder().open_components(), 4);
    };
    tokio::select! {
        _ = run => unreachable!("the model never answers"),
        () = looked_at => {}
    }
    assert_idle(&metered);
    assert_eq!(
        metered
            .collect()
            .point(DURATION, &[("error.type", "canceled"), ("gen_ai.operation.name", "invoke_workflow")])
            .count,
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_panic_and_an_abort_leave_nothing_active() {
    let metered = Metered::new();
    let runtime = metered.runtime.clone();
    let panics = Workflow::new("panics")
        .add_step(TransformStep::new("boom", |_| async {
            if true { panic!("expected by the test") } else { Err::<JsonValue, BoxError>("".into()) }
        }))
        .build();
    let task = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.execute(&panics, "x").await }
    });
    assert!(task.await.unwrap_err().is_panic());
    assert_idle(&metered);
    let snapshot = metered.collect();
    assert_eq!(snapshot.point("agent_runtime.workflow_step.duration", &[("error.type", "panic")]).count, 1);

    let workflow = agent_alone("flow", "agent", ScriptedReply::pending());
    let task = tokio::spawn(async move { runtime.execute(&workflow, "x").await });
    tokio::task::yield_now().await;
    assert_eq!(metered.recorder().open_components(), 4);
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_idle(&metered);
}

#[tokio::test(start_paused = true)]
async fn what_never_ends_counts_as_interrupted_by_number_by_age_and_at_the_close() {
    let meters = Meters::new(|recorder| recorder.with_max_open_components(2).with_max_component_age(HOUR));
    let observe = |event: Event| meters.recorder.observe(&event);
    let start = |name: &str| Event::tool_started(name, None, None, json!({"tool_name": name}));

    observe(start("first"));
    tokio::time::advance(HOUR / 60).await;
    observe(start("second"));
    observe(start("late"));
    let interrupted = |name| [("gen_ai.tool.name", name), ("error.type", "interrupted")];
    let duration = "gen_ai.execute_tool.duration";
    let snapshot = meters.collect();
    assert_eq!(snapshot.point(duration, &interrupted("first")).sum, 60.0, "the third one has no room");
    assert_eq!(active(&snapshot, "tool"), 2.0);

    tokio::time::advance(2 * HOUR).await;
    observe(start("much_later"));
    let snapshot = meters.collect();
    assert_eq!(snapshot.count(duration), 3, "both that were open are older than an hour");
    assert_eq!(active(&snapshot, "tool"), 1.0);

    meters.recorder.close();
    let snapshot = meters.collect();
    assert_eq!(snapshot.point(duration, &interrupted("much_later")).sum, 0.0, "no time has passed");
    assert_eq!((active(&snapshot, "tool"), meters.recorder.open_components()), (0.0, 0));

    // The end that comes all the same changes no duration, and no start is taken in any more.
    observe(Event::tool_completed("first", None, None, json!({})));
    observe(start("after the close"));
    assert_eq!((meters.collect().count(duration), meters.recorder.open_components()), (4, 0));
}

#[test]
fn calls_of_one_tool_under_one_id_pair_up_oldest_first() {
    let meters = Meters::new(|recorder| recorder);
    let start = Event::tool_started("search", None, None, json!({}));
    let at = |mut event: Event, seconds: i64| {
        event.timestamp = start.timestamp + TimeDelta::seconds(seconds);
        meters.recorder.observe(&event);
    };
    at(start.clone(), 0);
    at(start.clone(), 10);
    at(Event::tool_completed("search", None, None, json!({})), 11);
    at(Event::tool_failed("search", "no", None, None, json!({})), 15);
    let snapshot = meters.collect();
    let duration = "gen_ai.execute_tool.duration";
    assert_eq!(snapshot.point(duration, &[("error.type", "_OTHER")]).sum, 5.0);
    assert_eq!(snapshot.sum(duration), 11.0 + 5.0);
}

#[test]
fn events_that_make_no_sense_do_no_harm() {
    let meters = Meters::new(|recorder| recorder);
    let odd = [
        json!(null),
        json!([1]),
        json!("text"),
        json!({"usage": {}}),
        json!({"usage": {"prompt_tokens": -1, "completion_tokens": "7"}, "model": 5, "provider": null}),
        json!({"usage": 7, "server_port": 70000, "server_address": "", "llm_calls": -1, "tool_calls": [1]}),
        json!({"error_code": "a sentence, which is no code", "time_to_first_chunk_ms": "soon"}),
    ];
    for data in &odd {
        for scope in EventScope::ALL.iter().copied() {
            let id = match scope {
                EventScope::WorkflowStep => "w:step:0",
                EventScope::LlmRequest => "a:llm:0",
                EventScope::System => "system:part",
                _ => "name",
            };
            // Ends before starts, chunks after the end, times that run backwards.
            for event_type in [EventType::Failed, EventType::Progress, EventType::Started, EventType::Completed] {
                let mut event = Event::new(scope, event_type, id, None, data.clone());
                if event_type == EventType::Completed {
                    event.timestamp -= TimeDelta::days(1);
                }
                meters.recorder.observe(&event);
            }
        }
    }
    let snapshot = meters.collect();
    // Workflows and agents have one histogram.
    for (metric, count) in [("gen_ai.client.inference.duration", 7), (DURATION, 14)] {
        assert_eq!(
            (snapshot.count(metric), snapshot.sum(metric)),
            (count, 0.0),
            "an end before its start took no time"
        );
    }
    for (name, series) in &snapshot.0 {
        assert!(!name.contains("token") || series.points.is_empty(), "{name}: no usage was told");
        for point in series.points.iter().filter(|_| name.starts_with("gen_ai.client.")) {
            assert_eq!(point.label("gen_ai.provider.name"), Some("unknown"), "{name}");
            assert_eq!((point.label("server.address"), point.label("server.port")), (None, None), "{name}");
        }
    }
    assert!(snapshot.series("agent_runtime.components.active").points.iter().all(|point| point.sum == 0.0));
}

#[test]
fn usage_is_counted_without_a_start_and_only_as_far_as_it_is_told() {
    let meters = Meters::new(|recorder| recorder);
    let data = json!({"model": "m", "usage": {"prompt_tokens": 5}});
    meters.recorder.observe(&Event::llm_completed("a:llm:0", None, None, data));
    let snapshot = meters.collect();
    let input = snapshot.point("gen_ai.client.inference.usage.input_tokens", &[("gen_ai.request.model", "m")]);
    assert_eq!(input.sum, 5.0);
    assert_eq!(snapshot.count("gen_ai.client.inference.operation.input_tokens"), 1);
    for absent in [
        "gen_ai.client.inference.usage.output_tokens",
        "gen_ai.client.inference.operation.output_tokens",
        "gen_ai.client.inference.duration",
    ] {
        assert!(!snapshot.0.contains_key(absent), "{absent}");
    }
}

#[tokio::test]
async fn what_subscribers_miss_is_counted() {
    let stream = EventStream::builder().with_capacity(4).build();
    let meters = Meters::new(|recorder| recorder);
    let mut slow = stream.subscribe();
    let mut late = stream.subscribe_from(0);
    for _ in 0..10 {
        stream.append(Event::agent_progress("a", None, None, None, json!({}))).unwrap();
    }
    assert_eq!(stream.lagged_events(), 0, "nobody has read yet");
    assert!(slow.try_recv().is_err());
    assert!(late.try_recv().is_err());
    assert!(slow.try_recv().is_ok());
    assert_eq!(stream.lagged_events(), 6 + 6);
    // Other tests of this process may lag as well.
    assert!(meters.collect().sum("agent_runtime.subscriber.lagged") >= 12.0);
}

#[tokio::test(start_paused = true)]
async fn a_run_within_a_tool_counts_for_its_own_agent() {
    let metered = Metered::new();
    let inner_runtime = metered.runtime.clone();
    let tool = FnTool::new("ask", "Asks another agent.", json!({}), move |_args, _progress| {
        let runtime = inner_runtime.clone();
        async move {
            let workflow = agent_alone("inner", "helper", ScriptedReply::text("done"));
            runtime.execute(&workflow, "x").await.map(|run| run.output).map_err(Into::into)
        }
    });
    let model = ScriptedModel::new("m")
        .with_reply(ScriptedReply::tool_calls([("ask", json!({}))]))
        .with_reply(ScriptedReply::text("done"));
    let agent = Agent::builder("boss", Arc::new(model)).with_tool(tool).build();
    metered.runtime.execute(&Workflow::new("outer").add_step(AgentStep::new(agent)).build(), "x").await.unwrap();
    let snapshot = metered.collect();
    for (agent, inference, tool) in [("boss", 2.0, 1.0), ("helper", 1.0, 0.0)] {
        let labels = [("gen_ai.agent.name", agent)];
        assert_eq!(snapshot.point("gen_ai.invoke_agent.inference_calls", &labels).sum, inference, "{agent}");
        assert_eq!(snapshot.point("gen_ai.invoke_agent.tool_calls", &labels).sum, tool, "{agent}");
    }
}

const HOUR: Duration = Duration::from_secs(3600);

fn active(snapshot: &Snapshot, scope: &str) -> f64 {
    snapshot.point("agent_runtime.components.active", &[("agent_runtime.scope", scope)]).sum
}

fn assert_idle(metered: &Metered) {
    let snapshot = metered.collect();
    assert!(snapshot.series("agent_runtime.components.active").points.iter().all(|point| point.sum == 0.0));
    assert_eq!((metered.recorder().open_components(), metered.mapper.open_spans()), (0, 0));
}
