//! The test kit: what it records, what it refuses to pass off as a recording, and the files that it compares with.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
};

use agent_runtime::{
    event::{SpanId, TraceId},
    prelude::*,
    testing::{Recorder, Recording, SpanPlace, Spans, assert_balanced, assert_golden},
};
use chrono::{DateTime, TimeDelta};
use futures_util::FutureExt as _;
use opentelemetry::trace::TracerProvider as _;
use tracing::{Instrument as _, info_span, instrument::WithSubscriber as _};

use crate::support::{FULL_TREE, full_flow};

/// The message of what must panic.
#[track_caller]
fn panic_of<T>(work: impl FnOnce() -> T) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(work)) else { panic!("there was no panic") };
    panic.downcast::<String>().map_or_else(|_| "not a text".to_owned(), |message| *message)
}

#[track_caller]
fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "no {part:?} in {message}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_on_another_thread_is_no_empty_tree_but_a_panic_that_says_why() {
    let recorder = Recorder::new(1);
    let runtime = recorder.runtime().clone();
    tokio::spawn(async move { runtime.execute(&full_flow(), "go").await })
        .await
        .expect("no panic")
        .expect("it succeeds");
    assert!(!recorder.events().await.is_empty());
    let ended = FULL_TREE.lines().count();
    let message = panic_of(|| recorder.span_tree(&[]));
    assert_says(&message, &[&format!("{ended} components ended, but {ended} of them have events and no spans")]);
    assert_says(&message, &["another thread", "current-thread", "with_current_subscriber", "Recording"]);

    let recorder = Recorder::new(1);
    let runtime = recorder.runtime().clone();
    let run = async move { runtime.execute(&full_flow(), "go").await };
    tokio::spawn(run.with_current_subscriber()).await.expect("no panic").expect("it succeeds");
    assert_eq!(recorder.spans().len(), ended);
}

#[tokio::test]
async fn of_two_recorders_on_a_thread_the_one_that_got_nothing_says_so() {
    let (first, second) = (Recorder::new(1), Recorder::new(2));
    first.runtime().execute(&full_flow(), "go").await.expect("it succeeds");
    let message = panic_of(|| first.spans());
    assert_says(&message, &["have events and no spans here", "Two recorders on one thread"]);
    second.runtime().execute(&full_flow(), "go").await.expect("it succeeds");
    assert_eq!(second.spans().len(), 2 * FULL_TREE.lines().count(), "the thread's layer got both");
}

#[tokio::test]
async fn a_neighboring_layer_nests_its_spans_in_the_recording() {
    let builder = Recorder::builder(1);
    let tracer = builder.tracer_provider().tracer("the user's");
    let recorder = builder.with_layer(tracing_opentelemetry::layer().with_tracer(tracer)).build();
    let look_up = TransformStep::new("ask", |input: JsonValue| {
        async { Ok::<_, ToolError>(input) }.instrument(info_span!("look_up"))
    });
    let workflow = Workflow::new("flow").add_step(look_up).build();
    recorder.runtime().execute(&workflow, 1).await.expect("it succeeds");
    let tree = recorder.span_tree(&[]);
    let names: Vec<_> = tree.lines().map(|line| line.rsplit_once(' ').map_or(line, |(name, _)| name)).collect();
    assert_eq!(names, ["invoke_workflow flow", "  workflow_step ask", "    look_up"]);
}

#[tokio::test]
async fn a_recording_maps_what_was_stored() {
    let runtime = Runtime::new();
    runtime.execute(&full_flow(), "go").await.expect("it succeeds");
    let recording = Recording::new();
    recording.replay(&runtime.event_stream().get_events(0).await);
    assert_eq!(recording.spans().len(), FULL_TREE.lines().count());
    assert_eq!(recording.mapper().open_spans(), 0);
}

#[test]
fn a_failed_assertion_of_balance_has_every_fault_and_every_event() {
    let events = [
        Event::tool_started("first", None, None, json!({})),
        Event::tool_failed("second", "no network", None, None, json!({})),
    ];
    let message = panic_of(|| assert_balanced(&events));
    assert_says(&message, &["it never ended", "it ended without a start, or twice", "in these events:", "no network"]);
}

/// A span of a test's making: its name, its id, the id above it, when it starts and ends, and whether it is a component's.
type Row = (&'static str, u8, Option<u8>, i64, i64, bool);

fn place_of(&(name, id, parent, start, end, is_component): &Row) -> SpanPlace {
    let id_of = |id| SpanId::from_bytes([id; 8]);
    let at = |second| DateTime::UNIX_EPOCH + TimeDelta::seconds(second);
    let place = SpanPlace::new(name, TraceId::from_bytes([1; 16]), id_of(id)).with_times(at(start), at(end));
    let place = parent.into_iter().fold(place, |place, parent| place.with_parent(id_of(parent)));
    if is_component { place.with_offset(u64::from(id)) } else { place }
}

#[test]
fn spans_that_cannot_be_a_trace_are_named() {
    let good: [Row; 3] = [("run", 1, None, 0, 9, true), ("b", 3, Some(1), 1, 2, true), ("a", 2, Some(1), 1, 2, true)];
    let spans = Spans::placed(good.to_vec(), place_of);
    spans.assert_well_formed();
    assert_eq!(spans.tree_with(|(_, id, ..)| format!("#{id}")), "run #1\n  a #2\n  b #3\n");
    assert_eq!((spans.roots().len(), spans.trace_ids().len(), spans.one("a").1), (1, 1, 2));
    assert_eq!(spans.parent_of(&good[1]), Some(&good[0]));
    assert_says(&panic_of(|| spans.one("c").1), &["spans named \"c\" in", "run\n"]);

    let cases: [(Row, &str); 5] = [
        (("again", 1, None, 0, 9, true), "two spans of one id: again"),
        (("back", 4, Some(1), 5, 4, true), "back ends before it starts"),
        (("lost", 4, Some(7), 1, 2, true), "lost lies below a span that is not here"),
        (("early", 4, Some(2), 0, 2, true), "early starts before a above it"),
        (("wall", 4, Some(2), 0, 2, false), ""),
    ];
    for (row, fault) in cases {
        let spans = Spans::placed(good.into_iter().chain([row]).collect(), place_of);
        match fault {
            "" => spans.assert_well_formed(),
            fault => assert_says(&panic_of(|| spans.assert_well_formed()), &[fault]),
        }
    }
}

/// A file in the folder of this target's temporary files.
fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn a_golden_file_is_compared_to_the_last_character() {
    let path = golden("compared.txt");
    fs::write(&path, "one\r\ntwo\n").expect("the folder is there");
    assert_golden(&path, "one\ntwo\n");
    let message = panic_of(|| assert_golden(&path, "one\nthree\n"));
    assert_says(&message, &["differs from line 2 on", "AGENT_RUNTIME_UPDATE_GOLDEN=1", "two\n", "three\n"]);
    assert_says(&panic_of(|| assert_golden(&path, "one\ntwo")), &["differs from line 3 on"]);
    let message = panic_of(|| assert_golden(golden("missing.txt"), "text"));
    assert_says(&message, &["missing.txt", "AGENT_RUNTIME_UPDATE_GOLDEN=1", "text"]);
}

#[tokio::test(start_paused = true)]
async fn a_recorded_tree_is_compared_with_a_file() {
    let recorder = Recorder::new(1);
    recorder.runtime().execute(&Workflow::new("empty").build(), 1).boxed().await.expect("it succeeds");
    let path = golden("tree.txt");
    fs::write(&path, "invoke_workflow empty 0ns\n").expect("the folder is there");
    recorder.assert_tree(&path, &[]);
}
