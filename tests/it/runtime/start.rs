//! A run that is started with its own subscription.

use agent_runtime::prelude::*;
use tokio::time::{Duration, timeout};

use crate::support::{agent_flow, assert_balanced, calling, full_flow, pass, tool};

async fn read_to_the_end(mut events: Subscription) -> Vec<Event> {
    let mut read = Vec::new();
    while let Ok(event) = events.recv().await {
        read.push(event);
    }
    read
}

fn in_workflow<'a>(events: &'a [Event], id: &str) -> Vec<&'a Event> {
    events.iter().filter(|event| event.workflow_id.as_deref() == Some(id)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_subscription_has_the_whole_run_with_all_nested_ones_and_ends_with_it() {
    let runtime = Runtime::new();
    for _ in 0..30 {
        let ((events, run), (other_events, other)) =
            (runtime.start(&full_flow(), "go"), runtime.start(&full_flow(), "go"));
        let (reader, other_reader) =
            (tokio::spawn(read_to_the_end(events)), tokio::spawn(read_to_the_end(other_events)));
        let (output, other_output) = tokio::join!(run, other);
        let (output, other_output) = (output.unwrap(), other_output.unwrap());
        let (events, others) = (reader.await.unwrap(), other_reader.await.unwrap());
        let own = in_workflow(&events, &output.workflow_id);
        assert_eq!((own[0].scope, own[0].event_type), (EventScope::Workflow, EventType::Started));
        let last = events.last().unwrap();
        assert_eq!((last.scope, last.event_type), (EventScope::Workflow, EventType::Completed));
        assert!(own.len() < events.len(), "the nested run belongs to it");
        assert!(in_workflow(&events, &other_output.workflow_id).is_empty(), "another run does not");
        assert_eq!(events.len(), others.len());
    }
}

#[tokio::test]
async fn runs_nested_in_nested_runs_pass_the_filter_and_others_do_not() {
    let inner = Workflow::new("inner").add_step(pass()).build();
    let middle = Workflow::new("middle").add_step(SubWorkflowStep::new(inner)).build();
    let outer = Workflow::new("outer").add_step(SubWorkflowStep::new(middle)).build();
    let runtime = Runtime::new();
    let mut events = runtime.event_stream().subscribe().filter_run("mine");
    let options = RunOptions::default().with_workflow_id("mine");
    runtime.execute(&outer, "x").await.unwrap();
    runtime.execute_with(&outer, "x", options).await.unwrap();
    let mut names = Vec::new();
    while let Ok(event) = events.try_recv() {
        if event.scope == EventScope::Workflow && event.event_type == EventType::Started {
            names.push(event.component_id.clone());
        }
    }
    assert_eq!(names, ["outer", "middle", "inner"]);
}

#[tokio::test]
async fn the_subscription_ends_however_the_run_does() {
    let runtime = Runtime::new();
    let hang = || {
        let wait = async |_: JsonValue| -> Result<JsonValue, RunError> { std::future::pending().await };
        Workflow::new("hang").add_step(TransformStep::new("wait", wait)).build()
    };
    let unnamed = Workflow::new("").add_step(pass()).build();
    let ends = async |events: Subscription| {
        timeout(Duration::from_secs(60), read_to_the_end(events)).await.expect("the subscription ends").len()
    };

    let (events, run) = runtime.start(&hang(), "x");
    drop(run);
    assert_eq!(ends(events).await, 0, "never polled");

    let (events, run) = runtime.start(&hang(), "x");
    let run = tokio::spawn(run);
    tokio::task::yield_now().await;
    run.abort();
    assert_eq!(ends(events).await, 4, "aborted: two starts, two ends");

    let (events, run) = runtime.start(&unnamed, "x");
    assert!(matches!(run.await, Err(RunError::InvalidName(_))));
    assert_eq!(ends(events).await, 0, "refused");
}

#[tokio::test]
async fn runs_that_a_tool_starts_belong_to_the_run() {
    let runtime = Runtime::new();
    let innermost = Workflow::new("innermost").add_step(pass()).build();
    let inner = Workflow::new("inner").add_step(SubWorkflowStep::new(innermost)).build();
    let in_tool = runtime.clone();
    let run_it = tool("run", move |_, _| {
        let (runtime, inner) = (in_tool.clone(), inner.clone());
        async move { runtime.execute(&inner, "go").await.map(|run| run.output).map_err(Into::into) }
    });
    let (events, run) = runtime.start(&agent_flow(calling(vec![("run", json!({}))], "It ran."), [run_it]), "go");
    run.await.unwrap();
    let events = read_to_the_end(events).await;
    assert_balanced(&events);
    assert_eq!(events, runtime.event_stream().get_events(0).await, "all of it is one run's");
}

#[tokio::test]
async fn a_reader_that_missed_the_end_of_the_run_is_told_and_ends() {
    let runtime = Runtime::with_event_stream(EventStream::builder().with_capacity(8).build());
    let (mut events, run) = runtime.start(&full_flow(), "go");
    run.await.unwrap();
    runtime.execute(&full_flow(), "go").await.unwrap();
    let missed = runtime.event_stream().first_offset();
    assert!(matches!(events.recv().await, Err(RecvError::Lagged(lagged)) if lagged.missing() == (0..missed)));
    assert_eq!(events.recv().await, Err(RecvError::Closed));
}

#[tokio::test]
async fn merged_and_renewed_subscriptions_end_with_the_run_too() {
    let runtime = Runtime::new();
    let (events, run) = runtime.start(&full_flow(), "go");
    let mut renewed = events.resubscribe();
    let mut merged = events.batched(Duration::from_hours(1));
    run.await.unwrap();
    while merged.recv().await.is_ok() {}
    assert_eq!(merged.recv().await, Err(RecvError::Closed));
    while renewed.recv().await.is_ok() {}
    assert_eq!(renewed.recv().await, Err(RecvError::Closed));
}
