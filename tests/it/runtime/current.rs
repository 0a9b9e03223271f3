//! What runs in a component can ask for the run that it is in.

use std::sync::{Arc, Mutex};

use agent_runtime::{
    component::{Run, spawn, spawn_blocking},
    prelude::*,
};
use tokio::sync::{mpsc, oneshot};

use crate::support::{agent_flow, calling, history, tool};

fn current_id() -> JsonValue {
    json!(Run::current().map(|run| run.workflow_id().to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_steps_and_what_they_spawn_ask_for_their_run() {
    let ask = tool("ask", |_, _| async {
        let spawned = spawn(async { current_id() }).await?;
        let blocking = spawn_blocking(current_id).await?;
        let bare = tokio::spawn(async { current_id() }).await?;
        let run = Run::current().ok_or("no run")?;
        run.stream().append(Event::system_progress("system:tool", None, None, None, json!({})))?;
        Ok(json!([current_id(), spawned, blocking, bare, run.parent_workflow_id()]))
    });
    let asking = agent_flow(calling(vec![("ask", json!({}))], "Asked."), [ask]);
    let outer = Workflow::new("outer")
        .add_step(TransformStep::map("which", |_| current_id()))
        .add_step(SubWorkflowStep::new(asking))
        .build();
    let runtime = Runtime::new();
    let ran = runtime.execute(&outer, 1).await.expect("it succeeds");
    let events = history(&runtime).await;
    let nested = events.iter().find(|event| event.component_id == "flow").expect("it ran").workflow_id.as_deref();
    let result = events.iter().find_map(|event| event.data.result()).expect("the tool ended");
    assert_eq!(*result, json!([nested, nested, nested, null, ran.workflow_id]));
    let step = events.iter().find_map(|event| event.data.output()).expect("the step ended");
    assert_eq!(*step, json!(ran.workflow_id));
    assert!(events.iter().any(|event| event.component_id == "system:tool"), "it is the run's stream");
    assert!(Run::current().is_none());
}

#[tokio::test]
async fn a_task_that_outlives_its_run_holds_nothing_of_it_and_has_no_run() {
    let (left, answer) = oneshot::channel();
    let (go_on, waits) = oneshot::channel::<()>();
    let channels = Arc::new(Mutex::new(Some((left, waits))));
    let leaves = tool("leaves", move |_, _| {
        let channels = Arc::clone(&channels);
        async move {
            let (left, waits) = channels.lock().unwrap().take().ok_or("once")?;
            spawn(async move {
                let during = Run::current().is_some();
                waits.await.ok();
                left.send((during, Run::current().is_some())).ok();
            });
            tokio::task::yield_now().await;
            Ok(json!(null))
        }
    });
    let workflow = agent_flow(calling(vec![("leaves", json!({}))], "Left."), [leaves]);
    let runtime = Runtime::new();
    let mut events = runtime.event_stream().subscribe();
    runtime.execute(&workflow, 1).await.expect("it succeeds");
    drop(runtime);
    while events.recv().await.is_ok() {}
    go_on.send(()).expect("the task waits");
    assert_eq!(answer.await, Ok((true, false)));
    // The same of a channel, which is closed though a tool keeps the run.
    let kept = Arc::new(Mutex::new(None));
    let keeps = tool("keeps", {
        let kept = Arc::clone(&kept);
        move |_, _| {
            *kept.lock().unwrap() = Run::current();
            async { Ok(json!(null)) }
        }
    });
    let (tx, mut rx) = mpsc::channel(100);
    agent_flow(calling(vec![("keeps", json!({}))], "Kept."), [keeps]).execute(1, &tx).await.expect("it succeeds");
    drop(tx);
    while rx.recv().await.is_some() {}
    assert!(kept.lock().unwrap().is_some());
}
