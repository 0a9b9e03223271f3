//! One order for everybody, on a multi-thread runtime.

use agent_runtime::{component::spawn, prelude::*};
use futures_util::future::join_all;

use crate::support::{agent_flow, assert_balanced, calling, history, pass, tool};

const RUNS: usize = 1_000;
const AT_ONCE: usize = 8;

/// Two tools at once, each of which reports from two tasks of its own, and a nested workflow.
fn busy_flow() -> Workflow {
    let busy = tool("busy", |_args, progress| async move {
        let report = |task: u64| {
            let progress = progress.clone();
            spawn(async move {
                for step in 0..3 {
                    progress(format!("task {task}, step {step}"), Some(step));
                    tokio::task::yield_now().await;
                }
            })
        };
        join_all([report(0), report(1)]).await;
        Ok(json!("done"))
    });
    let nested = agent_flow(calling(vec![("busy", json!({})), ("busy", json!({"n": 1}))], "It is done."), [busy]);
    Workflow::new("outer").add_step(pass()).add_step(SubWorkflowStep::new(nested)).build()
}

async fn read_to_the_end(mut subscription: Subscription) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        match subscription.recv().await {
            Ok(event) => events.push(event),
            Err(RecvError::Closed) => return events,
            Err(error) => panic!("{error}"),
        }
    }
}

async fn check_run(workflow: Workflow) {
    let runtime = Runtime::new();
    let readers: Vec<_> = (0..3).map(|_| tokio::spawn(read_to_the_end(runtime.event_stream().subscribe()))).collect();
    let output = runtime.execute(&workflow, "go").await.expect("the run succeeds");
    let events = history(&runtime).await;
    drop(runtime);
    assert_balanced(&events);
    let last = events.last().expect("there are events");
    assert_eq!((last.event_type, last.component_id.as_str()), (EventType::Completed, "outer"));
    assert_eq!(last.workflow_id.as_deref(), Some(&*output.workflow_id));
    assert_eq!(events.iter().filter(|event| event.event_type == EventType::Progress).count(), 12 + 3 + 1);
    for reader in readers {
        assert_eq!(reader.await.expect("the reader reads"), events);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_a_thousand_runs_every_reader_sees_the_one_order_and_every_start_has_one_end() {
    let workflow = busy_flow();
    for _ in 0..RUNS / AT_ONCE {
        let runs = (0..AT_ONCE).map(|_| tokio::spawn(check_run(workflow.clone())));
        for run in join_all(runs).await {
            run.expect("the run is as it should be");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn runs_that_share_a_stream_keep_one_order_too() {
    let runtime = Runtime::new();
    let reader = tokio::spawn(read_to_the_end(runtime.event_stream().subscribe()));
    let workflow = busy_flow();
    let runs = (0..100).map(|_| {
        let (runtime, workflow) = (runtime.clone(), workflow.clone());
        tokio::spawn(async move { runtime.execute(&workflow, "go").await })
    });
    for run in join_all(runs).await {
        run.expect("no panic").expect("the run succeeds");
    }
    let events = history(&runtime).await;
    drop(runtime);
    assert_balanced(&events);
    assert_eq!(reader.await.expect("the reader reads"), events);
}
