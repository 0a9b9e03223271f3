//! An event wakes those who wait for it and nobody else, and who was left asleep has missed nothing that it wanted.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use agent_runtime::{prelude::*, stream::Subscription};
use futures_util::FutureExt as _;
use rand::{RngExt as _, SeedableRng, rngs::StdRng};

use super::{
    filters::{CASES, append_all_kinds},
    support::{all_kinds, event_of, numbered},
};

/// Counts how often it is rung.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A reader and what rings when its task is to look again.
struct Reader {
    subscription: Subscription,
    bell: Arc<Bell>,
}

impl Reader {
    fn new(subscription: Subscription) -> Self {
        Self { subscription, bell: Arc::default() }
    }

    /// Waiting from now on.
    fn waiting(subscription: Subscription) -> Self {
        let mut reader = Self::new(subscription);
        assert!(reader.poll().is_pending());
        reader
    }

    fn poll(&mut self) -> Poll<Result<Arc<Event>, RecvError>> {
        let waker = Waker::from(Arc::clone(&self.bell));
        pin!(self.subscription.recv_shared()).poll(&mut Context::from_waker(&waker))
    }

    /// The offset of what it was waiting for, after which it waits again.
    fn take(&mut self) -> Option<u64> {
        let Poll::Ready(received) = self.poll() else { panic!("nothing there") };
        let offset = received.expect("it missed nothing").offset;
        assert!(self.poll().is_pending());
        offset
    }

    fn rung(&self) -> usize {
        self.bell.0.load(Ordering::Relaxed)
    }
}

#[test]
fn an_event_wakes_a_waiting_reader_exactly_if_it_passes_its_filter() {
    let all = EventStream::new();
    append_all_kinds(&all);
    let events = all.get_events(0).now_or_never().expect("never awaits");
    for (name, filter, passes) in CASES {
        // Of what the reader sleeps through, the log keeps next to nothing.
        let stream = EventStream::builder().with_capacity(2).build();
        let mut reader = Reader::waiting(filter(stream.subscribe()));
        let mut expected = 0;
        for event in &events {
            let appended = stream.append(event.clone()).unwrap();
            let wanted = passes(&appended);
            expected += usize::from(wanted);
            assert_eq!(reader.rung(), expected, "{name}: {appended:?}");
            let position = reader.subscription.offset();
            assert_eq!(position, stream.next_offset() - u64::from(wanted), "{name}: {appended:?}");
            if wanted {
                assert_eq!(reader.take(), appended.offset, "{name}");
            }
        }
    }
}

#[test]
fn of_a_thousand_readers_of_other_runs_none_is_woken() {
    let stream = EventStream::new();
    let of = |run: usize| stream.subscribe().filter_workflow(format!("wf_{run}"));
    let mut readers: Vec<_> = (0..1_000).map(|run| Reader::waiting(of(run))).collect();
    for round in 0..3 {
        for run in [7, 999, 500] {
            stream.append(numbered(0).in_workflow(Some(format!("wf_{run}")), None)).unwrap();
            readers[run].take();
        }
        stream.append(numbered(0)).unwrap();
        let rung: usize = readers.iter().map(Reader::rung).sum();
        assert_eq!(rung, 3 * (round + 1));
    }
}

#[test]
fn readers_that_come_wait_and_leave_in_any_order_do_not_disturb_each_other() {
    let stream = EventStream::new();
    let mut readers: Vec<_> = (0..64).map(|_| Reader::waiting(stream.subscribe())).collect();
    // Those that leave do so from the front, the back and the middle, waiting or woken.
    for (round, leaving) in [0, 62, 31, 5, 5, 17, 0, 40].into_iter().enumerate() {
        if round % 2 == 0 {
            stream.append(numbered(0)).unwrap();
            readers.iter_mut().for_each(|reader| assert!(reader.take().is_some()));
        }
        drop(readers.remove(leaving));
        readers.push(Reader::waiting(stream.subscribe()));
        let before: Vec<_> = readers.iter().map(Reader::rung).collect();
        stream.append(numbered(0)).unwrap();
        let after: Vec<_> = readers.iter().map(Reader::rung).collect();
        assert!(before.iter().zip(&after).all(|(before, after)| before + 1 == *after), "{round}: {before:?} {after:?}");
        readers.iter_mut().for_each(|reader| assert!(reader.take().is_some()));
    }
}

#[test]
fn a_reader_that_changes_its_filter_waits_for_what_it_wants_now() {
    let stream = EventStream::builder().with_capacity(1).build();
    let Reader { subscription, .. } = Reader::waiting(stream.subscribe().filter(EventScope::Tool));
    stream.append(event_of(EventScope::Agent, EventType::Started)).unwrap();
    stream.append(event_of(EventScope::Agent, EventType::Completed)).unwrap();
    let mut reader = Reader::waiting(subscription.filter(EventScope::Agent));
    stream.append(event_of(EventScope::System, EventType::Progress)).unwrap();
    assert_eq!(reader.rung(), 0);
    stream.append(event_of(EventScope::Agent, EventType::Started)).unwrap();
    assert_eq!((reader.rung(), reader.take()), (1, Some(3)));
    stream.append(event_of(EventScope::Tool, EventType::Started)).unwrap();
    assert_eq!((reader.rung(), reader.take()), (2, Some(4)));
}

#[test]
fn a_reader_of_a_run_is_woken_for_the_runs_nested_in_it_as_it_learns_of_them() {
    let stream = EventStream::builder().with_capacity(2).build();
    let mut reader = Reader::waiting(stream.subscribe().filter_run("wf_0"));
    let workflow = |event_type| Event::new(EventScope::Workflow, event_type, "pipeline", None, json!({}));
    // The event, its run and the run around that; whether the reader is woken.
    let story = [
        (workflow(EventType::Started), 0, None, true),
        (numbered(0), 9, None, false),
        (workflow(EventType::Started), 1, Some(0), true),
        (workflow(EventType::Started), 2, Some(1), true),
        (workflow(EventType::Started), 8, Some(9), false),
        (numbered(0), 8, Some(9), false),
        (numbered(0), 9, None, false),
        (numbered(0), 2, Some(1), true),
        (workflow(EventType::Completed), 2, Some(1), true),
        (numbered(0), 8, Some(9), false),
        (workflow(EventType::Completed), 1, Some(0), true),
        (numbered(0), 1, None, false),
        (numbered(0), 0, None, true),
    ];
    let mut expected = 0;
    for (event, run, around, wanted) in story {
        let id = |run| format!("wf_{run}");
        let appended = stream.append(event.in_workflow(Some(id(run)), around.map(id))).unwrap();
        expected += usize::from(wanted);
        assert_eq!(reader.rung(), expected, "{appended:?}");
        if wanted {
            assert_eq!(reader.take(), appended.offset);
        }
    }
}

#[test]
fn all_that_wait_learn_that_the_stream_is_closed_whatever_they_wait_for() {
    let stream = EventStream::builder().with_capacity(1).build();
    let mut readers: Vec<_> = CASES.iter().map(|(_, filter, _)| Reader::waiting(filter(stream.subscribe()))).collect();
    (0..3).for_each(|number| drop(stream.append(numbered(number))));
    drop(stream);
    for (reader, (name, ..)) in readers.iter_mut().zip(&CASES) {
        // One that something was there for reads that first.
        while reader.poll() != Poll::Ready(Err(RecvError::Closed)) {}
        assert!(reader.rung() > 0, "{name}");
    }
}

/// A reader beside what it must have been given: every event that passes, but for those in the gaps that it was told of.
struct Audited {
    reader: Reader,
    passes: fn(&Event) -> bool,
    /// The events that are to come, by offset.
    due: VecDeque<u64>,
}

impl Audited {
    fn read(&mut self, stream: &EventStream) {
        while let Poll::Ready(received) = self.reader.poll() {
            match received {
                Ok(event) => {
                    assert!((self.passes)(&event));
                    assert_eq!(event.offset, self.due.pop_front(), "the next one in order");
                }
                Err(RecvError::Lagged(lagged)) => {
                    assert_eq!(lagged.missing().end, stream.first_offset(), "it goes on at the oldest");
                    self.due.retain(|offset| !lagged.missing().contains(offset));
                }
                Err(other) => panic!("the stream is open: {other}"),
            }
        }
        assert!(self.due.is_empty(), "{:?} were not given", self.due);
    }
}

#[test]
fn whatever_is_appended_read_subscribed_and_let_go_in_whatever_order_each_reader_gets_what_is_its_own() {
    for seed in 0..60 {
        let mut random = StdRng::seed_from_u64(seed);
        let capacity = random.random_range(1..=130);
        let stream = EventStream::builder().with_capacity(capacity).build();
        let mut readers: Vec<Audited> = Vec::new();
        for _ in 0..400 {
            match random.random_range(0..10) {
                0 => {
                    let (_, filter, passes) = CASES[random.random_range(0..CASES.len())];
                    let from = random.random_range(stream.first_offset()..=stream.next_offset());
                    let reader = Reader::new(filter(stream.subscribe_from(from)));
                    let kept = stream.get_events(from).now_or_never().expect("never awaits");
                    let due = kept.iter().filter(|event| passes(event)).filter_map(|event| event.offset).collect();
                    readers.push(Audited { reader, passes, due });
                }
                1 if !readers.is_empty() => drop(readers.swap_remove(random.random_range(0..readers.len()))),
                2..=4 => {
                    let count = readers.len();
                    readers.iter_mut().take(random.random_range(0..=count)).for_each(|reader| reader.read(&stream));
                }
                _ => {
                    let (scope, event_type) = all_kinds().nth(random.random_range(0..30)).expect("there are 30");
                    let run = [None, Some("parent"), Some("child"), Some("other")][random.random_range(0..4)];
                    let around = (run == Some("child")).then(|| "parent".to_owned());
                    let event = event_of(scope, event_type).in_workflow(run.map(str::to_owned), around);
                    let event = stream.append(event).expect("valid");
                    let wanting = readers.iter_mut().filter(|reader| (reader.passes)(&event));
                    wanting.for_each(|reader| reader.due.extend(event.offset));
                }
            }
            assert!(stream.next_offset() - stream.first_offset() <= capacity as u64);
        }
        readers.iter_mut().for_each(|reader| reader.read(&stream));
    }
}
