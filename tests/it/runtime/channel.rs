//! `execute(input, &tx)`: the run's events in a channel of the user's.

use std::{
    future::Future as _,
    pin::pin,
    task::{Context, Poll, Waker},
};

use agent_runtime::prelude::*;
use tokio::sync::mpsc;

use crate::support::{agent_flow, assert_balanced, full_flow, replies, replies_for_ever};

async fn drain(mut events: mpsc::Receiver<Event>) -> Vec<Event> {
    let mut drained = Vec::new();
    while let Some(event) = events.recv().await {
        drained.push(event);
    }
    drained
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_events_arrive_in_order_whatever_the_size_of_the_channel() {
    for capacity in [1, 7, 10_000] {
        let (tx, rx) = mpsc::channel(capacity);
        let reader = tokio::spawn(drain(rx));
        let output = full_flow().execute("go", &tx).await.expect("the run succeeds");
        drop(tx);
        let events = reader.await.expect("the reader reads");
        assert_balanced(&events);
        assert_eq!(
            events.iter().filter_map(|event| event.offset).collect::<Vec<_>>(),
            (0..events.len() as u64).collect::<Vec<_>>()
        );
        let last = events.last().expect("there are events");
        assert_eq!((last.scope, last.event_type), (EventScope::Workflow, EventType::Completed));
        assert_eq!(last.workflow_id, Some(output.workflow_id));
    }
}

#[tokio::test]
async fn a_receiver_that_reads_only_afterwards_gets_everything() {
    let (tx, rx) = mpsc::channel(1);
    full_flow().execute("go", &tx).await.expect("the run does not wait for its reader");
    drop(tx);
    assert_balanced(&drain(rx).await);
}

#[tokio::test]
async fn a_receiver_that_is_gone_costs_nothing() {
    let (tx, rx) = mpsc::channel(1);
    drop(rx);
    full_flow().execute("go", &tx).await.expect("the run succeeds");
}

#[tokio::test]
async fn a_failed_run_has_its_events_in_the_channel_too() {
    let agent = Agent::builder("agent", replies_for_ever("unasked")).with_max_iterations(0).build();
    let (tx, rx) = mpsc::channel(100);
    let error =
        Workflow::new("flow").add_step(AgentStep::new(agent)).build().execute("go", &tx).await.expect_err("it fails");
    assert_eq!(error.code(), "max_iterations");
    drop(tx);
    let events = drain(rx).await;
    assert_balanced(&events);
    assert_eq!(events.last().map(|event| event.event_type), Some(EventType::Failed));
}

#[tokio::test]
async fn a_receiver_that_falls_behind_the_whole_log_is_told_what_is_missing() {
    let long = ScriptedReply::text("a ".repeat(2 * EventStream::DEFAULT_CAPACITY));
    let (tx, rx) = mpsc::channel(1);
    agent_flow(replies([long]), []).execute("go", &tx).await.expect("the run succeeds");
    drop(tx);
    let events = drain(rx).await;
    let gap = events.iter().position(|event| event.component_id == "system:event_stream").expect("the gap is told");
    let data = &events[gap].data;
    let after = events[gap + 1].offset.expect("it has an offset");
    let before = gap.checked_sub(1).map_or(0, |before| events[before].offset.expect("it has an offset") + 1);
    assert_eq!((data["first_offset"].as_u64(), data["last_offset"].as_u64()), (Some(before), Some(after - 1)));
    assert_eq!(data["missed"].as_u64(), Some(after - before));
    assert_eq!(events.last().map(|event| event.event_type), Some(EventType::Completed));
}

#[test]
fn outside_of_tokio_it_is_an_error_and_nothing_is_sent() {
    let (tx, mut rx) = mpsc::channel(100);
    let workflow = full_flow();
    let future = pin!(workflow.execute("go", &tx));
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Err(RunError::NoTokioRuntime)) => {}
        other => panic!("{other:?}"),
    }
    assert!(rx.try_recv().is_err());
}

#[tokio::test]
async fn a_run_into_a_channel_has_the_options_that_it_was_given() {
    let (tx, events) = mpsc::channel(1_000);
    let options = RunOptions::default().with_workflow_id("order 17").with_tag("production");
    let run = full_flow().execute_with("go", &tx, options).await.expect("it succeeds");
    drop(tx);
    assert_eq!(run.workflow_id, "order 17");
    for event in drain(events).await {
        assert!([&event.workflow_id, &event.parent_workflow_id].contains(&&Some("order 17".to_owned())));
        assert_eq!(event.data.tags(), Some(vec!["production"]));
    }
}
