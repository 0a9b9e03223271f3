//! A thread that is not async reads a stream like a task does.

use std::thread;

use agent_runtime::prelude::*;

use super::support::{append_numbers, offsets};

/// All that a blocking reader gets until its stream is closed.
fn read_blocking(mut events: Subscription) -> Vec<Event> {
    std::iter::from_fn(|| events.blocking_recv().ok()).collect()
}

#[test]
fn a_thread_outside_a_runtime_reads_what_is_there_and_waits_for_the_rest() {
    let stream = EventStream::new();
    append_numbers(&stream, 0..3);
    let events = stream.subscribe_from(0);
    let reader = thread::spawn(|| read_blocking(events));
    append_numbers(&stream, 3..1_000);
    drop(stream);
    assert_eq!(offsets(&reader.join().expect("it reads")), (0..1_000).collect::<Vec<_>>());
}

#[test]
fn a_lag_is_an_error_and_reading_goes_on() {
    let stream = EventStream::builder().with_capacity(1).build();
    let mut events = stream.subscribe();
    append_numbers(&stream, 0..3);
    assert!(matches!(events.blocking_recv(), Err(RecvError::Lagged(lagged)) if lagged.missing() == (0..2)));
    assert_eq!(events.blocking_recv().expect("it is kept").offset, Some(2));
    drop(stream);
    assert_eq!(events.blocking_recv(), Err(RecvError::Closed));
}

#[tokio::test]
async fn a_blocking_task_of_a_runtime_may_wait_too() {
    let stream = EventStream::new();
    let events = stream.subscribe();
    let reader = tokio::task::spawn_blocking(|| read_blocking(events));
    append_numbers(&stream, 0..100);
    drop(stream);
    assert_eq!(reader.await.expect("it reads").len(), 100);
}

#[tokio::test]
async fn in_async_code_it_panics_even_if_an_event_is_there() {
    let stream = EventStream::new();
    let mut events = stream.subscribe();
    append_numbers(&stream, 0..1);
    let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| events.blocking_recv()));
    assert!(read.is_err());
    assert_eq!(events.recv().await.expect("it was not taken").offset, Some(0));
}
