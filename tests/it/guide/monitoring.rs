//! Watching a run while it goes on: a line for each event, a match on scope and type, a status for each component.

use std::{
    collections::HashMap,
    fmt::Write,
    time::{Duration, Instant},
};

use agent_runtime::prelude::*;

use super::homework::{CHUNKS, EVENTS, QUESTION, done_to_a_channel, homework};

#[tokio::test]
async fn a_monitor_prints_a_line_for_each_event() {
    let (tx, mut rx) = mpsc::channel::<Event>(100);
    let monitor = tokio::spawn(async move {
        let mut lines = Vec::new();
        while let Some(event) = rx.recv().await {
            let at = event.timestamp.format("%H:%M:%S").to_string();
            assert_eq!(at.len(), "00:00:00".len());
            lines.push(format!("{} - {} ({})", event.scope, event.event_type, event.component_id));
        }
        lines
    });
    homework().execute(QUESTION, &tx).await.expect("the homework is done");
    drop(tx);
    let lines = monitor.await.expect("the monitor ends with the run");
    assert_eq!(lines.len(), EVENTS);
    let first = [
        "workflow - started (homework)",
        "workflow_step - started (homework:step:0)",
        "agent - started (pupil)",
        "llm_request - started (pupil:llm:0)",
        "llm_request - failed (pupil:llm:0)",
    ];
    assert_eq!(lines[..5], first);
    assert_eq!(lines.last().map(String::as_str), Some("workflow - completed (homework)"));
}

#[tokio::test]
async fn when_the_run_returns_what_fits_is_in_the_channel() {
    let mut rx = done_to_a_channel().await;
    let mut seen = 0;
    while rx.try_recv().is_ok() {
        seen += 1;
    }
    assert_eq!(seen, EVENTS);
}

#[tokio::test]
async fn a_match_on_scope_and_type_picks_events() {
    let mut rx = done_to_a_channel().await;
    let (mut failures, mut answer, mut results) = (Vec::new(), String::new(), Vec::new());
    while let Some(event) = rx.recv().await {
        match (event.scope, event.event_type) {
            (_, EventType::Failed) => failures.push(event.component_id),
            (EventScope::LlmRequest, EventType::Progress) => {
                if let Some(chunk) = event.data["chunk"].as_str() {
                    answer.push_str(chunk);
                }
            }
            (EventScope::Tool, EventType::Completed) => {
                let result = &event.data["result"];
                results.push(format!("{} → {result}", event.component_id));
            }
            _ => {}
        }
    }
    assert_eq!(failures, ["pupil:llm:0", "search:0"]);
    assert_eq!(answer, CHUNKS.concat());
    assert_eq!(results, ["calculator:0 → 5754"]);
}

#[tokio::test]
async fn a_failure_has_its_reason_and_its_details() {
    let mut rx = done_to_a_channel().await;
    let mut report = String::new();
    while let Some(event) = rx.recv().await {
        if let (_, EventType::Failed) = (event.scope, event.event_type) {
            let reason = event.message.unwrap_or_else(|| "no reason".into());
            let details = &event.data;
            writeln!(report, "[{}] {} failed: {reason}; {}", event.component_id, event.scope, details["error_code"])
                .unwrap();
        }
    }
    let lines: Vec<_> = report.lines().collect();
    let [request, tool] = lines[..] else { panic!("{report}") };
    assert!(request.starts_with("[pupil:llm:0] llm_request failed: "), "{request}");
    assert!(request.ends_with("Slow down.; \"rate_limit_exceeded\""), "{request}");
    assert_eq!(tool, "[search:0] tool failed: no network; \"offline\"");
}

#[tokio::test]
async fn statuses_and_timings_are_kept_for_each_component() {
    let mut rx = done_to_a_channel().await;
    let mut statuses: HashMap<String, ComponentStatus> = HashMap::new();
    let mut started: HashMap<String, Instant> = HashMap::new();
    let mut took: HashMap<String, Duration> = HashMap::new();
    let mut most_running = 0;
    while let Some(event) = rx.recv().await {
        statuses.insert(event.component_id.clone(), event.status);
        match event.event_type {
            EventType::Started => {
                started.insert(event.component_id.clone(), Instant::now());
            }
            EventType::Completed | EventType::Failed | EventType::Canceled => {
                if let Some(start) = started.remove(&event.component_id) {
                    took.insert(event.component_id, start.elapsed());
                }
            }
            EventType::Progress => assert_eq!(event.status, ComponentStatus::Running),
        }
        most_running =
            most_running.max(statuses.values().filter(|status| **status == ComponentStatus::Running).count());
    }
    let expected = [
        ("homework", ComponentStatus::Completed),
        ("homework:step:0", ComponentStatus::Completed),
        ("pupil", ComponentStatus::Completed),
        ("calculator:0", ComponentStatus::Completed),
        ("search:0", ComponentStatus::Failed),
        ("pupil:llm:0", ComponentStatus::Failed),
        ("pupil:llm:1", ComponentStatus::Completed),
        ("pupil:llm:2", ComponentStatus::Completed),
    ];
    assert_eq!(statuses, expected.map(|(id, status)| (id.to_owned(), status)).into());
    assert_eq!(took.len(), expected.len());
    assert!(started.is_empty() && most_running >= 4);
}

#[tokio::test]
async fn a_console_view_shows_the_whole_run() {
    let mut rx = done_to_a_channel().await;
    let mut view = String::new();
    while let Some(event) = rx.recv().await {
        match (event.scope, event.event_type) {
            (EventScope::Workflow, EventType::Started) => writeln!(view, "{}", event.component_id),
            (EventScope::WorkflowStep, EventType::Started) => writeln!(view, "- {}", event.component_id),
            (EventScope::Agent, EventType::Started) => writeln!(view, "-- {} at work", event.component_id),
            (EventScope::LlmRequest, EventType::Started) => writeln!(view, "--- asks"),
            (EventScope::LlmRequest, EventType::Progress) => write!(view, "{}", event.data["chunk"].as_str().unwrap()),
            (EventScope::LlmRequest, EventType::Completed) => {
                writeln!(view, " [{} tokens]", event.data["usage"]["total_tokens"].as_u64().unwrap_or(0))
            }
            (EventScope::Tool, EventType::Started) => {
                let arguments = &event.data["arguments"];
                writeln!(view, "--- {} {arguments}", event.component_id)
            }
            (EventScope::Tool, EventType::Completed) => writeln!(view, "--- = {}", event.data["result"]),
            (EventScope::WorkflowStep, EventType::Completed) => {
                assert!(event.data["duration_ms"].as_u64().is_some());
                writeln!(view, "- done")
            }
            (EventScope::Workflow, EventType::Completed) => writeln!(view, "done"),
            (_, EventType::Failed) => writeln!(view, "! {}", event.data["error_code"].as_str().unwrap_or_default()),
            _ => Ok(()),
        }
        .unwrap();
    }
    let expected = [
        "homework",
        "- homework:step:0",
        "-- pupil at work",
        "--- asks",
        "! rate_limit_exceeded",
        "--- asks",
        " [120 tokens]",
        r#"--- calculator:0 {"a":42,"b":137}"#,
        "--- = 5754",
        r#"--- search:0 {"query":"products"}"#,
        "! offline",
        "--- asks",
        "42 × 137 is 5754. [200 tokens]",
        "- done",
        "done",
    ];
    assert_eq!(view.lines().collect::<Vec<_>>(), expected);
}
