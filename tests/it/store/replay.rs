//! Stored events shown again.

use std::{sync::Arc, time::Duration};

use agent_runtime::{
    prelude::*,
    store::{Cursor, EventStore, MemoryStore, Position, Query, Recorder, Replay, Speed},
    view::Tree,
};
use chrono::TimeDelta;
use tokio::time::Instant;
use tracing::instrument::WithSubscriber as _;

use crate::support::{Recording, full_flow, history};

/// Runs a workflow with the bridge on and returns its store.
async fn recorded(recording: &Recording, content: bool) -> (Arc<MemoryStore>, Runtime) {
    let store = Arc::new(MemoryStore::new());
    let runtime = Runtime::new();
    let builder = Recorder::builder(store.clone()).with_content(content);
    let recorder = builder.start(runtime.event_stream()).await.expect("the store is open");
    runtime.execute(&full_flow(), "go").with_subscriber(recording.dispatch()).await.expect("the run succeeds");
    assert!(recorder.stop().await.is_complete());
    (store, runtime)
}

/// Spans in the form in which they are exported, by their ids; whether a parent was in the process is what a replay cannot know.
fn exported(recording: &Recording) -> Vec<String> {
    let mut spans: Vec<_> = recording
        .spans()
        .iter()
        .map(|span| {
            let mut span = span.clone();
            span.flags &= 0xff;
            serde_json::to_string(&span).expect("a span has a JSON form")
        })
        .collect();
    spans.sort();
    spans
}

#[tokio::test]
async fn the_trace_again_has_the_same_bytes_with_and_without_content_in_the_store() {
    for content in [false, true] {
        let live = Recording::new();
        let (store, _) = recorded(&live, content).await;
        for _ in 0..2 {
            let again = Recording::new();
            let report =
                Replay::of(store.clone()).run(|stored| drop(again.mapper().observe(&stored.event))).await.unwrap();
            assert_eq!(exported(&again), exported(&live));
            assert_eq!(report.cursor, Cursor::After(store.latest().await.unwrap().unwrap()));
        }
    }
}

#[tokio::test]
async fn the_show_again_has_the_same_events_at_the_same_times_for_every_subscriber() {
    let live = Recording::new();
    let (store, runtime) = recorded(&live, true).await;
    let events = history(&runtime).await;
    let stream = EventStream::new();
    let mut tools = stream.subscribe().filter(EventScope::Tool);
    let again = Recording::new();
    let report = Replay::of(store).into_stream(&stream).with_subscriber(again.dispatch()).await.unwrap();
    assert_eq!(report.events, events.len() as u64);
    let shown = stream.get_events(0).await;
    assert_eq!(shown, events);
    assert_eq!(Tree::of(&shown).to_string(), Tree::of(&events).to_string());
    assert_eq!(tools.recv().await.unwrap().event_type, EventType::Started);
    assert!(again.spans().is_empty(), "layers saw the events when they happened");
}

/// A store with a tool that reports after 10 s and ends a minute after that.
async fn slow() -> Arc<MemoryStore> {
    let stream = EventStream::builder().with_start_time("2026-01-01T00:00:00Z".parse().expect("it is a time")).build();
    let store = Arc::new(MemoryStore::new());
    let recorder = Recorder::builder(store.clone()).start(&stream).await.expect("the store is open");
    stream.append(Event::tool_started("t", None, None, json!({}))).expect("it is valid");
    tokio::time::sleep(Duration::from_secs(10)).await;
    stream.append(Event::tool_progress("t", None, None, None, json!({}))).expect("it is valid");
    tokio::time::sleep(Duration::from_secs(60)).await;
    stream.append(Event::tool_completed("t", None, None, json!({}))).expect("it is valid");
    assert!(recorder.stop().await.is_complete());
    store
}

async fn shown_at(replay: Replay) -> Vec<u64> {
    let began = Instant::now();
    let mut at = Vec::new();
    replay.run(|_| at.push(began.elapsed().as_secs())).await.expect("the store is open");
    at
}

#[tokio::test(start_paused = true)]
async fn events_come_at_the_pace_that_is_asked_for() {
    let store = slow().await;
    let replay = || Replay::of(store.clone());
    assert_eq!(shown_at(replay()).await, [0, 0, 0]);
    assert_eq!(shown_at(replay().with_speed(Speed::ORIGINAL)).await, [0, 10, 70]);
    assert_eq!(shown_at(replay().with_speed(Speed::times(10.0))).await, [0, 1, 7]);
    assert_eq!(shown_at(replay().with_speed(Speed::times(0.5))).await, [0, 20, 140]);
    let short = replay().with_speed(Speed::ORIGINAL).with_longest_pause(Duration::from_secs(15));
    assert_eq!(shown_at(short).await, [0, 10, 25]);
    assert_eq!([f64::NAN, -1.0, 0.0].map(Speed::times), [Speed::MIN; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_replay_is_paused_goes_on_and_changes_its_speed_while_it_runs() {
    let replay = Replay::of(slow().await).with_speed(Speed::ORIGINAL);
    let control = replay.control();
    tokio::spawn(async move {
        let wait = async |seconds| tokio::time::sleep(Duration::from_secs(seconds)).await;
        wait(5).await;
        control.pause();
        wait(100).await;
        control.resume();
        // The tool reports at 110 s, and half a minute of the rest is shown until 140 s.
        wait(35).await;
        control.set_speed(Speed::times(3.0));
    });
    assert_eq!(shown_at(replay).await, [0, 110, 150]);
}

#[tokio::test]
async fn a_replay_shows_what_it_is_asked_for_from_where_it_is_asked_to_begin() {
    let (store, runtime) = recorded(&Recording::new(), false).await;
    let events = history(&runtime).await;
    let from = Cursor::After(Position::new(runtime.event_stream().epoch(), 4));
    let until = events[9].timestamp + TimeDelta::nanoseconds(1);
    let mut offsets = Vec::new();
    let replay = Replay::of(store).with_from(from).with_query(Query::default().with_until(until));
    replay.run(|stored| offsets.push(stored.position.offset)).await.unwrap();
    assert_eq!((offsets.first(), offsets.last()), (Some(&5), Some(&9)));
}
