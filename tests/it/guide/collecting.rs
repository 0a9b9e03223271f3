//! Adding things up over a run: tokens and costs, calls, errors, what to try again.

use std::{collections::HashMap, time::Instant};

use agent_runtime::prelude::*;
use tokio::sync::mpsc;

use super::story::told_to_a_channel;

#[tokio::test]
async fn tokens_and_costs_add_up() {
    const PRICE_IN: f64 = 0.25;
    const PRICE_OUT: f64 = 0.5;
    let mut rx = told_to_a_channel();
    let (mut tokens, mut cost) = (0, 0.0);
    while let Some(event) = rx.recv().await {
        if let (EventScope::LlmRequest, EventType::Completed) = (event.scope, event.event_type) {
            let usage = &event.data["usage"];
            let prompt = usage["prompt_tokens"].as_u64().unwrap_or(0);
            let completion = usage["completion_tokens"].as_u64().unwrap_or(0);
            tokens += prompt + completion;
            cost += prompt as f64 * PRICE_IN + completion as f64 * PRICE_OUT;
            assert_eq!(event.data.usage().map(|usage| usage.total_tokens), Some(prompt + completion));
        }
    }
    assert_eq!(format!("{tokens} tokens, ${cost:.2}"), "200 tokens, $70.00");
}

#[tokio::test]
async fn failures_are_sorted_into_those_to_try_again_and_those_not() {
    let mut rx = told_to_a_channel();
    let (mut try_again, mut given_up): (Vec<Event>, Vec<String>) = (Vec::new(), Vec::new());
    while let Some(event) = rx.recv().await {
        match (event.scope, event.event_type) {
            (EventScope::LlmRequest, EventType::Failed) => {
                let error = event.message.as_ref().unwrap();
                if error.contains("rate_limit") || error.contains("timeout") {
                    try_again.push(event);
                } else {
                    given_up.push(error.clone());
                }
            }
            (EventScope::Tool, EventType::Failed) => {
                given_up.push(format!("{}: {}", event.component_id, event.message.unwrap_or_default()));
            }
            _ => {}
        }
    }
    assert_eq!(try_again.len(), 1);
    assert_eq!(try_again[0].data["retry_after"], 60);
    assert_eq!(given_up, ["search: no network"]);
}

#[derive(Default)]
struct Metrics {
    llm_calls: usize,
    total_tokens: u64,
    tool_calls: HashMap<String, usize>,
    errors: Vec<String>,
    execution_times: HashMap<String, u128>,
}

async fn collect_metrics(mut rx: mpsc::Receiver<Event>) -> Metrics {
    let mut metrics = Metrics::default();
    let mut started: HashMap<String, Instant> = HashMap::new();
    while let Some(event) = rx.recv().await {
        match (event.scope, event.event_type) {
            (EventScope::LlmRequest, EventType::Completed) => {
                metrics.llm_calls += 1;
                metrics.total_tokens += event.data["usage"]["total_tokens"].as_u64().unwrap_or(0);
            }
            (EventScope::Tool, EventType::Started) => {
                *metrics.tool_calls.entry(event.component_id.clone()).or_insert(0) += 1;
                started.insert(event.component_id, Instant::now());
            }
            (EventScope::Tool, EventType::Completed) => {
                if let Some(start) = started.remove(&event.component_id) {
                    metrics.execution_times.insert(event.component_id, start.elapsed().as_millis());
                }
            }
            (_, EventType::Failed) => {
                metrics.errors.push(format!("{}: {}", event.component_id, event.message.unwrap_or_default()));
            }
            _ => {}
        }
    }
    metrics
}

#[tokio::test]
async fn metrics_of_a_run_are_collected_from_its_channel() {
    let metrics = collect_metrics(told_to_a_channel()).await;
    assert_eq!((metrics.llm_calls, metrics.total_tokens), (1, 200));
    assert_eq!(metrics.tool_calls, [("calculator".to_owned(), 1), ("search".to_owned(), 1)].into());
    assert_eq!(metrics.errors, ["search: no network", "pupil:llm:0: rate_limit reached"]);
    assert!(metrics.execution_times.contains_key("calculator"));
}

#[tokio::test]
async fn fields_of_the_users_own_travel_in_the_data() {
    let stream = EventStream::new();
    let mut rx = stream.subscribe();
    let data = json!({"output": "done", "total_tokens": 500, "tags": ["production"], "user_id": "user_7"});
    stream.append(Event::agent_completed("pupil", Some("wf_1".into()), None, data)).unwrap();
    let event = rx.recv().await.unwrap();
    assert_eq!(event.data.total_tokens(), Some(500));
    assert_eq!(event.data["tags"][0], "production");
    assert_eq!(event.data["user_id"].as_str(), Some("user_7"));
}
