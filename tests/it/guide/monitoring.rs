//! Watching a run: a line for each event, a match on scope and type, a status for each component.

use std::{
    collections::HashMap,
    fmt::Write,
    time::{Duration, Instant},
};

use agent_runtime::prelude::*;

use super::story::{CHUNKS, story, told_to_a_channel};

#[tokio::test]
async fn a_monitor_prints_a_line_for_each_event() {
    let mut rx = told_to_a_channel();
    let monitor = tokio::spawn(async move {
        let mut lines = Vec::new();
        while let Some(event) = rx.recv().await {
            let at = event.timestamp.format("%H:%M:%S").to_string();
            assert_eq!(at.len(), "00:00:00".len());
            lines.push(format!("{} - {} ({})", event.scope, event.event_type, event.component_id));
        }
        lines
    });
    let lines = monitor.await.unwrap();
    assert_eq!(lines.len(), story().len());
    assert_eq!(lines[0], "workflow - started (homework)");
    assert_eq!(lines[1], "workflow_step - started (homework:step:0)");
    assert_eq!(lines[8], "llm_request - failed (pupil:llm:0)");
}

#[tokio::test]
async fn a_match_on_scope_and_type_picks_events() {
    let mut rx = told_to_a_channel();
    let (mut failures, mut answer, mut results) = (Vec::new(), String::new(), Vec::new());
    while let Some(event) = rx.recv().await {
        match (event.scope, event.event_type) {
            (_, EventType::Failed) => {
                failures.push(format!("{} failed: {}", event.component_id, event.message.unwrap_or_default()));
            }
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
    assert_eq!(failures, ["search failed: no network", "pupil:llm:0 failed: rate_limit reached"]);
    assert_eq!(answer, CHUNKS.concat());
    assert_eq!(results, ["calculator → 5754"]);
}

#[tokio::test]
async fn a_failure_tells_its_reason_and_its_details() {
    let mut rx = told_to_a_channel();
    let mut report = String::new();
    while let Some(event) = rx.recv().await {
        if let (_, EventType::Failed) = (event.scope, event.event_type) {
            let reason = event.message.unwrap_or_else(|| "no reason given".into());
            let details = &event.data;
            writeln!(report, "[{}] {} failed: {reason}; {details}", event.component_id, event.scope).unwrap();
        }
    }
    assert_eq!(report.lines().next(), Some(r#"[search] tool failed: no network; {"error_code":"offline"}"#));
}

#[tokio::test]
async fn statuses_and_timings_are_kept_for_each_component() {
    let mut rx = told_to_a_channel();
    let mut statuses: HashMap<String, ComponentStatus> = HashMap::new();
    let mut running: HashMap<String, Instant> = HashMap::new();
    let mut took: HashMap<String, Duration> = HashMap::new();
    while let Some(event) = rx.recv().await {
        statuses.insert(event.component_id.clone(), event.status);
        match event.event_type {
            EventType::Started => {
                running.insert(event.component_id.clone(), Instant::now());
            }
            EventType::Completed | EventType::Failed | EventType::Canceled => {
                if let Some(start) = running.remove(&event.component_id) {
                    took.insert(event.component_id, start.elapsed());
                }
            }
            EventType::Progress => assert_eq!(event.status, ComponentStatus::Running),
        }
    }
    let expected = [
        ("homework", ComponentStatus::Completed),
        ("homework:step:0", ComponentStatus::Completed),
        ("pupil", ComponentStatus::Completed),
        ("calculator", ComponentStatus::Completed),
        ("search", ComponentStatus::Failed),
        ("pupil:llm:0", ComponentStatus::Failed),
        ("pupil:llm:1", ComponentStatus::Completed),
    ];
    assert_eq!(statuses, expected.map(|(id, status)| (id.to_owned(), status)).into());
    assert!(running.is_empty());
    assert_eq!(took.len(), expected.len());
}

#[tokio::test]
async fn a_console_view_tells_the_whole_run() {
    let mut rx = told_to_a_channel();
    let mut view = String::new();
    while let Some(event) = rx.recv().await {
        match (event.scope, event.event_type) {
            (EventScope::Workflow, EventType::Started) => writeln!(view, "{}", event.component_id),
            (EventScope::WorkflowStep, EventType::Started) => writeln!(view, "- {}", event.component_id),
            (EventScope::Agent, EventType::Started) => writeln!(view, "-- {} at work", event.component_id),
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
                writeln!(view, "- done in {} ms", event.data["duration_ms"].as_u64().unwrap_or(0))
            }
            (EventScope::Workflow, EventType::Completed) => writeln!(view, "done"),
            (_, EventType::Failed) => writeln!(view, "! {}", event.message.unwrap_or_default()),
            _ => Ok(()),
        }
        .unwrap();
    }
    let expected = [
        "homework",
        "- homework:step:0",
        "-- pupil at work",
        r#"--- calculator {"a":42,"b":137}"#,
        "--- = 5754",
        "--- search {}",
        "! no network",
        "! rate_limit reached",
        "42 × 137 is 5754. [200 tokens]",
        "- done in 9 ms",
        "done",
    ];
    assert_eq!(view.lines().collect::<Vec<_>>(), expected);
}
