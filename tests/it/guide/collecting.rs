//! Adding things up over a run: tokens and costs, calls, errors, what to try again.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use agent_runtime::prelude::*;

use super::homework::{QUESTION, done_to_a_channel, homework};
use crate::support::{HttpReply, ScriptedServer, agent_flow};

#[tokio::test]
async fn tokens_and_costs_add_up() {
    const PRICE_IN: f64 = 0.25;
    const PRICE_OUT: f64 = 0.5;
    let mut rx = done_to_a_channel().await;
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
    assert_eq!(format!("{tokens} tokens, ${cost:.2}"), "320 tokens, $105.00");
}

/// Real servers' failures, sorted by the words that the guide looks for.
#[tokio::test]
async fn failures_are_sorted_into_those_to_try_again_and_those_not() {
    let refused = |status| HttpReply::json(status, &json!({"error": {"message": "No."}}));
    let server = ScriptedServer::start([
        refused(429).with_header("retry-after", "60"),
        HttpReply::silence(),
        refused(401),
        HttpReply::chat(&["Yes."]),
    ])
    .await;
    let client = OpenAiClient::builder("m").with_base_url(server.base_url());
    let model = std::sync::Arc::new(client.with_read_timeout(Duration::from_millis(300)).build().expect("valid"));
    let (tx, mut rx) = mpsc::channel(1_000);
    for _ in 0..4 {
        agent_flow(model.clone(), []).execute("go", &tx).await.ok();
    }
    drop(tx);
    let (mut later, mut longer, mut never) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(event) = rx.recv().await {
        if let (EventScope::LlmRequest, EventType::Failed) = (event.scope, event.event_type) {
            let error = event.message.as_ref().unwrap();
            if error.contains("rate_limit") {
                later.push(event);
            } else if error.contains("timeout") {
                longer.push(event);
            } else {
                never.push(event);
            }
        }
    }
    let codes = |events: &[Event]| events.iter().map(|event| event.data["error_code"].clone()).collect::<Vec<_>>();
    assert_eq!(codes(&later), ["rate_limit_exceeded"]);
    assert_eq!(later[0].data["retry_after"], 60);
    assert_eq!(codes(&longer), ["timeout"]);
    assert_eq!(codes(&never), ["authentication"]);
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
    let (tx, rx) = mpsc::channel(100);
    let collector = tokio::spawn(collect_metrics(rx));
    homework().execute(QUESTION, &tx).await.expect("the homework is done");
    drop(tx);
    let metrics = collector.await.expect("the collector ends with the run");
    assert_eq!((metrics.llm_calls, metrics.total_tokens), (2, 320));
    assert_eq!(metrics.tool_calls, [("calculator:0".to_owned(), 1), ("search:0".to_owned(), 1)].into());
    assert_eq!(metrics.errors.len(), 2);
    assert_eq!(metrics.errors[1], "search:0: no network");
    assert_eq!(metrics.execution_times.keys().collect::<Vec<_>>(), ["calculator:0"]);
}

#[tokio::test]
async fn fields_and_tags_of_the_applications_travel_in_the_data() {
    let runtime = Runtime::new();
    let mut rx = runtime.event_stream().subscribe();
    let data = json!({"output": "done", "total_tokens": 500, "custom_metric": 42, "user_id": "user_7"});
    runtime.event_stream().append(Event::agent_completed("pupil", Some("wf_1".into()), None, data)).unwrap();
    let event = rx.recv().await.unwrap();
    assert_eq!((event.data.total_tokens(), &event.data["custom_metric"]), (Some(500), &json!(42)));
    assert_eq!(event.data["user_id"].as_str(), Some("user_7"));
    // Those of a whole run are set once.
    let options = RunOptions::default().with_tag("production").with_tag("high-priority");
    runtime.execute_with(&homework(), QUESTION, options).await.expect("the homework is done");
    let events = runtime.event_stream().get_events(1).await;
    assert!(events.iter().all(|event| event.data["tags"] == json!(["production", "high-priority"])));
}
