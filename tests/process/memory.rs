//! What a stream keeps has a bound in bytes, whatever goes through it and whoever reads it.
//!
//! The allocator counts for the whole process, so what is measured runs in one of its own.

use agent_runtime::{
    llm::{ScriptedModel, ScriptedReply},
    prelude::*,
    stream::TryRecvError,
};

use crate::{ALLOCATOR, support::process::run_child};

/// Beside the events of a history: the ring itself, and what a run in progress holds.
const ALLOWANCE: usize = 8 << 20;

/// What each run is given; as one event it is far below the bound.
const INPUT_BYTES: usize = 100_000;

#[test]
fn a_history_stays_below_its_bound_in_bytes_and_says_what_it_let_go() {
    run_child("child_keeps_a_history", &[]);
}

#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn child_keeps_a_history() {
    let defaults = EventStream::builder();
    let small = EventStream::builder().with_capacity_bytes(1 << 20);
    let cases =
        [("defaults", defaults, EventStream::DEFAULT_CAPACITY_BYTES, 150), ("a small bound", small, 1 << 20, 40)];
    for (name, builder, bound, runs) in cases {
        let before = ALLOCATOR.current_usage();
        let runtime = Runtime::with_event_stream(builder.build());
        let mut behind = runtime.event_stream().subscribe();
        let model = ScriptedModel::answering(|_| ScriptedReply::text("done"));
        let flow = Workflow::new("flow").add_step(AgentStep::new(Agent::builder("a", model).build())).build();
        for _ in 0..runs {
            runtime.execute(&flow, "x".repeat(INPUT_BYTES)).await.expect("the run succeeds");
        }
        let stream = runtime.event_stream();
        let kept = stream.next_offset() - stream.first_offset();
        assert!(kept < stream.next_offset() && kept > 0, "{name}: {kept} of {} are kept", stream.next_offset());
        // Reading the data as JSON builds it, and the history then holds both.
        let mut reader = stream.subscribe_from(stream.first_offset());
        while let Ok(event) = reader.try_recv_shared() {
            assert!(event.data.is_object());
        }
        let held = ALLOCATOR.current_usage() - before;
        assert!(held < bound + ALLOWANCE, "{name}: {held} bytes are held, the bound is {bound}");
        let Err(TryRecvError::Lagged(lagged)) = behind.try_recv() else { panic!("{name}: nothing was let go") };
        assert_eq!(lagged.missing(), 0..stream.first_offset());
        assert_eq!(stream.lagged_events(), lagged.count());
    }
}

#[tokio::test]
async fn an_event_longer_than_the_bound_is_read_live_and_kept_as_the_newest() {
    let stream = EventStream::builder().with_capacity_bytes(1_000).build();
    let mut live = stream.subscribe();
    let event = |bytes: usize| Event::agent_progress("a", Some("x".repeat(bytes)), None, None, json!({}));
    // The length of each event's message, and how many events are kept then.
    for (bytes, kept) in [(1, 1), (100_000, 1), (1, 1), (1, 2), (100_000, 1), (0, 1)] {
        stream.append(event(bytes)).expect("valid");
        let received = live.try_recv().expect("it is read live");
        assert_eq!(received.message.map(|message| message.len()), Some(bytes));
        assert_eq!(stream.next_offset() - stream.first_offset(), kept);
    }
}
