//! Progress merged into few span events, with exact sums.

use std::{sync::Arc, time::Duration};

use agent_runtime::{event::Usage, otel::DEFAULT_MAX_PROGRESS_EVENTS, prelude::*};
use chrono::{DateTime, TimeDelta};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use crate::support::{Recording, agent_flow, calling, replies, run, spans, tool};

/// What the span of a request may weigh on the wire, however long the answer.
const MAX_SPAN_BYTES: usize = 64 * 1024;

/// A request with so many chunks, so far apart, as events of a log.
fn request(chunks: u64, apart: TimeDelta) -> Vec<Event> {
    let usage = json!({"prompt_tokens": 5, "completion_tokens": chunks, "total_tokens": chunks + 5});
    let mut events = vec![Event::llm_started("a:llm:0", None, None, json!({"model": "m"}))];
    let chunk = |_| Event::llm_progress("a:llm:0", None, None, None, EventData::chunk("x"));
    events.extend((0..chunks).map(chunk));
    events.push(Event::llm_completed("a:llm:0", None, None, json!({"usage": usage, "finish_reason": "stop"})));
    for (offset, event) in events.iter_mut().enumerate() {
        event.offset = Some(offset as u64);
        event.timestamp = DateTime::UNIX_EPOCH + apart * i32::try_from(offset).expect("few enough");
    }
    events
}

/// Checks that the span events stand for all chunks, each once, in order.
#[track_caller]
fn check_merged(span: &Span, chunks: u64) {
    let (on_span, sum) = spans::chunk_counts(span);
    assert_eq!((on_span, sum), (chunks as i64, chunks as i64));
    let merged = spans::events(span, "agent_runtime.llm.chunk");
    assert!(merged.len() as u64 <= u64::from(DEFAULT_MAX_PROGRESS_EVENTS).min(chunks), "{} span events", merged.len());
    assert_eq!((span.dropped_events_count, span.dropped_attributes_count), (0, 0));
    let number = |event, key| spans::event_attribute(event, key).as_i64().expect("it is said");
    let mut next = 1;
    for event in merged {
        assert_eq!(number(event, "agent_runtime.event.first_offset"), next);
        next = number(event, "agent_runtime.event.last_offset") + 1;
        assert_eq!(event.time_unix_nano, span.start_time_unix_nano + (next as u64 - 1) * apart_of(span, chunks));
    }
    assert_eq!(next, chunks as i64 + 1);
}

/// How far apart the events of a span are, in nanoseconds.
fn apart_of(span: &Span, chunks: u64) -> u64 {
    (span.end_time_unix_nano - span.start_time_unix_nano) / (chunks + 1)
}

#[test]
fn however_many_chunks_and_however_far_apart_the_sums_are_exact() {
    for chunks in [1, 2, 95, 96, 97, 128, 129, 10_000, 100_000] {
        for apart in [TimeDelta::zero(), TimeDelta::milliseconds(1), TimeDelta::milliseconds(50), TimeDelta::seconds(1)]
        {
            let spans = Recording::new().replay(&request(chunks, apart));
            let span = spans.one("chat m");
            check_merged(span, chunks);
            assert!(span.encoded_len() < MAX_SPAN_BYTES, "{} bytes for {chunks} chunks", span.encoded_len());
            assert_eq!(spans::attribute(span, "gen_ai.usage.output_tokens"), chunks);
            assert_eq!(spans::attribute(span, "gen_ai.response.finish_reasons"), json!(["stop"]));
            let first = spans::attribute(span, "gen_ai.response.time_to_first_chunk").as_f64();
            assert_eq!(first, Some(apart.to_std().unwrap().as_secs_f64()));
        }
    }
}

#[test]
fn chunks_that_come_slowly_keep_an_event_each() {
    let spans = Recording::new().replay(&request(8, TimeDelta::milliseconds(50)));
    assert_eq!(spans::events(spans.one("chat m"), "agent_runtime.llm.chunk").len(), 8);
}

#[test]
fn other_limits_hold_too() {
    for limit in [0, 1, 2, 5, 12, 13] {
        let recording = Recording::with_mapper(|mapper| mapper.with_max_progress_events(limit));
        let spans = recording.replay(&request(1_000, TimeDelta::milliseconds(70)));
        let span = spans.one("chat m");
        assert!(spans::events(span, "agent_runtime.llm.chunk").len() <= limit.max(1) as usize);
        assert_eq!(spans::chunk_counts(span), (1_000, 1_000));
    }
}

#[tokio::test]
async fn ten_thousand_chunks_of_a_model_are_counted_exactly_and_their_usage_is_kept() {
    let usage = Usage::new(1, 10_000);
    let reply = ScriptedReply::default().with_chunks(vec!["x"; 10_000]).with_usage(usage);
    let ran = run(&agent_flow(replies([reply]), []), "go").await;
    let span = ran.spans.one("chat scripted");
    let is_chunk = |event: &&Event| (event.scope, event.event_type) == (EventScope::LlmRequest, EventType::Progress);
    assert_eq!(ran.events.iter().filter(is_chunk).count(), 10_000);
    assert_eq!(spans::chunk_counts(span), (10_000, 10_000));
    assert!(span.events.len() <= DEFAULT_MAX_PROGRESS_EVENTS as usize);
    assert_eq!(spans::attribute(span, "gen_ai.usage.output_tokens"), 10_000);
}

#[tokio::test(start_paused = true)]
async fn chunks_merge_in_windows_of_time_and_the_first_one_is_timed() {
    let reply = ScriptedReply::default().with_chunks(vec!["x"; 30]).with_delay(Duration::from_millis(20));
    let ran = run(&agent_flow(replies([reply]), []), "go").await;
    let span = ran.spans.one("chat scripted");
    let counts: Vec<_> = spans::events(span, "agent_runtime.llm.chunk")
        .into_iter()
        .map(|event| spans::event_attribute(event, "agent_runtime.llm.chunk_count").as_i64().unwrap())
        .collect();
    assert_eq!(counts[..8], [3; 8], "three at 0, 20 and 40 ms are in a window of 50 ms");
    assert_eq!(counts.iter().sum::<i64>(), 30);
    assert_eq!(spans::attribute(span, "gen_ai.response.time_to_first_chunk"), 0.02);
}

#[tokio::test]
async fn a_tools_progress_has_its_last_message_its_numbers_and_the_count() {
    let reports = tool("reports", |_, progress| async move {
        for part in 1..=500_u64 {
            progress(format!("part {part}"), Some(part));
        }
        Ok(json!("done"))
    });
    let ran = run(&agent_flow(calling(vec![("reports", json!({}))], "Done."), [reports]), "go").await;
    let span = ran.spans.one("execute_tool reports");
    let merged = spans::events(span, "agent_runtime.progress");
    let count = |event| spans::event_attribute(event, "agent_runtime.progress.count").as_i64().unwrap();
    assert_eq!(merged.iter().map(|event| count(event)).sum::<i64>(), 500);
    let last = merged.last().expect("there is progress");
    assert_eq!(spans::event_attribute(last, "agent_runtime.progress.message"), "part 500");
    assert_eq!(spans::event_attribute(last, "agent_runtime.data.progress"), 500);
    assert_eq!(spans::attribute(span, "agent_runtime.llm.chunk_count"), JsonValue::Null);
}

#[tokio::test]
async fn requests_at_once_count_each_their_own_chunks() {
    let answer = |count: usize| ScriptedReply::default().with_chunks(vec!["x"; count]);
    let runtime = Runtime::new();
    let nested = |count: usize| agent_flow(replies([answer(count)]), []);
    let flows = Arc::new([nested(7), nested(300), nested(41)]);
    let nest = tool("nest", {
        let runtime = runtime.clone();
        move |args, _| {
            let (runtime, flows) = (runtime.clone(), Arc::clone(&flows));
            async move {
                let flow = &flows[args["n"].as_u64().unwrap_or_default() as usize];
                runtime.execute(flow, "go").await.map(|run| run.output).map_err(Into::into)
            }
        }
    });
    let calls = (0..3).map(|n| ("nest", json!({"n": n}))).collect();
    let recording = Recording::new();
    let workflow = agent_flow(calling(calls, "two chunks"), [nest]);
    let future = runtime.execute(&workflow, "go");
    tracing::instrument::WithSubscriber::with_subscriber(future, recording.dispatch()).await.expect("it runs");
    let mut counts: Vec<_> = recording.spans().all("chat scripted").into_iter().map(spans::chunk_counts).collect();
    counts.sort_unstable();
    assert_eq!(counts, [(0, 0), (2, 2), (7, 7), (41, 41), (300, 300)]);
}
