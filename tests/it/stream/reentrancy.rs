//! Layers that append, read or panic while they are shown an event.

use std::sync::{
    Arc, Barrier,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use agent_runtime::{
    prelude::*,
    stream::{Emission, TRACING_TARGET},
    testing::dispatch,
};
use futures_util::FutureExt;
use parking_lot::Mutex;
use tracing::{Metadata, Subscriber, dispatcher};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt},
};

use super::support::{Witness, append_numbers, drain, event_of, offsets, watched, with_layers};

fn note(about: &Emission) -> Event {
    let data = json!({ "about": about.event().offset });
    Event::system_progress("system:auditor", None, None, None, data)
}

fn history(stream: &EventStream) -> Vec<Event> {
    stream.get_events(0).now_or_never().expect("never awaits")
}

#[test]
fn what_a_layer_appends_lands_right_behind_and_is_not_shown_to_layers() {
    watched(|| {
        let stream = EventStream::new();
        let mut subscription = stream.subscribe();
        let auditor = Witness::reacting({
            let stream = stream.clone();
            move |emission| {
                for _ in 0..2 {
                    let appended = stream.append(note(emission)).expect("valid");
                    assert!(appended.offset > emission.event().offset);
                }
            }
        });
        let other = Witness::new();
        with_layers(Registry::default().with(auditor.clone()).with(other.clone()), || append_numbers(&stream, 0..100));

        let events = history(&stream);
        assert_eq!(offsets(&events), (0..300).collect::<Vec<_>>());
        for group in events.chunks(3) {
            let about: Vec<_> = group.iter().map(|event| event.data["about"].as_u64()).collect();
            assert_eq!(about, [None, group[0].offset, group[0].offset]);
        }
        assert!(events.is_sorted_by_key(|event| event.timestamp));
        assert_eq!(drain(&mut subscription), events);
        for layer in [auditor, other] {
            assert_eq!(layer.seen_events(), events.iter().step_by(3).cloned().collect::<Vec<_>>());
        }
    });
}

#[test]
fn several_threads_and_a_layer_that_appends_keep_pairs_together() {
    const WRITERS: u64 = 4;
    watched(|| {
        let stream = EventStream::new();
        let auditor = Witness::reacting({
            let stream = stream.clone();
            move |emission| drop(stream.append(note(emission)).expect("valid"))
        });
        let dispatch = dispatch(Registry::default().with(auditor));
        std::thread::scope(|scope| {
            for _ in 0..WRITERS {
                scope.spawn(|| dispatcher::with_default(&dispatch, || append_numbers(&stream, 0..500)));
            }
        });
        let events = history(&stream);
        assert_eq!(offsets(&events), (0..WRITERS * 500 * 2).collect::<Vec<_>>());
        for pair in events.chunks(2) {
            assert_eq!(pair[1].data["about"].as_u64(), pair[0].offset);
        }
    });
}

#[test]
fn a_layer_may_append_to_another_stream() {
    watched(|| {
        let (stream, audit) = (EventStream::new(), EventStream::new());
        let mut reader = audit.subscribe();
        let auditor = Witness::reacting({
            let audit = audit.clone();
            move |emission| drop(audit.append(note(emission)).expect("valid"))
        });
        with_layers(Registry::default().with(auditor.clone()), || append_numbers(&stream, 0..50));
        assert_eq!(auditor.seen().len(), 50, "what a layer appends is shown to no layer");
        let notes = drain(&mut reader);
        assert_eq!(offsets(&notes), (0..50).collect::<Vec<_>>());
        assert!(notes.iter().map(|event| event.data["about"].as_u64()).eq((0..50).map(Some)));
        assert_eq!(stream.next_offset(), 50);
    });
}

#[test]
fn layers_that_append_crosswise_to_two_streams_do_not_deadlock() {
    watched(|| {
        let streams = [EventStream::new(), EventStream::new()];
        let both_inside = Arc::new(Barrier::new(2));
        let crossing = Witness::reacting({
            let streams = streams.clone();
            move |emission| {
                // Both threads are now in the midst of an append, each to its own stream.
                both_inside.wait();
                let own = emission.event().component_index().expect("the writer's number");
                let other = &streams[usize::from(own == 0)];
                other.append(note(emission)).expect("valid");
            }
        });
        let dispatch = dispatch(Registry::default().with(crossing));
        std::thread::scope(|scope| {
            for (own, stream) in streams.iter().enumerate() {
                let dispatch = &dispatch;
                scope.spawn(move || {
                    dispatcher::with_default(dispatch, || {
                        for _ in 0..200 {
                            let event = Event::tool_started(format!("writer:{own}"), None, None, json!({}));
                            stream.append(event).expect("valid");
                        }
                    });
                });
            }
        });
        for stream in &streams {
            assert_eq!(offsets(&history(stream)), (0..400).collect::<Vec<_>>());
        }
    });
}

#[test]
fn a_layer_may_read_the_stream_that_it_is_shown_an_event_of() {
    watched(|| {
        let stream = EventStream::new();
        let reader = Witness::reacting({
            let stream = stream.clone();
            move |emission| {
                let own = emission.event().offset.expect("already set");
                assert_eq!(offsets(&history(&stream)), (0..own).collect::<Vec<_>>());
                assert_eq!(stream.subscribe().offset(), own, "a subscription made now begins with this event");
            }
        });
        with_layers(Registry::default().with(reader.clone()), || append_numbers(&stream, 0..10));
        assert_eq!(reader.seen().len(), 10);
    });
}

#[test]
fn a_layer_that_logs_does_not_disturb_what_others_see() {
    let stream = EventStream::new();
    let chatty = Witness::reacting(|_| tracing::info!("seen"));
    let witness = Witness::new();
    with_layers(Registry::default().with(chatty).with(witness.clone()), || append_numbers(&stream, 0..3));
    assert_eq!(offsets(&witness.seen_events()), [0, 1, 2]);
}

#[test]
fn a_layer_that_panics_costs_neither_the_event_nor_the_next_one() {
    let stream = EventStream::new();
    let mut subscription = stream.subscribe();
    let broken = Witness::reacting({
        let stream = stream.clone();
        move |emission| {
            stream.append(note(emission)).expect("valid");
            assert_eq!(emission.event().offset, None, "this layer always fails");
        }
    });
    with_layers(Registry::default().with(broken.clone()), || {
        for number in 0..5 {
            let appended = stream.append(event_of(EventScope::Tool, EventType::Started)).unwrap();
            assert_eq!(appended.offset, Some(2 * number));
            assert!(Emission::with_current(|_| ()).is_none());
        }
    });
    append_numbers(&stream, 0..1);
    assert_eq!(broken.seen().len(), 5);
    assert_eq!(offsets(&drain(&mut subscription)), (0..11).collect::<Vec<_>>(), "what it appended before is kept too");
}

/// A layer that misbehaves where it is asked whether it wants an event at all.
struct Doorkeeper<F>(F);

impl<S: Subscriber, F: Fn() + 'static> Layer<S> for Doorkeeper<F> {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> tracing::subscriber::Interest {
        tracing::subscriber::Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        if metadata.target() == TRACING_TARGET {
            (self.0)();
        }
        true
    }
}

#[test]
fn a_layer_that_panics_when_asked_costs_neither_the_event_nor_the_order() {
    let stream = EventStream::new();
    let mut subscription = stream.subscribe();
    with_layers(Registry::default().with(Doorkeeper(|| panic!("this layer always fails"))), || {
        append_numbers(&stream, 0..3);
    });
    append_numbers(&stream, 3..5);
    let events = drain(&mut subscription);
    assert_eq!(offsets(&events), [0, 1, 2, 3, 4]);
    assert_eq!(stream.next_offset(), 5);
}

#[test]
fn a_layer_that_appends_when_asked_leaves_no_hole_in_the_offsets() {
    watched(|| {
        let stream = EventStream::new();
        let asked = Arc::new(AtomicUsize::new(0));
        let witness = Witness::new();
        let nosy = Doorkeeper({
            let (stream, asked) = (stream.clone(), Arc::clone(&asked));
            move || {
                asked.fetch_add(1, Ordering::Relaxed);
                append_numbers(&stream, [0]);
            }
        });
        with_layers(Registry::default().with(witness.clone()).with(nosy), || append_numbers(&stream, 0..10));
        let events = history(&stream);
        assert_eq!(events.len(), 10 + asked.load(Ordering::Relaxed));
        assert_eq!(offsets(&events), (0..events.len() as u64).collect::<Vec<_>>());
        assert_eq!(witness.seen().len(), 10);
    });
}

#[test]
fn offset_and_position_agree_though_layers_append_and_readers_read() {
    watched(|| {
        let (stream, rounds) = (EventStream::new(), AtomicU64::new(0));
        let auditor = Witness::reacting({
            let stream = stream.clone();
            move |emission| {
                if rounds.fetch_add(1, Ordering::Relaxed).is_multiple_of(3) {
                    stream.append(note(emission)).expect("valid");
                }
            }
        });
        let dispatch = dispatch(Registry::default().with(auditor));
        std::thread::scope(|scope| {
            scope.spawn(|| dispatcher::with_default(&dispatch, || append_numbers(&stream, 0..900)));
            // This thread has no layer: its events are numbered in between all the same.
            scope.spawn(|| {
                for number in 0..900 {
                    let appended = stream.append(super::support::numbered(number)).expect("valid");
                    let kept = stream.subscribe_from(appended.offset.expect("set")).try_recv();
                    assert_eq!(kept.as_ref(), Ok(&*appended), "an appended event can be read at once, at its offset");
                }
            });
        });
        assert_eq!(offsets(&history(&stream)), (0..2_100).collect::<Vec<_>>());
    });
}

#[test]
fn what_layers_append_to_one_event_is_bounded_in_number_and_in_bytes_but_for_the_ends() {
    let cases = [
        // How long each message is, how many events fit, and of what there are too many.
        (0, EventStream::MAX_FOLLOWERS, "events"),
        (1 << 20, 15, "bytes"),
    ];
    for (bytes, fitting, of) in cases {
        let (stream, refusal) = watched(move || {
            let stream = EventStream::new();
            let refusal = Arc::new(Mutex::new(None));
            let flood = Witness::reacting({
                let (stream, refusal) = (stream.clone(), Arc::clone(&refusal));
                move |emission| {
                    // The end that it appends is shown too, since that of a component whose start was shown would be.
                    if emission.event().event_type.is_terminal() {
                        return;
                    }
                    let started = || Event::tool_progress("t", Some("x".repeat(bytes)), None, None, json!({}));
                    *refusal.lock() = std::iter::repeat_with(|| stream.append(started())).find_map(Result::err);
                    stream.append(Event::tool_completed("t", None, None, json!({}))).expect("an end has room");
                }
            });
            with_layers(Registry::default().with(flood), || append_numbers(&stream, 0..1));
            (stream, refusal)
        });
        let refusal = refusal.lock().take().expect("it ended").to_string();
        assert!(refusal.ends_with(of), "{refusal}");
        assert_eq!(stream.next_offset(), 1 + fitting as u64 + 1, "the event, what fits and the end");
        append_numbers(&stream, 0..1);
        assert_eq!(stream.next_offset(), 1 + fitting as u64 + 2, "and it goes on");
    }
}
