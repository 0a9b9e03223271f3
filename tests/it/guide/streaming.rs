//! Showing an answer while it is written, by hand and in batches.

use std::time::Duration;

use agent_runtime::prelude::*;
use tokio::time::{self, Instant};

use super::story::{CHUNKS, story, tell, told_to_a_channel};

#[tokio::test]
async fn an_answer_is_shown_as_it_is_written() {
    let mut rx = told_to_a_channel();
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
    assert_eq!(shown, ["42 × 137", "42 × 137 is ", "42 × 137 is 5754.", "200 tokens"]);
}

#[tokio::test(start_paused = true)]
async fn chunks_may_be_buffered_by_hand() {
    let stream = EventStream::new();
    let mut rx = stream.subscribe();
    let writer = tokio::spawn(async move {
        for event in story() {
            stream.append(event).unwrap();
            time::sleep(Duration::from_millis(30)).await;
        }
    });
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
    writer.await.unwrap();
    flushed.push(buffer);
    assert_eq!(flushed.concat(), CHUNKS.concat());
}

#[tokio::test(start_paused = true)]
async fn or_the_stream_does_it() {
    let stream = EventStream::new();
    let mut rx = stream.subscribe().filter(EventScope::LlmRequest).batched(Duration::from_millis(50));
    tell(&stream);
    drop(stream);
    let mut flushed = Vec::new();
    while let Ok(event) = rx.recv().await {
        if event.event_type == EventType::Progress {
            flushed.push(event.data["chunk"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(flushed, [CHUNKS.concat()]);
}
