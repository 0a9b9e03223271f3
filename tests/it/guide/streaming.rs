//! Showing an answer while it is written, by hand and in batches.

use std::time::Duration;

use agent_runtime::prelude::*;
use tokio::time::Instant;

use super::homework::{CHUNKS, QUESTION, homework, slow_homework};

#[tokio::test]
async fn an_answer_is_shown_as_it_is_written() {
    let (tx, mut rx) = mpsc::channel::<Event>(100);
    let printer = tokio::spawn(async move {
        let (mut answer, mut shown) = (String::new(), Vec::new());
        while let Some(event) = rx.recv().await {
            match (event.scope, event.event_type) {
                (EventScope::LlmRequest, EventType::Started) => answer.clear(),
                (EventScope::LlmRequest, EventType::Progress) => {
                    if let Some(chunk) = event.data["chunk"].as_str() {
                        answer.push_str(chunk);
                        shown.push(answer.clone());
                    }
                }
                (EventScope::LlmRequest, EventType::Completed) => {
                    assert_eq!(event.data["response"].as_str(), Some(answer.as_str()));
                    shown.push(format!("{} tokens", event.data["usage"]["total_tokens"]));
                }
                _ => {}
            }
        }
        shown
    });
    homework().execute(QUESTION, &tx).await.expect("the homework is done");
    drop(tx);
    let shown = printer.await.expect("the printer ends with the run");
    assert_eq!(shown, ["120 tokens", "42 × 137", "42 × 137 is ", "42 × 137 is 5754.", "200 tokens"]);
}

#[tokio::test(start_paused = true)]
async fn chunks_may_be_buffered_by_hand() {
    let runtime = Runtime::new();
    let mut rx = runtime.event_stream().subscribe();
    let run = async move { runtime.execute(&slow_homework(Duration::from_millis(30)), QUESTION).await };
    let flush = async {
        let (mut buffer, mut flushed, mut last_flush) = (String::new(), Vec::new(), Instant::now());
        while let Ok(event) = rx.recv().await {
            if let (EventScope::LlmRequest, EventType::Progress) = (event.scope, event.event_type) {
                buffer.push_str(event.data["chunk"].as_str().unwrap());
                if last_flush.elapsed() > Duration::from_millis(50) {
                    flushed.push(std::mem::take(&mut buffer));
                    last_flush = Instant::now();
                }
            }
        }
        flushed.push(buffer);
        flushed
    };
    let (result, flushed) = tokio::join!(run, flush);
    assert_eq!(result.expect("the homework is done").output, CHUNKS.concat());
    // The first piece comes late; the other two are 30 ms apart.
    assert_eq!(flushed, [CHUNKS[0], &CHUNKS[1..].concat(), ""]);
}

#[tokio::test(start_paused = true)]
async fn or_the_stream_does_it() {
    let runtime = Runtime::new();
    let windows = [("50 ms", BatchWindow::from(Duration::from_millis(50))), ("the defaults", BatchWindow::default())];
    for (name, window) in windows {
        let mut rx = runtime.event_stream().subscribe().filter(EventScope::LlmRequest).batched(window);
        runtime.execute(&homework(), QUESTION).await.expect("the homework is done");
        let mut flushed = Vec::new();
        while let Ok(event) = rx.recv().await {
            match event.event_type {
                EventType::Progress => flushed.push(event.data["chunk"].as_str().unwrap().to_owned()),
                EventType::Completed if !flushed.is_empty() => break,
                _ => {}
            }
        }
        assert_eq!(flushed, [CHUNKS.concat()], "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tools_progress_is_merged_over_a_longer_window() {
    let scrape = FnTool::new("scrape", "Reads pages.", json!({"type": "object"}), async |_args, progress| {
        for page in 1..=10 {
            tokio::time::sleep(Duration::from_millis(30)).await;
            progress(format!("page {page} of 10"), Some(page));
        }
        Ok(json!({"pages": 10}))
    });
    let model = ScriptedModel::new("m")
        .with_reply(ScriptedReply::tool_calls([("scrape", json!({}))]))
        .with_reply(ScriptedReply::text("Done."));
    let agent = Agent::builder("scraper", model).with_tool(scrape).build();
    let workflow = Workflow::new("scraping").add_step(AgentStep::new(agent)).build();
    let (events, run) = Runtime::new().start(&workflow, "go");
    let mut rx = events.batched(BatchWindow::default()).filter(EventScope::Tool).filter_type(EventType::Progress);
    let read = async {
        let mut reports = Vec::new();
        while let Ok(event) = rx.recv().await {
            reports.push(event);
        }
        reports
    };
    let (result, reports) = tokio::join!(run, read);
    result.expect("it succeeds");
    assert!((2..=4).contains(&reports.len()), "300 ms in windows of 100 ms: {}", reports.len());
    let merged: u64 = reports.iter().map(|event| event.data.merged().map_or(1, |merged| merged.count)).sum();
    assert_eq!(merged, 10, "nothing is lost");
    assert_eq!(reports.last().map(|event| event.data["progress"].as_u64()), Some(Some(10)));
}
