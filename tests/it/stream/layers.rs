//! How the events reach `tracing`: which layers see them, in which order, with which fields, and what they may answer.

use std::{
    io,
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use agent_runtime::{
    event::{SpanId, TraceContext, TraceId},
    prelude::*,
    stream::{Emission, TRACING_TARGET},
    testing::dispatch,
};
use parking_lot::Mutex;
use tracing::{Level, dispatcher};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{LevelFilter, Targets},
    fmt::MakeWriter,
    layer::SubscriberExt,
};

use super::support::{Witness, all_kinds, append_numbers, chunk, drain, event_of, offsets, with_layers};

fn trace_number(number: u8) -> TraceContext {
    TraceContext::new(TraceId::from_bytes([number; 16]), SpanId::from_bytes([number; 8])).with_sampled(true)
}

#[tokio::test]
async fn a_layer_sees_every_event_as_subscribers_do() {
    let (stream, witness) = (EventStream::new(), Witness::new());
    with_layers(Registry::default().with(witness.clone()), || {
        for (scope, event_type) in all_kinds() {
            stream.append(event_of(scope, event_type)).unwrap();
        }
    });
    assert_eq!(witness.seen_events(), stream.get_events(0).await, "offset and time are already set");
}

#[tokio::test]
async fn layers_see_the_events_of_all_threads_in_the_order_of_the_offsets() {
    const WRITERS: usize = 4;
    let stream = EventStream::new();
    let witness = Witness::new();
    let dispatch = dispatch(Registry::default().with(witness.clone()));
    let start = Barrier::new(WRITERS);
    thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                dispatcher::with_default(&dispatch, || {
                    start.wait();
                    append_numbers(&stream, 0..1_000);
                });
            });
        }
    });
    assert_eq!(offsets(&witness.seen_events()), (0..4_000).collect::<Vec<_>>());
    assert_eq!(witness.seen_events(), stream.get_events(0).await);
}

#[test]
fn the_tracing_event_says_which_kind_of_event_it_is_and_no_text_of_anybodys() {
    let (stream, witness) = (EventStream::new(), Witness::new());
    let run = || Some("wf_1".to_owned());
    let table = [
        (Event::workflow_started("daily", run(), None, json!({})), Level::INFO, "started"),
        (Event::tool_progress("search:0", Some("half".into()), run(), None, json!({})), Level::DEBUG, "progress"),
        (Event::agent_completed("lead", run(), None, json!({})), Level::INFO, "completed"),
        (Event::llm_failed("lead:llm:0", "no quota", run(), None, json!({})), Level::INFO, "failed"),
        (Event::system_canceled("system:cron", None, run(), None, json!({})), Level::INFO, "canceled"),
        (
            Event::system_progress("system:rate_limit", Some("wait".into()), run(), None, json!({})),
            Level::INFO,
            "progress",
        ),
    ];
    with_layers(Registry::default().with(witness.clone()), || {
        for (event, ..) in &table {
            stream.append(event.clone()).unwrap();
        }
    });
    let seen = witness.seen();
    for (offset, ((event, level, event_type), sighting)) in table.iter().zip(&seen).enumerate() {
        assert_eq!(sighting.level, *level, "{event_type}");
        let expected = [
            ("event_type", format!("{event_type:?}")),
            ("offset", offset.to_string()),
            ("scope", format!("{:?}", event.scope.as_str())),
        ];
        assert_eq!(sighting.fields, expected.into());
    }
    assert_eq!(seen.len(), table.len());
}

#[test]
fn content_is_not_in_the_fields() {
    const SECRET: &str = "hunter2";
    let (stream, witness) = (EventStream::new(), Witness::new());
    let secret = || json!({"input": SECRET, "messages": [SECRET], "arguments": SECRET, "chunk": SECRET});
    with_layers(Registry::default().with(witness.clone()), || {
        stream.append(chunk("writer:llm:0", SECRET)).unwrap();
        stream.append(Event::llm_progress("writer:llm:0", Some(SECRET.into()), None, None, secret())).unwrap();
        for (scope, event_type) in all_kinds() {
            let mut event = event_of(scope, event_type);
            event.data = secret().into();
            stream.append(event).unwrap();
        }
    });
    assert_eq!(witness.seen()[0].event.data["chunk"], SECRET, "the native event has it");
    for sighting in witness.seen() {
        assert!(!format!("{:?}", sighting.fields).contains(SECRET), "{:?}", sighting.fields);
    }
}

#[tokio::test]
async fn the_span_that_a_layer_names_is_in_the_event_for_everybody() {
    let stream = EventStream::new();
    let mut subscription = stream.subscribe();
    let tracer = Witness::reacting(|emission| {
        if emission.event().event_type != EventType::Progress {
            emission.set_trace(trace_number(1));
            emission.set_trace(trace_number(2));
        }
    });
    let mut brings_its_own = event_of(EventScope::Agent, EventType::Started);
    brings_its_own.trace = Some(trace_number(9));
    let mut was_there_before = event_of(EventScope::Agent, EventType::Progress);
    (was_there_before.offset, was_there_before.trace) = (Some(7), Some(trace_number(9)));
    let (returned, unanswered) = with_layers(Registry::default().with(tracer), || {
        let returned = stream.append(brings_its_own).unwrap();
        stream.append(was_there_before).unwrap();
        (returned, stream.append(event_of(EventScope::Agent, EventType::Progress)).unwrap())
    });
    let (received, history) = (drain(&mut subscription), stream.get_events(0).await);
    let traces = |events: &[Event]| events.iter().map(|event| event.trace).collect::<Vec<_>>();
    assert_eq!(traces(&received), [Some(trace_number(2)), Some(trace_number(9)), None], "the last word counts");
    assert_eq!(traces(&history), traces(&received));
    assert_eq!((returned.trace, unanswered.trace), (Some(trace_number(2)), None));
}

#[test]
fn a_layer_sees_an_event_before_any_subscriber_does() {
    let stream = EventStream::new();
    let waiting = Arc::new(Mutex::new(stream.subscribe()));
    let found = Arc::new(AtomicUsize::new(0));
    let witness = Witness::reacting({
        let (waiting, found) = (Arc::clone(&waiting), Arc::clone(&found));
        move |_| {
            found.fetch_add(usize::from(waiting.lock().try_recv().is_ok()), Ordering::Relaxed);
        }
    });
    with_layers(Registry::default().with(witness), || append_numbers(&stream, 0..1));
    assert_eq!(found.load(Ordering::Relaxed), 0);
    assert!(waiting.lock().try_recv().is_ok());
}

#[test]
fn there_is_a_current_emission_only_while_one_of_our_events_is_shown() {
    assert!(Emission::with_current(|_| ()).is_none());
    let stream = EventStream::new();
    with_layers(Registry::default().with(Witness::new()), || {
        append_numbers(&stream, 0..1);
        assert!(Emission::with_current(|_| ()).is_none());
    });
}

#[tokio::test]
async fn without_a_layer_nothing_is_dispatched_and_everything_delivered() {
    let stream = EventStream::new();
    append_numbers(&stream, 0..3);
    with_layers(tracing::subscriber::NoSubscriber::default(), || append_numbers(&stream, 3..6));
    assert_eq!(offsets(&stream.get_events(0).await), [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn what_no_layer_wants_is_not_dispatched() {
    let kinds: Vec<_> = all_kinds().collect();
    let is_detail = |(scope, event_type)| event_type == EventType::Progress && scope != EventScope::System;
    let without_detail = kinds.iter().filter(|kind| !is_detail(**kind)).count();
    let target = |level| Targets::new().with_target(TRACING_TARGET, level).boxed();
    let table = [
        (LevelFilter::OFF.boxed(), 0),
        (LevelFilter::WARN.boxed(), 0),
        (LevelFilter::INFO.boxed(), without_detail),
        (LevelFilter::DEBUG.boxed(), kinds.len()),
        (target(LevelFilter::INFO), without_detail),
        (target(LevelFilter::OFF), 0),
        (Targets::new().with_target("elsewhere", LevelFilter::TRACE).boxed(), 0),
    ];
    for (number, (filter, expected)) in table.into_iter().enumerate() {
        let (stream, witness) = (EventStream::new(), Witness::new());
        with_layers(Registry::default().with(filter).with(witness.clone()), || {
            for (scope, event_type) in &kinds {
                stream.append(event_of(*scope, *event_type)).unwrap();
            }
        });
        assert_eq!(witness.seen().len(), expected, "filter {number}");
        assert_eq!(stream.get_events(0).await.len(), kinds.len(), "subscribers see all, filter {number}");
    }
}

/// Where a formatting layer writes to.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).expect("log lines are UTF-8")
    }
}

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Page {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn a_filter_of_one_layer_hides_our_events_from_that_layer_only() {
    let (stream, witness, page) = (EventStream::new(), Witness::new(), Page::default());
    let quiet = EnvFilter::new(format!("trace,{TRACING_TARGET}=off"));
    let log = tracing_subscriber::fmt::layer().with_writer(page.clone()).with_ansi(false).with_filter(quiet);
    with_layers(Registry::default().with(log).with(witness.clone()), || {
        for (scope, event_type) in all_kinds() {
            tracing::info!("a line of the user's");
            stream.append(event_of(scope, event_type)).unwrap();
            tracing::debug!(target: "agent_runtime::other", "another line");
        }
    });
    assert_eq!(witness.seen().len(), all_kinds().count(), "ours sees all");
    assert_eq!(page.text().lines().count(), 2 * all_kinds().count(), "{}", page.text());
    assert!(!page.text().contains(TRACING_TARGET));
}

#[test]
fn a_filter_of_our_layer_leaves_the_log_as_it_was() {
    let (stream, witness, page) = (EventStream::new(), Witness::new(), Page::default());
    let log = tracing_subscriber::fmt::layer().with_writer(page.clone()).with_ansi(false);
    let ours = witness.clone().with_filter(LevelFilter::INFO);
    with_layers(Registry::default().with(log.with_filter(LevelFilter::DEBUG)).with(ours), || {
        append_numbers(&stream, 0..2);
        stream.append(Event::tool_failed("search", "no network", None, None, json!({}))).unwrap();
        tracing::debug!("a line of the user's");
    });
    assert_eq!(offsets(&witness.seen_events()), [2]);
    assert_eq!(page.text().lines().filter(|line| line.contains(TRACING_TARGET)).count(), 3);
    assert!(!page.text().contains("no network") && page.text().contains("a line of the user's"), "{}", page.text());
}
