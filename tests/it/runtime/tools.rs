//! A tool's progress and its limits.

use agent_runtime::prelude::*;

use crate::support::{agent_flow, calling, run, tool};

/// The progress events of a tool that reports the given messages.
async fn reported(messages: impl Fn() -> Vec<String> + Send + Sync + 'static) -> Vec<Event> {
    let reports = tool("report", move |_, progress| {
        for (number, message) in messages().into_iter().enumerate() {
            progress(message, Some(number as u64));
        }
        async { Ok(json!("done")) }
    });
    let ran = run(&agent_flow(calling(vec![("report", json!({}))], "Done."), [reports]), "go").await;
    ran.result.expect("the run succeeds");
    let is_report = |event: &Event| (event.scope, event.event_type) == (EventScope::Tool, EventType::Progress);
    ran.events.into_iter().filter(is_report).collect()
}

#[tokio::test]
async fn progress_is_told_as_it_was_reported() {
    let events = reported(|| vec!["a third".to_owned(), "half".to_owned()]).await;
    let told: Vec<_> = events.iter().map(|event| (event.message.as_deref(), event.data["progress"].as_u64())).collect();
    assert_eq!(told, [(Some("a third"), Some(0)), (Some("half"), Some(1))]);
    assert!(events.iter().all(|event| event.component_id == "report:0" && event.data.tool_name() == Some("report")));
}

#[tokio::test]
async fn a_long_message_is_cut_between_characters_and_says_so() {
    let lengths = [
        ProgressCallback::MAX_MESSAGE_BYTES,
        ProgressCallback::MAX_MESSAGE_BYTES + 1,
        3 * ProgressCallback::MAX_MESSAGE_BYTES,
    ];
    let events = reported(move || lengths.iter().map(|length| "x".repeat(*length)).collect()).await;
    let messages: Vec<_> = events.iter().map(|event| event.message.as_deref().unwrap()).collect();
    assert_eq!(messages[0].len(), ProgressCallback::MAX_MESSAGE_BYTES);
    assert!(!messages[0].ends_with("[cut]"));
    for cut in &messages[1..] {
        assert!(cut.ends_with("… [cut]") && cut.len() <= ProgressCallback::MAX_MESSAGE_BYTES);
    }
    let wide = reported(|| vec!["馬".repeat(ProgressCallback::MAX_MESSAGE_BYTES)]).await;
    assert!(
        wide[0]
            .message
            .as_deref()
            .is_some_and(|text| text.len() <= ProgressCallback::MAX_MESSAGE_BYTES && text.ends_with("… [cut]"))
    );
}

#[tokio::test]
async fn a_call_that_reports_without_end_is_cut_off_once_and_visibly() {
    let messages = ProgressCallback::MAX_BYTES_PER_CALL / ProgressCallback::MAX_MESSAGE_BYTES;
    let events = reported(move || vec!["x".repeat(ProgressCallback::MAX_MESSAGE_BYTES); 3 * messages]).await;
    assert_eq!(events.len(), messages + 1);
    let (last, rest) = events.split_last().expect("there are reports");
    assert!(last.message.as_deref().is_some_and(|text| text.starts_with("no more progress is shown")));
    let bytes: usize = rest.iter().filter_map(|event| event.message.as_deref()).map(str::len).sum();
    assert_eq!(bytes, ProgressCallback::MAX_BYTES_PER_CALL);
}

#[tokio::test]
async fn a_call_that_reports_without_a_pause_makes_no_reader_miss_anything() {
    let limit = ProgressCallback::MAX_REPORTS_PER_CALL;
    let events = reported(|| vec!["row".to_owned(); 50_000]).await;
    assert_eq!(events.len(), limit + 1);
    let told = format!("no more progress is shown: {limit} reports a call are the limit");
    assert_eq!(events.last().and_then(|event| event.message.clone()), Some(told));
}
