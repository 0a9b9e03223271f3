//! One order for offsets, history, subscribers and time, whatever the threads do.

use std::{sync::Arc, thread};

use agent_runtime::prelude::*;
use futures_util::{FutureExt, future::join_all};
use tokio::{sync::Barrier, time};

use super::support::{append_numbers, drain, numbered, offsets, read, watched};

const WRITERS: u64 = 4;

/// What a writer puts into its events: who it is and how many it wrote before.
fn written_by(writer: u64, number: u64) -> Event {
    Event::tool_progress(format!("tool:{writer}"), None, None, None, json!({ "number": number }))
}

/// Appends from all writers at once and checks that everybody who looks sees the one order.
async fn check_order(per_writer: u64, subscribers: usize) {
    let total = WRITERS * per_writer;
    let stream = EventStream::builder().with_capacity(usize::try_from(total).expect("small")).build();
    let start = Arc::new(Barrier::new(usize::try_from(WRITERS).expect("small")));
    let readers: Vec<_> = (0..subscribers)
        .map(|_| {
            let mut subscription = stream.subscribe();
            tokio::spawn(async move { read(&mut subscription, usize::try_from(total).expect("small")).await })
        })
        .collect();
    let writers = (0..WRITERS).map(|writer| {
        let (stream, start) = (stream.clone(), Arc::clone(&start));
        tokio::spawn(async move {
            start.wait().await;
            let mut before = None;
            for number in 0..per_writer {
                let offset = stream.append(written_by(writer, number)).expect("valid").offset;
                assert!(offset > before, "a caller's own events keep its order");
                before = offset;
            }
        })
    });
    for writer in join_all(writers).await {
        writer.expect("the writer is fine");
    }

    let history = stream.get_events(0).await;
    assert_eq!(offsets(&history), (0..total).collect::<Vec<_>>());
    assert!(history.is_sorted_by_key(|event| event.timestamp), "time never runs against the order");
    for writer in 0..WRITERS {
        let numbers = history.iter().filter(|event| event.component_index() == Some(writer));
        assert!(numbers.map(|event| event.data["number"].as_u64()).eq((0..per_writer).map(Some)));
    }
    for reader in readers {
        assert_eq!(reader.await.expect("the reader is fine"), history);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_appends_have_one_order_for_all_in_a_thousand_rounds() {
    for _ in 0..1_000 {
        check_order(4, 3).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_appends_have_one_order_for_all_in_one_long_run() {
    check_order(10_000, 3).await;
}

#[test]
fn append_works_outside_of_any_runtime() {
    let stream = EventStream::new();
    let mut subscription = stream.subscribe();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let stream = &stream;
            scope.spawn(move || {
                for number in 0..500 {
                    stream.append(written_by(writer, number)).expect("valid");
                }
            });
        }
    });
    let received = drain(&mut subscription);
    assert_eq!(offsets(&received), (0..WRITERS * 500).collect::<Vec<_>>());
    assert!(received.is_sorted_by_key(|event| event.timestamp));
    let history = stream.get_events(0).now_or_never().expect("the history never has to be awaited");
    assert_eq!(history, received);
}

#[tokio::test]
async fn an_append_on_a_plain_thread_wakes_a_reader_in_a_runtime() {
    let stream = EventStream::new();
    let mut subscription = stream.subscribe();
    let reader = tokio::spawn(async move { read(&mut subscription, 3).await });
    let writer = thread::spawn(move || append_numbers(&stream, 0..3));
    assert_eq!(offsets(&reader.await.unwrap()), [0, 1, 2]);
    writer.join().unwrap();
}

#[tokio::test(start_paused = true)]
async fn time_never_runs_backwards_though_threads_see_different_clocks() {
    let stream = EventStream::builder().with_start_time("2026-01-01T00:00:00Z".parse().unwrap()).build();
    append_numbers(&stream, 0..1);
    time::advance(time::Duration::from_secs(3600)).await;
    append_numbers(&stream, 1..2);
    // A thread outside of the runtime does not see its paused and advanced clock.
    let outside = stream.clone();
    watched(move || append_numbers(&outside, 2..3));
    append_numbers(&stream, 3..4);
    let history = stream.get_events(0).await;
    assert!(history.is_sorted_by_key(|event| event.timestamp), "{:?}", history.iter().map(|event| event.timestamp));
}

#[test]
fn append_gives_back_the_event_as_every_reader_sees_it() {
    let stream = EventStream::new();
    let mut subscription = stream.subscribe();
    let mut event = numbered(9);
    let appended = stream.append(event.clone()).unwrap();
    assert_eq!(subscription.try_recv().as_ref(), Ok(&*appended));
    assert_eq!((appended.offset, appended.event_id), (Some(0), event.event_id), "the offset is new, the id is kept");
    (event.offset, event.timestamp) = (appended.offset, appended.timestamp);
    assert_eq!(*appended, event, "nothing else changes");
}
