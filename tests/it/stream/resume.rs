//! History and live events are one thing: a reader that comes back misses nothing and sees nothing twice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use agent_runtime::prelude::*;
use futures_util::{FutureExt, future::join_all};

use super::support::{append_numbers, drain, offsets, read, watched};

/// A stream that keeps the last 10 of 30 events.
fn ten_of_thirty() -> EventStream {
    let stream = EventStream::builder().with_capacity(10).build();
    append_numbers(&stream, 0..30);
    stream
}

#[tokio::test]
async fn the_history_is_what_is_kept_from_an_offset_on() {
    let stream = ten_of_thirty();
    assert_eq!((stream.first_offset(), stream.next_offset()), (20, 30));
    let table = [(0, 20..30), (19, 20..30), (20, 20..30), (21, 21..30), (29, 29..30), (30, 30..30), (31, 0..0)];
    for (from, expected) in table {
        let expected: Vec<u64> = expected.collect();
        assert_eq!(offsets(&stream.get_events(from).await), expected, "from {from}");
    }
    assert_eq!(stream.get_events(u64::MAX).await, []);
    assert_eq!(EventStream::new().get_events(0).await, []);
    assert_eq!((EventStream::new().first_offset(), EventStream::new().next_offset()), (0, 0));
}

#[tokio::test]
async fn an_offset_may_be_an_integer_of_any_type() {
    let stream = ten_of_thirty();
    let events = stream.get_events(25_usize).await;
    assert_eq!(offsets(&events), [25, 26, 27, 28, 29]);
    assert_eq!(stream.get_events(25).await, events);
    assert_eq!(stream.get_events(25_u64).await, events);
    assert_eq!(stream.get_events(20 + events.len()).await, events);
    assert_eq!(stream.get_events(-1).await.len(), 10, "what lies before the first counts as the first");
}

#[tokio::test]
async fn a_long_history_comes_whole() {
    let stream = EventStream::new();
    append_numbers(&stream, 0..1_000);
    for from in [0, 1, 63, 64, 65, 640, 999, 1_000] {
        let expected: Vec<u64> = (from..1_000).collect();
        assert_eq!(offsets(&stream.get_events(from).await), expected, "from {from}");
    }
}

#[test]
fn a_subscription_starts_where_it_is_told() {
    for (from, expected) in [(0, 0..8), (3, 3..8), (5, 5..8), (7, 7..8)] {
        let stream = EventStream::new();
        append_numbers(&stream, 0..5);
        let mut subscription = stream.subscribe_from(from);
        assert_eq!(subscription.offset(), from);
        append_numbers(&stream, 5..8);
        assert_eq!(offsets(&drain(&mut subscription)), expected.collect::<Vec<_>>(), "from {from}");
        assert_eq!(subscription.offset(), 8);
    }
    let stream = EventStream::new();
    append_numbers(&stream, 0..5);
    let mut live = stream.subscribe();
    append_numbers(&stream, 5..8);
    assert_eq!(offsets(&drain(&mut live)), [5, 6, 7]);
}

#[tokio::test]
async fn a_subscription_to_an_offset_ahead_sleeps_until_it_comes() {
    let stream = EventStream::new();
    let mut subscription = stream.subscribe_from(3);
    for number in 0..3 {
        append_numbers(&stream, [number]);
        assert!(subscription.recv().now_or_never().is_none(), "offset {number} is not yet the one waited for");
    }
    append_numbers(&stream, 3..5);
    assert_eq!(offsets(&read(&mut subscription, 2).await), [3, 4]);
    assert!(stream.subscribe_from(u64::MAX).recv().now_or_never().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_storm_of_reconnections_leaves_no_gap_and_no_duplicate() {
    const TOTAL: u64 = 8_000;
    let stream = EventStream::new();
    let writers = (0..4).map(|_| {
        let stream = stream.clone();
        tokio::spawn(async move {
            for number in 0..TOTAL / 4 {
                append_numbers(&stream, [number]);
                if number % 16 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        })
    });
    let readers = (1..=8).map(|patience| {
        let stream = stream.clone();
        tokio::spawn(async move {
            let mut seen = Vec::new();
            while (seen.len() as u64) < TOTAL {
                // Each connection lives for a few events only; the next one goes on where it ended.
                let mut connection = stream.subscribe_from(seen.len() as u64);
                let left = usize::try_from(TOTAL).expect("small") - seen.len();
                seen.extend(offsets(&read(&mut connection, left.min(patience * patience)).await));
            }
            seen
        })
    });
    let (writers, readers): (Vec<_>, Vec<_>) = (writers.collect(), readers.collect());
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    for seen in join_all(readers).await {
        assert_eq!(seen.unwrap(), (0..TOTAL).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_subscription_made_amid_appends_starts_at_one_point_and_misses_nothing_after_it() {
    const TOTAL: u64 = 4_000;
    let stream = EventStream::new();
    let writer = tokio::spawn({
        let stream = stream.clone();
        async move { append_numbers(&stream, 0..TOTAL) }
    });
    let mut subscriptions = Vec::new();
    while !writer.is_finished() {
        let before = stream.next_offset();
        let subscription = stream.subscribe();
        assert!((before..=stream.next_offset()).contains(&subscription.offset()));
        if subscriptions.len() < 200 {
            subscriptions.push(subscription);
        }
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
    for mut subscription in subscriptions {
        let expected: Vec<u64> = (subscription.offset()..TOTAL).collect();
        assert_eq!(offsets(&drain(&mut subscription)), expected);
    }
}

#[test]
fn a_history_has_no_gap_inside_while_the_log_turns_over() {
    // More than is taken in one portion, and so little that the log turns over in between.
    const CAPACITY: usize = 80;
    watched(|| {
        let stream = EventStream::builder().with_capacity(CAPACITY).build();
        let done = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..2)
            .map(|_| {
                let (stream, done) = (stream.clone(), Arc::clone(&done));
                thread::spawn(move || {
                    let mut appended = 0;
                    while !done.load(Ordering::Relaxed) {
                        append_numbers(&stream, [appended]);
                        appended += 1;
                    }
                    appended
                })
            })
            .collect();
        while stream.next_offset() < 200_000 {
            let (oldest, next) = (stream.first_offset(), stream.next_offset());
            let history = offsets(&stream.get_events(0).now_or_never().expect("never awaits"));
            assert!(history.windows(2).all(|pair| pair[1] == pair[0] + 1), "{history:?}");
            assert!(history.first().is_none_or(|first| *first >= oldest), "what was gone before stays gone");
            assert!(history.last().is_none_or(|last| *last + 1 >= next), "what was there before is there");
            assert!(history.len() <= CAPACITY);
        }
        done.store(true, Ordering::Relaxed);
        // That the writers came to an end of their own shows that reading histories never shuts them out.
        let appended: u64 = writers.into_iter().map(|writer| writer.join().expect("the writer is fine")).sum();
        assert_eq!(stream.next_offset(), appended);
    });
}

#[test]
fn appends_and_histories_of_a_full_log_do_not_shut_each_other_out() {
    watched(|| {
        let stream = EventStream::new();
        append_numbers(&stream, 0..EventStream::DEFAULT_CAPACITY as u64);
        let done = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let (stream, done) = (stream.clone(), Arc::clone(&done));
                thread::spawn(move || {
                    let mut histories = 0;
                    while !done.load(Ordering::Relaxed) || histories == 0 {
                        histories += 1;
                        stream.get_events(0).now_or_never().expect("never awaits");
                    }
                    histories
                })
            })
            .collect();
        append_numbers(&stream, 0..5_000);
        done.store(true, Ordering::Relaxed);
        for reader in readers {
            assert!(reader.join().expect("the reader is fine") > 0);
        }
    });
}
