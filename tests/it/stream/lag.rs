//! A reader that falls behind the whole log is told what it missed; the log itself never grows.

use std::sync::{Arc, Weak};

use agent_runtime::{prelude::*, stream::TryRecvError};
use futures_util::StreamExt;

use super::support::{append_numbers, chain, drain, numbered, offsets, read};

/// The most events that a reader may hold beyond the log: those it has taken and not yet handed out.
const TAKEN_AT_ONCE: usize = 64;

#[tokio::test]
async fn a_lag_names_the_exact_range_and_reading_goes_on_at_the_oldest() {
    // Capacity, events read before the storm, events in all, the range missed.
    let table = [(4, 0, 5, 0..1), (4, 0, 100, 0..96), (4, 3, 10, 3..6), (1, 0, 2, 0..1), (100, 7, 1_000, 7..900)];
    for (capacity, read_before, total, missing) in table {
        let stream = EventStream::builder().with_capacity(capacity).build();
        let mut subscription = stream.subscribe();
        append_numbers(&stream, 0..read_before);
        drain(&mut subscription);
        append_numbers(&stream, read_before..total);
        let RecvError::Lagged(lagged) = subscription.recv().await.expect_err("events are gone") else {
            panic!("the stream is open");
        };
        assert_eq!(lagged.missing(), missing);
        assert_eq!(lagged.count(), missing.end - missing.start);
        assert_eq!(offsets(&drain(&mut subscription)), (missing.end..total).collect::<Vec<_>>());
        append_numbers(&stream, [0]);
        assert_eq!(subscription.recv().await.unwrap().offset, Some(total), "and live again");
    }
}

#[tokio::test]
async fn every_way_of_reading_says_the_same_of_a_lag() {
    let stream = EventStream::builder().with_capacity(2).build();
    let (mut one, mut two, mut three) = (stream.subscribe(), stream.subscribe(), stream.subscribe());
    append_numbers(&stream, 0..5);
    let RecvError::Lagged(by_recv) = one.recv().await.unwrap_err() else { panic!("the stream is open") };
    let TryRecvError::Lagged(by_try) = two.try_recv().unwrap_err() else { panic!("events are waiting") };
    let by_stream = three.next().await.expect("the stream is open").unwrap_err();
    assert_eq!((by_recv.missing(), &by_recv, &by_recv), (0..3, &by_try, &by_stream));
    for mut subscription in [one, two, three] {
        assert_eq!(offsets(&drain(&mut subscription)), [3, 4]);
    }
}

#[test]
fn a_lag_can_be_sent_on_and_read_back() {
    let stream = EventStream::builder().with_capacity(2).build();
    let mut subscription = stream.subscribe();
    append_numbers(&stream, 0..5);
    let TryRecvError::Lagged(lagged) = subscription.try_recv().unwrap_err() else { panic!("events are gone") };
    let json = serde_json::to_value(&lagged).expect("it has a JSON form");
    assert_eq!(json, json!({"missed": 3, "first_offset": 0, "last_offset": 2}));
    assert_eq!(serde_json::from_value::<Lagged>(json).expect("it is one"), lagged);
    // Whatever is in it, the range is one.
    let odd = json!({"missed": 1, "first_offset": 9, "last_offset": 3});
    let odd: Lagged = serde_json::from_value(odd).expect("it is one");
    assert_eq!((odd.count(), odd.to_string().is_empty()), (0, false));
    let far = json!({"missed": 1, "first_offset": 0, "last_offset": u64::MAX});
    assert_eq!(serde_json::from_value::<Lagged>(far).expect("it is one").count(), u64::MAX);
}

#[test]
fn the_error_says_in_words_which_events_are_gone() {
    let stream = EventStream::builder().with_capacity(2).build();
    append_numbers(&stream, 0..12);
    let error = stream.subscribe_from(4).try_recv().unwrap_err();
    assert_eq!(chain(&error), "the subscriber lagged: 6 events were dropped before they were read, offsets 4 to 9");
}

#[test]
fn a_subscription_from_an_offset_no_longer_kept_starts_with_the_gap() {
    let stream = EventStream::builder().with_capacity(10).build();
    append_numbers(&stream, 0..30);
    for from in [0, 7, 19] {
        let mut subscription = stream.subscribe_from(from);
        let TryRecvError::Lagged(lagged) = subscription.try_recv().unwrap_err() else { panic!("{from} is gone") };
        assert_eq!(lagged.missing(), from..20);
        assert_eq!(offsets(&drain(&mut subscription)), (20..30).collect::<Vec<_>>());
    }
}

#[test]
fn a_filter_does_not_hide_a_lag() {
    let stream = EventStream::builder().with_capacity(2).build();
    let mut failures = stream.subscribe().filter_status(ComponentStatus::Failed);
    append_numbers(&stream, 0..3);
    assert!(matches!(failures.try_recv(), Err(TryRecvError::Lagged(_))), "a failure may have been among them");
    assert_eq!(failures.try_recv(), Err(TryRecvError::Empty));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_subscriber_that_never_reads_neither_stops_others_nor_makes_memory_grow() {
    const CAPACITY: usize = 100;
    let stream = EventStream::builder().with_capacity(CAPACITY).build();
    let mut idle = stream.subscribe();
    let mut stalled = stream.subscribe();
    let mut reader = stream.subscribe();
    let mut appended: Vec<Weak<Event>> = Vec::new();
    for number in 0..5_000_u64 {
        appended.push(Arc::downgrade(&stream.append(numbered(number)).unwrap()));
        if number == 50 {
            // This one stops in the midst of what it has already taken from the log.
            assert_eq!(offsets(&read(&mut stalled, 1).await), [0]);
        }
        assert_eq!(reader.recv().await.unwrap().offset, Some(number), "one that reads along sees all");
    }
    let alive = appended.iter().filter(|event| event.strong_count() > 0).count();
    assert!((CAPACITY..=CAPACITY + TAKEN_AT_ONCE).contains(&alive), "{alive} events are held");
    assert_eq!((stream.first_offset(), stream.next_offset()), (4_900, 5_000));
    assert_eq!(offsets(&stream.get_events(0).await), (4_900..5_000).collect::<Vec<_>>());

    let TryRecvError::Lagged(lagged) = idle.try_recv().unwrap_err() else { panic!("nothing was read") };
    assert_eq!(lagged.missing(), 0..4_900);
    let RecvError::Lagged(lagged) = (loop {
        match stalled.recv().await {
            Ok(event) => assert!(event.offset < Some(TAKEN_AT_ONCE as u64), "what was taken is handed out first"),
            Err(error) => break error,
        }
    }) else {
        panic!("the stream is open");
    };
    assert_eq!(lagged.missing(), 51..4_900, "51 events were there when it took them");
}

#[test]
fn capacity_is_at_least_one_and_by_default_the_documented_one() {
    let least = EventStream::builder().with_capacity(0).build();
    append_numbers(&least, 0..3);
    assert_eq!((least.first_offset(), least.next_offset()), (2, 3));

    let default = EventStream::new();
    append_numbers(&default, 0..EventStream::DEFAULT_CAPACITY as u64 + 1);
    assert_eq!(default.first_offset(), 1);
}
