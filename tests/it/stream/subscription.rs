//! Waiting, leaving and coming back: what a subscription does besides giving events.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Wake, Waker},
};

use agent_runtime::{
    prelude::*,
    stream::{Subscription, TryRecvError},
};
use futures_util::{FutureExt, StreamExt, future::ready};

use super::support::{append_numbers, drain, event_of, offsets, read, watched};

/// A waker that counts and that tells by its reference count who still holds it.
#[derive(Default)]
struct Bell {
    rings: AtomicUsize,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rings.fetch_add(1, Ordering::Relaxed);
    }
}

/// Polls `recv` once with the waker and expects it to sleep.
fn fall_asleep(subscription: &mut Subscription, waker: &Waker) {
    assert!(pin!(subscription.recv()).poll(&mut Context::from_waker(waker)).is_pending());
}

#[test]
fn try_recv_tells_nothing_yet_from_nothing_ever() {
    let stream = EventStream::new();
    let mut subscription = stream.subscribe();
    assert_eq!(subscription.try_recv(), Err(TryRecvError::Empty));
    append_numbers(&stream, 0..2);
    drop(stream);
    assert_eq!(offsets(&[subscription.try_recv().unwrap(), subscription.try_recv().unwrap()]), [0, 1]);
    for _ in 0..3 {
        assert_eq!(subscription.try_recv(), Err(TryRecvError::Closed));
    }
}

#[tokio::test]
async fn closed_comes_after_the_last_handle_is_gone_and_everything_was_read() {
    let stream = EventStream::new();
    let mut subscription = stream.subscribe();
    let other_handle = stream.clone();
    append_numbers(&stream, 0..100);
    drop(stream);
    append_numbers(&other_handle, 100..101);
    assert_eq!(offsets(&read(&mut subscription, 101).await), (0..101).collect::<Vec<_>>());
    assert!(subscription.recv().now_or_never().is_none(), "one handle is left");
    drop(other_handle);
    assert_eq!(subscription.recv().await, Err(RecvError::Closed));
    assert_eq!(subscription.recv().await, Err(RecvError::Closed), "and stays closed");
    assert_eq!(subscription.resubscribe().recv().await, Err(RecvError::Closed));
}

#[tokio::test]
async fn closing_wakes_a_reader_that_waits() {
    let stream = EventStream::new();
    let mut subscription = stream.subscribe_from(1_000);
    let reader = tokio::spawn(async move { subscription.recv().await });
    tokio::task::yield_now().await;
    drop(stream);
    assert_eq!(reader.await.unwrap(), Err(RecvError::Closed));
}

#[tokio::test]
async fn a_subscription_is_a_stream_that_ends_when_closed() {
    let stream = EventStream::new();
    let subscription = stream.subscribe().filter(EventScope::Agent);
    append_numbers(&stream, 0..3);
    stream.append(event_of(EventScope::Tool, EventType::Started)).unwrap();
    append_numbers(&stream, 3..5);
    drop(stream);
    let events: Vec<Event> = subscription.map(|item| item.expect("no lag")).collect().await;
    assert_eq!(offsets(&events), [0, 1, 2, 4, 5]);
}

#[test]
fn resubscribe_keeps_the_filters_and_starts_now() {
    let stream = EventStream::new();
    let mut first = stream.subscribe().filter(EventScope::Tool).filter_workflow("wf");
    let tool = || Event::tool_started("search", Some("wf".into()), None, json!({}));
    stream.append(tool()).unwrap();
    let mut second = first.resubscribe();
    append_numbers(&stream, 0..1);
    stream.append(tool().in_workflow(None, None)).unwrap();
    stream.append(tool()).unwrap();
    assert_eq!(offsets(&drain(&mut first)), [0, 3], "the first goes on undisturbed");
    assert_eq!(offsets(&drain(&mut second)), [3]);
}

#[test]
fn the_offset_is_that_of_the_next_event_looked_at() {
    let stream = EventStream::new();
    append_numbers(&stream, 0..5);
    let mut subscription = stream.subscribe_from(1);
    for expected in 1..5 {
        assert_eq!(subscription.offset(), expected);
        assert_eq!(subscription.try_recv().unwrap().offset, Some(expected));
    }
    assert_eq!(subscription.offset(), 5);
    assert!(format!("{subscription:?}").contains("offset: 5"));
    assert!(format!("{stream:?}").contains("0..5"));
}

#[tokio::test]
async fn nothing_is_lost_when_recv_loses_a_race_again_and_again() {
    let stream = EventStream::new();
    let mut subscription = stream.subscribe();
    let mut received = Vec::new();
    for number in 0..2_000 {
        append_numbers(&stream, [number]);
        // Either branch may win; the loser's future is dropped.
        tokio::select! {
            event = subscription.recv() => received.push(event.unwrap()),
            () = ready(()) => {}
        }
    }
    received.extend(drain(&mut subscription));
    assert_eq!(offsets(&received), (0..2_000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_that_is_canceled_while_it_waits_misses_nothing_and_no_wake_up() {
    const TOTAL: u64 = 5_000;
    let stream = EventStream::new();
    let mut subscription = stream.subscribe();
    let writer = tokio::spawn(async move {
        for number in 0..TOTAL {
            append_numbers(&stream, [number]);
            tokio::task::yield_now().await;
        }
        stream
    });
    let mut received = Vec::new();
    while (received.len() as u64) < TOTAL {
        tokio::select! {
            event = subscription.recv() => received.push(event.unwrap()),
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(offsets(&received), (0..TOTAL).collect::<Vec<_>>());
    drop(writer.await.unwrap());
}

#[test]
fn a_sleeping_reader_is_rung_once_however_often_it_polled() {
    let stream = EventStream::new();
    let mut subscription = stream.subscribe();
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    for _ in 0..100 {
        fall_asleep(&mut subscription, &waker);
    }
    assert_eq!(Arc::strong_count(&bell), 3, "here, in the waker and once in the stream");
    append_numbers(&stream, 0..3);
    assert_eq!((bell.rings.load(Ordering::Relaxed), Arc::strong_count(&bell)), (1, 2));
}

#[test]
fn a_reader_that_moved_to_another_task_wakes_that_one() {
    let stream = EventStream::new();
    let mut subscription = stream.subscribe();
    let (old, new) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
    fall_asleep(&mut subscription, &Waker::from(Arc::clone(&old)));
    fall_asleep(&mut subscription, &Waker::from(Arc::clone(&new)));
    assert_eq!(Arc::strong_count(&old), 1, "the task left behind is let go");
    append_numbers(&stream, 0..1);
    assert_eq!((old.rings.load(Ordering::Relaxed), new.rings.load(Ordering::Relaxed)), (0, 1));
}

#[test]
fn many_subscribers_that_left_leave_nothing_behind() {
    let stream = EventStream::new();
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    for _ in 0..1_000 {
        fall_asleep(&mut stream.subscribe(), &waker);
    }
    let mut batched = stream.subscribe().batched(agent_runtime::stream::BatchWindow::default());
    assert!(pin!(batched.recv()).poll(&mut Context::from_waker(&waker)).is_pending());
    drop(batched);
    assert_eq!(Arc::strong_count(&bell), 2, "here and in the waker");
    append_numbers(&stream, 0..1);
    assert_eq!(bell.rings.load(Ordering::Relaxed), 0);
}

/// A task that owns a subscription; dropping the last waker drops it, as with a hand-written executor.
struct Owner {
    _subscription: Subscription,
}

impl Wake for Owner {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn letting_go_of_a_task_that_itself_owns_a_subscription_does_not_deadlock() {
    watched(|| {
        let stream = EventStream::new();
        let owner = || Waker::from(Arc::new(Owner { _subscription: stream.subscribe() }));
        let mut subscription = stream.subscribe();
        fall_asleep(&mut subscription, &owner());
        fall_asleep(&mut subscription, &owner());
        append_numbers(&stream, 0..1);
        drain(&mut subscription);
        fall_asleep(&mut subscription, &owner());
        drop(subscription);
        let mut subscription = stream.subscribe();
        fall_asleep(&mut subscription, &owner());
        drop(stream);
    });
}

#[tokio::test]
async fn a_reader_with_a_long_backlog_lets_other_tasks_run() {
    const BACKLOG: u64 = 10_000;
    let stream = EventStream::new();
    append_numbers(&stream, 0..BACKLOG);
    let turns = Arc::new(AtomicUsize::new(0));
    let other = tokio::spawn({
        let turns = Arc::clone(&turns);
        async move {
            turns.fetch_add(1, Ordering::Relaxed);
        }
    });
    let mut subscription = stream.subscribe_from(0);
    let mut read_before = 0;
    while turns.load(Ordering::Relaxed) == 0 && read_before < BACKLOG {
        subscription.recv().await.unwrap();
        read_before += 1;
    }
    assert!(read_before < BACKLOG, "the other task had to wait for the whole backlog");
    other.await.unwrap();
}

#[test]
fn a_reader_whom_nothing_of_a_long_backlog_concerns_looks_at_a_part_of_it_in_one_poll() {
    const BACKLOG: u64 = 10_000;
    let stream = EventStream::new();
    append_numbers(&stream, 0..BACKLOG);
    let mut subscription = stream.subscribe_from(0).filter(EventScope::Workflow);
    let mut polls = 0;
    while subscription.recv().now_or_never().is_none() && subscription.offset() < BACKLOG {
        polls += 1;
        assert!(subscription.offset() <= polls * 2_048, "{polls}: {}", subscription.offset());
    }
    assert!(polls > 4, "{polls}");
    // One that does not wait looks at everything.
    let mut at_once = stream.subscribe_from(0).filter(EventScope::Workflow);
    assert_eq!((at_once.try_recv(), at_once.offset()), (Err(TryRecvError::Empty), BACKLOG));
    // It wakes itself, since nobody else will.
    stream.append(Event::workflow_started("late", None, None, json!({}))).unwrap();
    let mut again = stream.subscribe_from(0).filter(EventScope::Workflow);
    assert_eq!(again.blocking_recv().unwrap().offset, Some(BACKLOG));
}
