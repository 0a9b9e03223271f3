//! Progress merged in time windows: nothing lost, nothing out of turn. The clock stands still but for what waits on it.

use std::time::Duration;

use agent_runtime::{
    event::Merged,
    prelude::*,
    stream::{BatchWindow, Batched},
};
use futures_util::{FutureExt, StreamExt};
use tokio::time::{self, Instant};

use super::support::{append_numbers, chunk, event_of, offsets};

const MINUTE: Duration = Duration::from_secs(60);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn stream_and_batched() -> (EventStream, Batched) {
    let stream = EventStream::new();
    let batched = stream.subscribe().batched(BatchWindow::default());
    (stream, batched)
}

fn append(stream: &EventStream, events: impl IntoIterator<Item = Event>) {
    for event in events {
        stream.append(event).expect("valid");
    }
}

fn tool_progress(message: &str, done: u64) -> Event {
    Event::tool_progress("scraper:0", Some(message.to_owned()), None, None, json!({ "done": done }))
}

/// Everything until the stream ends.
async fn all(batched: Batched) -> Vec<Event> {
    batched.map(|item| item.expect("no lag")).collect().await
}

#[tokio::test(start_paused = true)]
async fn chunks_of_one_window_become_one_event() {
    let (stream, mut batched) = stream_and_batched();
    let start = Instant::now();
    append(&stream, ["Hel", "lo ", "wörld", "", "!"].map(|text| chunk("writer:llm:0", text)));
    let event = batched.recv().await.unwrap();
    assert_eq!(start.elapsed(), BatchWindow::DEFAULT_LLM);
    assert_eq!((event.scope, event.event_type), (EventScope::LlmRequest, EventType::Progress));
    assert_eq!(event.data["chunk"].as_str(), Some("Hello wörld!"));
    assert_eq!(event.data.chunk_text(), Some("Hello wörld!"));
    assert_eq!(event.message.as_deref(), Some("Hello wörld!"));
    assert_eq!(event.data.merged(), Some(Merged::new(5, 0, 4)));
    assert_eq!(event.data["merged"], json!({"count": 5, "first_offset": 0, "last_offset": 4}));
    let last = &stream.get_events(4).await[0];
    assert_eq!((event.event_id, event.offset, event.timestamp), (last.event_id, last.offset, last.timestamp));
    assert!(event.validate().is_ok());
}

#[tokio::test(start_paused = true)]
async fn progress_waits_as_long_as_its_kind_of_component_says() {
    assert_eq!((BatchWindow::DEFAULT_LLM, BatchWindow::DEFAULT_TOOL), (ms(50), ms(100)));
    assert_eq!(BatchWindow::default(), BatchWindow::new(ms(50), ms(100)));
    assert_eq!(BatchWindow::from(ms(7)), BatchWindow::new(ms(7), ms(7)));
    for (window, llm, others) in
        [(BatchWindow::default(), 50, 100), (ms(20).into(), 20, 20), (BatchWindow::new(ms(5), ms(9)), 5, 9)]
    {
        for scope in EventScope::ALL.iter().copied() {
            let stream = EventStream::new();
            let mut batched = stream.subscribe().batched(window);
            let start = Instant::now();
            append(&stream, [event_of(scope, EventType::Progress), event_of(scope, EventType::Progress)]);
            assert_eq!(batched.recv().await.unwrap().data.merged().map(|merged| merged.count), Some(2));
            let expected = if scope == EventScope::LlmRequest { llm } else { others };
            assert_eq!(start.elapsed(), ms(expected), "{scope}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_shorter_window_delivers_what_the_longer_one_gathered() {
    let (stream, mut batched) = stream_and_batched();
    let start = Instant::now();
    append(&stream, [tool_progress("one", 1), chunk("writer:llm:0", "a")]);
    assert_eq!(batched.recv().await.unwrap().offset, Some(0));
    assert_eq!(batched.recv().await.unwrap().offset, Some(1));
    assert_eq!(start.elapsed(), BatchWindow::DEFAULT_LLM);
}

#[tokio::test(start_paused = true)]
async fn a_single_progress_event_passes_unchanged() {
    let (stream, mut batched) = stream_and_batched();
    for event in
        [chunk("writer:llm:0", "alone"), tool_progress("alone", 1), event_of(EventScope::Agent, EventType::Progress)]
    {
        let appended = stream.append(event).unwrap();
        let received = batched.recv().await.unwrap();
        assert_eq!(received, *appended);
        assert_eq!(received.data.merged(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn other_progress_keeps_every_update_and_every_message() {
    let (stream, mut batched) = stream_and_batched();
    append(&stream, [tool_progress("page 1", 1), tool_progress("page 2", 2)]);
    append(&stream, [Event::tool_progress("scraper:0", None, None, None, json!("no object"))]);
    append(&stream, [tool_progress("page 3", 3)]);
    let event = batched.recv().await.unwrap();
    assert_eq!(event.message.as_deref(), Some("page 1\npage 2\npage 3"));
    assert_eq!(event.data["updates"], json!([{"done": 1}, {"done": 2}, "no object", {"done": 3}]));
    assert_eq!(event.data["done"], 3, "besides, the data is the last one's");
    assert_eq!(event.data.merged(), Some(Merged::new(4, 0, 3)));
}

#[tokio::test(start_paused = true)]
async fn chunks_that_carry_more_than_text_lose_neither_text_nor_the_rest() {
    let (stream, mut batched) = stream_and_batched();
    let progress = |data: JsonValue| Event::llm_progress("writer:llm:0", None, None, None, data);
    let data = [
        json!({"chunk": "", "role": "assistant"}),
        json!({"chunk": "Hi"}),
        json!({"reasoning": "so"}),
        json!({"chunk": "!"}),
    ];
    append(&stream, data.clone().map(progress));
    let event = batched.recv().await.unwrap();
    assert_eq!(event.data["chunk"].as_str(), Some("Hi!"));
    assert_eq!(event.data["updates"], json!(data));
}

#[tokio::test(start_paused = true)]
async fn an_end_comes_at_once_and_after_the_progress_before_it() {
    for end in [EventType::Started, EventType::Completed, EventType::Failed, EventType::Canceled] {
        let (stream, mut batched) = stream_and_batched();
        let start = Instant::now();
        append(&stream, [chunk("writer:llm:0", "a"), chunk("writer:llm:0", "b"), tool_progress("page", 1)]);
        let appended = stream.append(event_of(EventScope::LlmRequest, end)).unwrap();
        append(&stream, [chunk("writer:llm:0", "c")]);
        assert_eq!(batched.recv().await.unwrap().data["chunk"], "ab");
        assert_eq!(batched.recv().await.unwrap().scope, EventScope::Tool);
        assert_eq!(batched.recv().await.unwrap(), *appended);
        assert_eq!(start.elapsed(), Duration::ZERO, "{end} waits for no window");
        assert_eq!(batched.recv().await.unwrap().data["chunk"], "c");
        assert_eq!(start.elapsed(), BatchWindow::DEFAULT_LLM);
    }
}

#[tokio::test(start_paused = true)]
async fn interleaved_components_are_merged_each_for_itself() {
    let (stream, batched) = stream_and_batched();
    for (one, two) in [("a", "1"), ("b", "2"), ("c", "3")] {
        append(&stream, [chunk("writer:llm:0", one), chunk("critic:llm:0", two)]);
    }
    // The same component in another run, and a tool of the same name as a step's agent, are others.
    append(&stream, [chunk("writer:llm:0", "x").in_workflow(Some("wf".to_owned()), None)]);
    append(&stream, [Event::agent_progress("search", None, None, None, json!({}))]);
    append(&stream, [Event::tool_progress("search", None, None, None, json!({}))]);
    drop(stream);
    let events = all(batched).await;
    let seen: Vec<_> = events.iter().map(|e| (e.component_id.as_str(), e.scope, e.data["chunk"].as_str())).collect();
    assert_eq!(
        seen,
        [
            ("writer:llm:0", EventScope::LlmRequest, Some("abc")),
            ("critic:llm:0", EventScope::LlmRequest, Some("123")),
            ("writer:llm:0", EventScope::LlmRequest, Some("x")),
            ("search", EventScope::Agent, None),
            ("search", EventScope::Tool, None),
        ]
    );
    assert_eq!(events[0].data.merged(), Some(Merged::new(3, 0, 4)));
    assert_eq!(events[1].data.merged(), Some(Merged::new(3, 1, 5)));
}

#[tokio::test(start_paused = true)]
async fn a_window_ends_although_events_keep_coming() {
    let (stream, batched) = stream_and_batched();
    let writer = tokio::spawn(async move {
        // On odd milliseconds, so that no chunk falls on the end of a window.
        time::sleep(ms(1)).await;
        for number in 0..100 {
            append(&stream, [chunk("writer:llm:0", &format!("{number},"))]);
            time::sleep(ms(8)).await;
        }
    });
    let start = Instant::now();
    let mut batched = batched;
    let (mut text, mut events, mut last) = (String::new(), 0, start);
    while let Ok(event) = batched.recv().await {
        text.push_str(event.data.chunk_text().expect("a chunk"));
        events += 1;
        assert!(last.elapsed() <= ms(8) + BatchWindow::DEFAULT_LLM, "a chunk waits for no more than its window");
        last = Instant::now();
    }
    writer.await.unwrap();
    assert_eq!(text, (0..100).map(|number| format!("{number},")).collect::<String>());
    assert_eq!(events, 100_usize.div_ceil(7), "seven chunks of 8 ms fit in a window");
}

#[tokio::test(start_paused = true)]
async fn a_window_of_nothing_merges_nothing_though_a_backlog_waits() {
    let stream = EventStream::new();
    append(&stream, (0..300).map(|number| chunk("writer:llm:0", &number.to_string())));
    let batched = stream.subscribe_from(0).batched(Duration::ZERO);
    drop(stream);
    let events = all(batched).await;
    assert_eq!(offsets(&events), (0..300).collect::<Vec<_>>(), "the end of a window is not put off by a backlog");
}

#[tokio::test(start_paused = true)]
async fn a_window_without_end_lasts_until_something_else_comes() {
    let stream = EventStream::new();
    let mut batched = stream.subscribe().batched(Duration::MAX);
    append(&stream, [chunk("writer:llm:0", "a")]);
    assert!(time::timeout(MINUTE, batched.recv()).await.is_err());
    append(&stream, [chunk("writer:llm:0", "b"), event_of(EventScope::LlmRequest, EventType::Completed)]);
    assert_eq!(batched.recv().await.unwrap().data["chunk"], "ab");
    assert_eq!(batched.recv().await.unwrap().event_type, EventType::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_lag_comes_after_what_was_gathered_before_it() {
    let stream = EventStream::builder().with_capacity(4).build();
    let mut batched = stream.subscribe().batched(MINUTE);
    append(&stream, [chunk("writer:llm:0", "a"), chunk("writer:llm:0", "b")]);
    assert!(batched.recv().now_or_never().is_none(), "gathered, not yet due");
    append_numbers(&stream, 0..10);
    assert_eq!(batched.recv().await.unwrap().data["chunk"], "ab");
    let RecvError::Lagged(lagged) = batched.recv().await.unwrap_err() else { panic!("the stream is open") };
    assert_eq!(lagged.missing(), 2..8);
    let rest = batched.recv().await.unwrap();
    assert_eq!(rest.data.merged(), Some(Merged::new(4, 8, 11)));
}

#[tokio::test(start_paused = true)]
async fn closing_delivers_what_was_gathered_and_then_ends() {
    let (stream, mut batched) = stream_and_batched();
    append(&stream, [chunk("writer:llm:0", "a"), chunk("writer:llm:0", "b")]);
    drop(stream);
    assert_eq!(batched.recv().await.unwrap().data["chunk"], "ab");
    for _ in 0..2 {
        assert_eq!(batched.recv().await, Err(RecvError::Closed));
    }
    assert!(batched.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_when_recv_is_canceled() {
    let (stream, mut batched) = stream_and_batched();
    let writer = tokio::spawn(async move {
        for number in 0..200 {
            append(&stream, [chunk("writer:llm:0", &format!("{number},"))]);
            if number % 10 == 0 {
                append(&stream, [tool_progress("page", number)]);
            }
            time::sleep(ms(3)).await;
        }
    });
    let (mut text, mut events) = (String::new(), Vec::new());
    loop {
        match time::timeout(ms(7), batched.recv()).await {
            Ok(Ok(event)) => {
                text.push_str(event.data.chunk_text().unwrap_or_default());
                events.push(event);
            }
            Ok(Err(error)) => break assert_eq!(error, RecvError::Closed),
            Err(_elapsed) => {}
        }
    }
    writer.await.unwrap();
    assert_eq!(text, (0..200).map(|number| format!("{number},")).collect::<String>());
    let stands_for: u64 = events.iter().map(|event| event.data.merged().map_or(1, |merged| merged.count)).sum();
    assert_eq!(stands_for, 220);
    assert!(events.len() < 50, "and yet it was merged: {}", events.len());
}

#[tokio::test(start_paused = true)]
async fn a_filter_set_before_still_counts() {
    let stream = EventStream::new();
    let batched = stream.subscribe().filter(EventScope::LlmRequest).batched(MINUTE);
    append(
        &stream,
        [chunk("writer:llm:0", "a"), event_of(EventScope::Tool, EventType::Failed), chunk("writer:llm:0", "b")],
    );
    drop(stream);
    let events = all(batched).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].data.merged(), Some(Merged::new(2, 0, 2)));
}

#[tokio::test(start_paused = true)]
async fn a_filter_may_be_set_behind_the_merging_too_and_at_any_time() {
    let run = |event: Event, id: &str| event.in_workflow(Some(id.to_owned()), None);
    let events = || {
        [
            run(tool_progress("a", 1), "one"),
            run(tool_progress("b", 2), "two"),
            run(tool_progress("c", 3), "one"),
            Event::agent_started("agent", Some("one".to_owned()), None, json!({})),
            Event::tool_failed("t", "no", Some("two".to_owned()), None, json!({})),
        ]
    };
    type Filter = fn(Batched) -> Batched;
    let filters: [(Filter, &[&str]); 6] = [
        (|b| b.filter(EventScope::Agent), &["agent"]),
        (|b| b.filter_status(ComponentStatus::Failed), &["no"]),
        (|b| b.filter_type(EventType::Progress), &["a\nc", "b"]),
        (|b| b.filter_workflow("one"), &["a\nc", "agent"]),
        (|b| b.filter_run("two").filter(EventScope::Tool), &["b", "no"]),
        (|b| b.filter_component("agent").filter_component("nobody"), &["agent"]),
    ];
    for (filter, expected) in filters {
        for reads_before in [false, true] {
            let (stream, mut batched) = stream_and_batched();
            append(&stream, events().into_iter().take(3));
            if reads_before {
                assert!(batched.recv().now_or_never().is_none(), "the progress is gathered");
            }
            append(&stream, events().into_iter().skip(3));
            drop(stream);
            let all = all(filter(batched)).await;
            let texts = all.iter().map(|event| event.message.as_deref().unwrap_or(&event.component_id));
            assert_eq!(texts.collect::<Vec<_>>(), expected, "{reads_before}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_merged_event_round_trips_as_json() {
    let (stream, mut batched) = stream_and_batched();
    append(&stream, [chunk("writer:llm:0", "a"), chunk("writer:llm:0", "b")]);
    let event = batched.recv().await.unwrap();
    let read_back = Event::from_json(&serde_json::to_string(&event).unwrap()).unwrap();
    assert_eq!(read_back, event);
    assert_eq!(read_back.data.merged(), event.data.merged());
}

#[tokio::test(start_paused = true)]
async fn gathering_is_bounded_and_says_where_to_resume() {
    let stream = EventStream::new();
    let mut batched = stream.subscribe().batched(Duration::MAX);
    for n in 0..=Batched::MAX_GATHERED_EVENTS {
        let component = if n % 2 == 0 { "even:llm:0" } else { "odd:llm:0" };
        stream.append(Event::llm_progress(component, None, None, None, EventData::chunk("x"))).unwrap();
    }
    let even = batched.recv().await.unwrap();
    assert_eq!((even.component_id.as_str(), even.data.merged().unwrap().count), ("even:llm:0", 2_048));
    assert_eq!(batched.offset(), 1, "the odd half was not delivered");
    let odd = batched.recv().await.unwrap();
    assert_eq!(odd.data["chunk"].as_str().unwrap().len(), 2_048);
    assert_eq!(batched.offset(), Batched::MAX_GATHERED_EVENTS as u64);
}
