//! With a seed, a start time and a clock that stands still, a run gives the same events to the bit.

use std::time::Duration;

use agent_runtime::prelude::*;
use tokio::time;
use uuid::Uuid;

use super::support::{all_kinds, event_of};

const EPOCH: &str = "2026-01-01T00:00:00Z";

fn stream(seed: u64) -> EventStream {
    EventStream::builder().with_seed(seed).with_start_time(EPOCH.parse().expect("a time")).build()
}

/// Appends events without an id, some time apart, so that the stream gives ids and times.
async fn run(stream: &EventStream) -> Vec<Event> {
    for (scope, event_type) in all_kinds() {
        let mut event = event_of(scope, event_type);
        event.event_id = Uuid::nil();
        stream.append(event).expect("valid");
        time::advance(Duration::from_micros(1_500)).await;
    }
    stream.get_events(0).await
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_and_start_give_the_same_ids_and_times() {
    let (first, second) = (run(&stream(7)).await, run(&stream(7)).await);
    assert_eq!(first, second);
    assert_eq!(first[0].timestamp.to_rfc3339(), "2026-01-01T00:00:00+00:00");
    assert_eq!((first[2].timestamp - first[0].timestamp).num_microseconds(), Some(3_000));
}

#[tokio::test(start_paused = true)]
async fn another_seed_gives_other_ids_at_the_same_times() {
    let (one, two) = (run(&stream(7)).await, run(&stream(8)).await);
    for (one, two) in one.iter().zip(&two) {
        assert_eq!(one.timestamp, two.timestamp);
        assert_ne!(one.event_id, two.event_id);
    }
}

#[tokio::test(start_paused = true)]
async fn ids_given_by_the_stream_are_unique_and_carry_the_time() {
    for events in [run(&stream(7)).await, run(&EventStream::new()).await] {
        let mut ids: Vec<_> = events.iter().map(|event| event.event_id).collect();
        for (id, event) in ids.iter().zip(&events) {
            assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
            let (seconds, nanos) = id.get_timestamp().expect("version 7 has a time").to_unix();
            let millis = i64::try_from(seconds * 1_000).expect("soon enough") + i64::from(nanos / 1_000_000);
            assert_eq!(millis, event.timestamp.timestamp_millis());
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), events.len());
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_that_the_event_brings_is_kept() {
    let event = event_of(EventScope::Agent, EventType::Started);
    assert_eq!(stream(7).append(event.clone()).unwrap().event_id, event.event_id);
}

#[tokio::test(start_paused = true)]
async fn the_clock_starts_at_the_epoch_and_runs_with_the_tests_clock() {
    let stream = stream(1);
    for hours in 0..3 {
        let at = stream.append(event_of(EventScope::Agent, EventType::Started)).unwrap().timestamp;
        assert_eq!(at - EPOCH.parse::<chrono::DateTime<chrono::Utc>>().unwrap(), chrono::TimeDelta::hours(hours));
        time::advance(Duration::from_secs(3_600)).await;
    }
}
