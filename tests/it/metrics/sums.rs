//! The metrics say what the events say, and durations what the spans say.

use std::{collections::BTreeMap, time::Duration};

use agent_runtime::prelude::*;
use opentelemetry_sdk::trace::{Sampler, SpanData};
use tracing::level_filters::LevelFilter;

use super::{
    harness::{Metered, Meters, Point, Series, Setup, Snapshot, assert_close},
    scenario,
};
use crate::support::two_runs_at_once;

/// The histogram of a scope's durations, the start of its spans' names, and the label that the name ends with.
const DURATIONS: [(&str, EventScope, &str, &str); 5] = [
    ("gen_ai.invoke_agent.duration", EventScope::Workflow, "invoke_workflow ", "gen_ai.agent.name"),
    ("agent_runtime.workflow_step.duration", EventScope::WorkflowStep, "workflow_step ", "agent_runtime.step.name"),
    ("gen_ai.invoke_agent.duration", EventScope::Agent, "invoke_agent ", "gen_ai.agent.name"),
    ("gen_ai.client.inference.duration", EventScope::LlmRequest, "chat ", "gen_ai.request.model"),
    ("gen_ai.execute_tool.duration", EventScope::Tool, "execute_tool ", "gen_ai.tool.name"),
];

#[tokio::test(start_paused = true)]
async fn metrics_say_what_the_events_say() {
    let metered = Metered::new();
    scenario::run_all(&metered).await;
    assert_same(&metered.collect(), &metered.events().await);
}

#[tokio::test(start_paused = true)]
async fn metrics_do_not_depend_on_the_sampling_of_spans() {
    let metered = Setup::default().with_sampler(Sampler::AlwaysOff).build(|recorder| recorder);
    scenario::run_all(&metered).await;
    assert!(metered.spans().is_empty());
    assert_same(&metered.collect(), &metered.events().await);
}

#[tokio::test(start_paused = true)]
async fn metrics_come_without_spans() {
    let metered = Setup::default().without_spans().build(|recorder| recorder);
    scenario::run_all(&metered).await;
    let events = metered.events().await;
    assert!(events.iter().all(|event| event.trace.is_none()));
    assert_same(&metered.collect(), &events);
}

/// The labels of a request are those of its start.
#[tokio::test]
async fn the_tokens_of_two_runs_under_one_id_are_never_swapped() {
    let meters = Meters::new(|recorder| recorder);
    two_runs_at_once().await.iter().for_each(|event| meters.recorder.observe(event));
    let snapshot = meters.collect();
    for (model, input, output) in [("model_4", 40.0, 4.0), ("model_1", 10.0, 1.0)] {
        let model = [("gen_ai.request.model", model)];
        let sum = |kind| snapshot.point(&format!("gen_ai.client.inference.usage.{kind}_tokens"), &model).sum;
        assert_eq!((sum("input"), sum("output")), (input, output), "{model:?}");
    }
    let tools = &snapshot.series("gen_ai.execute_tool.duration").points;
    let outcomes: Vec<_> = tools.iter().map(|point| (point.label("error.type"), point.count)).collect();
    assert_eq!(outcomes, [(Some("tool_failed"), 1), (None, 1)]);
}

#[tokio::test(start_paused = true)]
async fn durations_are_those_of_the_spans() {
    let metered = Metered::new();
    scenario::run_all(&metered).await;
    let (snapshot, spans) = (metered.collect(), metered.spans());
    for (metric, _, prefix, label) in DURATIONS {
        let mut expected = BTreeMap::<_, (u64, f64)>::new();
        for span in spans.iter().filter(|span| span.name.starts_with(prefix)) {
            let error = attribute(span, "error.type");
            // The metric does not take the name that the model made up.
            let is_made_up = error.as_deref() == Some("unknown_tool");
            let name = if is_made_up { "_OTHER" } else { &span.name[prefix.len()..] };
            let entry = expected.entry((name.to_owned(), error)).or_default();
            entry.0 += 1;
            entry.1 += span.end_time.duration_since(span.start_time).unwrap().as_secs_f64();
        }
        assert!(!expected.is_empty(), "no span {prefix}");
        let mut actual = BTreeMap::<_, (u64, f64)>::new();
        for point in of_operation(snapshot.series(metric), prefix) {
            let key = (point.label(label).unwrap().to_owned(), point.label("error.type").map(str::to_owned));
            let entry = actual.entry(key).or_default();
            entry.0 += point.count;
            entry.1 += point.sum;
        }
        assert_eq!(actual.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{metric}");
        for (key, (count, seconds)) in &expected {
            assert_eq!(actual[key].0, *count, "{metric} {key:?}");
            assert_close(actual[key].1, *seconds, &format!("{metric} {key:?}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_hides_progress_costs_only_what_nothing_else_tells() {
    let all = Metered::new();
    scenario::run_all(&all).await;
    let all = all.collect();
    let metered = Setup::default().with_filter(LevelFilter::INFO).build(|recorder| recorder);
    scenario::run_all(&metered).await;
    let without = metered.collect();

    for (name, series) in &all.0 {
        let is_of_progress = name.contains("_chunk") || name == "agent_runtime.events";
        assert!(is_of_progress || without.series(name).points == series.points, "{name} differs");
    }
    assert_eq!(without.sum("agent_runtime.events"), all.sum("agent_runtime.events") - progress(&all));
    // Ends tell when the first chunk came, also where the answer is only a tool call or was interrupted.
    let first = "gen_ai.client.inference.time_to_first_chunk";
    assert_eq!(without.count(first), 5);
    assert_close(without.sum(first), 0.005 + 0.0 + 0.01 + 0.02 + 0.01, first);
}

/// The points of a histogram that two scopes share, of the one whose spans' names begin so.
fn of_operation<'a>(series: &'a Series, prefix: &'a str) -> impl Iterator<Item = &'a Point> {
    let is_it = move |point: &&Point| {
        let operation = point.label("gen_ai.operation.name").filter(|operation| operation.starts_with("invoke_"));
        operation.is_none_or(|operation| operation == prefix.trim_end())
    };
    series.points.iter().filter(is_it)
}

/// How much progress of components there was; what the runtime itself reports as progress is not hidden with it.
fn progress(snapshot: &Snapshot) -> f64 {
    let (scope, event_type) = ("agent_runtime.scope", "agent_runtime.event.type");
    let points = snapshot.series("agent_runtime.events").points.iter();
    let progress = points.filter(|p| p.label(event_type) == Some("progress") && p.label(scope) != Some("system"));
    progress.map(|point| point.sum).sum()
}

/// Adds up the events by hand.
fn assert_same(snapshot: &Snapshot, events: &[Event]) {
    for scope in EventScope::ALL.iter().copied() {
        for event_type in EventType::ALL.iter().copied() {
            let of_kind = |event: &&Event| (event.scope, event.event_type) == (scope, event_type);
            let expected = events.iter().filter(of_kind).count();
            let labels = [("agent_runtime.scope", scope.as_str()), ("agent_runtime.event.type", event_type.as_str())];
            let points = &snapshot.series("agent_runtime.events").points;
            let is_it = |labels_of: &&Point| labels.iter().all(|(k, v)| labels_of.label(k) == Some(*v));
            let actual: f64 = points.iter().filter(is_it).map(|point| point.sum).sum();
            assert_eq!(actual, expected as f64, "{scope} {event_type}");
        }
    }
    let ends: Vec<_> = events.iter().filter(|event| event.event_type.is_terminal()).collect();
    for (metric, scope, prefix, _) in DURATIONS {
        let times: Vec<_> = ends.iter().filter(|end| end.scope == scope).map(|end| duration(events, end)).collect();
        let points: Vec<_> = of_operation(snapshot.series(metric), prefix).collect();
        assert_eq!(points.iter().map(|point| point.count).sum::<u64>(), times.len() as u64, "{metric}");
        let seconds = points.iter().map(|point| point.sum).sum();
        assert_close(seconds, times.iter().sum::<Duration>().as_secs_f64(), metric);
    }
    assert_tokens(snapshot, &ends);
    assert_chunks(snapshot, events);
    let agents: Vec<_> = ends.iter().filter(|end| end.scope == EventScope::Agent).collect();
    let children = |agent: &Event, scope: EventScope, owner: fn(&Event) -> String| {
        let is_child = |event: &&Event| {
            event.event_type == EventType::Started
                && event.scope == scope
                && event.workflow_id == agent.workflow_id
                && owner(event) == agent.component_id
        };
        events.iter().filter(is_child).count() as f64
    };
    let requests = |agent: &&Event| children(agent, EventScope::LlmRequest, |e| e.component_name().to_owned());
    let tools = |agent: &&Event| children(agent, EventScope::Tool, |e| e.data.agent().unwrap_or_default().to_owned());
    for (metric, expected) in [
        ("gen_ai.invoke_agent.inference_calls", agents.iter().map(|agent| requests(agent)).sum::<f64>()),
        ("gen_ai.invoke_agent.tool_calls", agents.iter().map(|agent| tools(agent)).sum::<f64>()),
    ] {
        assert_eq!((snapshot.count(metric), snapshot.sum(metric)), (agents.len() as u64, expected), "{metric}");
    }
    assert!(snapshot.series("agent_runtime.components.active").points.iter().all(|point| point.sum == 0.0));
}

fn assert_tokens(snapshot: &Snapshot, ends: &[&Event]) {
    let total = |read: fn(&EventData) -> Option<u64>| ends.iter().filter_map(|end| read(&end.data)).sum::<u64>() as f64;
    for (name, expected) in [
        ("usage.input_tokens", total(EventData::input_tokens)),
        ("usage.output_tokens", total(EventData::output_tokens)),
        ("usage.cache_read.input_tokens", total(EventData::cached_tokens)),
        ("usage.cache_write.input_tokens", total(EventData::cache_write_tokens)),
        ("usage.reasoning.output_tokens", total(EventData::reasoning_tokens)),
    ] {
        assert_eq!(snapshot.sum(&format!("gen_ai.client.inference.{name}")), expected, "{name}");
        assert!(expected > 0.0, "{name} was never told");
    }
    // The failed request told its usage, which is counted, but is no request of a usual size.
    let failed = ends.iter().filter(|end| end.event_type == EventType::Failed);
    let failed = failed.filter_map(|end| end.data.input_tokens()).sum::<u64>() as f64;
    assert_eq!(failed, 20.0);
    let operation = "gen_ai.client.inference.operation.input_tokens";
    assert_eq!(snapshot.sum(operation), total(EventData::input_tokens) - failed);
    assert_eq!(snapshot.count(operation), 4);
}

fn assert_chunks(snapshot: &Snapshot, events: &[Event]) {
    let (mut gaps, mut gap_seconds) = (0, 0.0);
    let requests = events.iter().filter(|e| e.scope == EventScope::LlmRequest && e.event_type == EventType::Started);
    for request in requests {
        let is_chunk = |event: &&Event| {
            event.event_type == EventType::Progress
                && (&event.component_id, &event.workflow_id) == (&request.component_id, &request.workflow_id)
        };
        let times: Vec<_> = events.iter().filter(is_chunk).map(|chunk| chunk.timestamp).collect();
        gaps += times.len().saturating_sub(1) as u64;
        if let (Some(first), Some(last)) = (times.first(), times.last()) {
            gap_seconds += (*last - *first).to_std().expect("time does not run backwards").as_secs_f64();
        }
    }
    let metric = "gen_ai.client.inference.time_per_output_chunk";
    assert_eq!(snapshot.count(metric), gaps);
    assert_close(snapshot.sum(metric), gap_seconds, metric);
    // Two requests with text that ended well, two with tool calls alone, one that was interrupted and one that was canceled.
    let first = "gen_ai.client.inference.time_to_first_chunk";
    assert_eq!(snapshot.count(first), 6);
    assert_close(snapshot.sum(first), 0.005 + 0.0 + 0.01 + 0.02 + 0.01 + 0.01, first);
}

fn duration(events: &[Event], end: &Event) -> Duration {
    let is_start = |event: &&Event| {
        event.event_type == EventType::Started
            && (event.scope, &event.component_id, &event.workflow_id)
                == (end.scope, &end.component_id, &end.workflow_id)
    };
    let start = events.iter().find(is_start).expect("every end has a start");
    (end.timestamp - start.timestamp).to_std().expect("time does not run backwards")
}

fn attribute(span: &SpanData, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == key)?;
    Some(found.value.to_string())
}
