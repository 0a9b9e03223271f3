//! Ends: a run's channel and stream close when the run is over, whoever still holds something of it, and every end reaches
//! the subscriber that saw the start.

use std::{collections::BTreeSet, sync::Arc, thread, time::Duration};

use agent_runtime::{component::Run, event::StepType, prelude::*, runtime::BoxError};
use parking_lot::Mutex;
use tokio::{sync::mpsc, time};
use tracing::{dispatcher, instrument::WithSubscriber as _};
use tracing_subscriber::{layer::SubscriberExt as _, registry, reload};

use crate::support::{
    FULL_TREE, Recording, agent_flow, assert_balanced, calling, check_over, dispatch_of, full_flow, history, replies,
    spans, story, tool,
};

/// How long a reader may wait for an end that is there; only what hangs takes it.
const STUCK: Duration = Duration::from_secs(60);

/// What a run leaves behind: callbacks, runs and tasks, kept for as long as the test likes.
#[derive(Clone, Debug, Default)]
struct Kept {
    callbacks: Arc<Mutex<Vec<ProgressCallback>>>,
    runs: Arc<Mutex<Vec<Run>>>,
    tasks: Arc<Mutex<Vec<tokio::task::JoinHandle<()>>>>,
}

/// Keeps the run that it is handed.
#[derive(Debug)]
struct KeepsRun(Kept);

#[async_trait]
impl Step for KeepsRun {
    fn name(&self) -> &str {
        "keep"
    }

    fn step_type(&self) -> StepType {
        StepType::Transform
    }

    async fn run(&self, input: JsonValue, run: &Run) -> Result<JsonValue, BoxError> {
        self.0.runs.lock().push(run.clone());
        Ok(input)
    }
}

/// A run that leaves a callback, a task and itself behind.
fn littering(kept: &Kept) -> Workflow {
    let keep = tool("keep", {
        let kept = kept.clone();
        move |_, progress| {
            progress("before the end".to_owned(), None);
            kept.callbacks.lock().push(progress);
            kept.tasks.lock().push(agent_runtime::component::spawn(std::future::pending()));
            async { Ok(json!("kept")) }
        }
    });
    let agent = Agent::builder("agent", calling(vec![("keep", json!({}))], "Done.")).with_tool(keep).build();
    Workflow::new("flow").add_step(KeepsRun(kept.clone())).add_step(AgentStep::new(agent)).build()
}

/// C43.
#[tokio::test]
async fn a_channel_closes_with_its_run_whoever_holds_something_of_it() {
    let kept = Kept::default();
    let (tx, mut rx) = mpsc::channel(1_000);
    let monitor = tokio::spawn(async move {
        let mut events = Vec::new();
        while let Some(event) = rx.recv().await {
            events.push(event);
        }
        events
    });
    littering(&kept).execute("x", &tx).await.expect("the run succeeds");
    drop(tx);
    let events = time::timeout(STUCK, monitor).await.expect("the channel is closed").expect("the monitor is fine");
    assert_balanced(&events);
    assert_eq!(events.last().map(|event| event.component_id.as_str()), Some("flow"));
    for callback in kept.callbacks.lock().iter() {
        callback("after the end".to_owned(), None);
    }
    assert_eq!((kept.callbacks.lock().len(), kept.runs.lock().len(), kept.tasks.lock().len()), (1, 1, 1));
}

/// C43, without a channel: what a tool keeps holds no stream open.
#[tokio::test]
async fn a_stream_closes_with_its_last_handle_whatever_a_tool_keeps() {
    let kept = Kept::default();
    let runtime = Runtime::new();
    let mut events = runtime.event_stream().subscribe();
    let mut workflow = littering(&kept);
    runtime.execute(&workflow, "x").await.expect("the run succeeds");
    // A run is a handle of its stream, as its docs say.
    kept.runs.lock().clear();
    workflow = full_flow();
    drop((runtime, workflow));
    let mut seen = 0;
    while time::timeout(STUCK, events.recv()).await.expect("the stream is closed").is_ok() {
        seen += 1;
    }
    assert!(seen > 0);
    assert_eq!((kept.callbacks.lock().len(), kept.tasks.lock().len()), (1, 1));
}

/// What fits is in the channel when the call returns, and the rest comes.
#[tokio::test]
async fn what_fits_is_in_the_channel_when_the_run_returns() {
    let total = {
        let (tx, mut rx) = mpsc::channel(1_000);
        full_flow().execute("go", &tx).await.expect("the run succeeds");
        let mut events = Vec::new();
        while let Ok(event) = rx.try_recv() {
            events.push(event);
        }
        assert_balanced(&events);
        assert_eq!(events.last().map(|event| event.component_id.as_str()), Some("full"));
        events.len()
    };
    for capacity in [1, 3, total - 1, total, total + 1] {
        let (tx, mut rx) = mpsc::channel(capacity);
        full_flow().execute("go", &tx).await.expect("the run succeeds");
        assert_eq!(rx.len(), capacity.min(total));
        drop(tx);
        let mut events = Vec::new();
        while let Some(event) = time::timeout(STUCK, rx.recv()).await.expect("the channel is closed") {
            events.push(event);
        }
        assert_balanced(&events);
        assert_eq!(events.len(), total, "with room for {capacity}");
    }
}

/// The run does not depend on the task that moves its events: on a runtime that nobody drives it never runs.
#[test]
fn a_run_on_a_runtime_that_nobody_drives_fills_the_channel_and_returns() {
    let tokio = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let _entered = tokio.enter();
    let (tx, rx) = mpsc::channel(5);
    let run = full_flow();
    let output = futures_util::FutureExt::now_or_never(async { run.execute("go", &tx).await });
    match output {
        Some(result) => drop(result.expect("the run succeeds")),
        // The scripted models yield, for which a waker is needed.
        None => return,
    }
    assert_eq!(rx.len(), 5);
}

/// C45: a nested flow with parallel tools, dropped after each of many times.
#[tokio::test(start_paused = true)]
async fn a_run_that_is_dropped_at_any_time_has_one_end_for_each_start() {
    let mut endings = BTreeSet::new();
    for millis in 0..40 {
        let slow = |name: &'static str, pause: u64| {
            tool(name, move |args, progress| async move {
                for part in 0..3 {
                    time::sleep(Duration::from_millis(pause)).await;
                    progress(format!("part {part}"), Some(part));
                }
                Ok(args)
            })
        };
        let calls = vec![("slow", json!({"n": 1})), ("slower", json!({})), ("slow", json!({"n": 2}))];
        let inner = agent_flow(calling(calls, "Done."), [slow("slow", 3), slow("slower", 7)]);
        let outer = Workflow::new("outer").add_step(SubWorkflowStep::new(inner)).build();
        let (recording, runtime) = (Recording::new(), Runtime::new());
        let run = runtime.execute(&outer, "go").with_subscriber(recording.dispatch());
        let result = time::timeout(Duration::from_millis(millis), run).await;
        endings.insert(result.is_ok());
        let spans = check_over(&recording, &history(&runtime).await);
        assert!(spans.iter().all(|span| spans::attribute(span, "agent_runtime.unmatched").is_null()));
    }
    assert_eq!(endings.len(), 2, "some were dropped, and some were not");
}

/// How a run that hangs is given up.
#[derive(Clone, Copy, Debug)]
enum Exit {
    Abort,
    DropElsewhere,
    PollElsewhere,
}

/// B15: however a run ends, and under whatever default it is polled, all its spans are its own subscriber's.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_run_belongs_to_the_subscriber_that_it_began_under() {
    for exit in [Exit::Abort, Exit::DropElsewhere, Exit::PollElsewhere] {
        let mut runs = Vec::new();
        for _ in 0..20 {
            let (recording, runtime) = (Recording::new(), Runtime::new());
            let (started, is_started) = mpsc::unbounded_channel();
            let (go_on, goes_on) = tokio::sync::watch::channel(false);
            let hang = tool("hang", move |_, progress| {
                let (started, mut goes_on) = (started.clone(), goes_on.clone());
                async move {
                    progress("at it".to_owned(), None);
                    started.send(()).expect("the test waits");
                    goes_on.wait_for(|go_on| *go_on).await.map_err(|_| "nobody waits")?;
                    Ok(json!("done"))
                }
            });
            let flow = agent_flow(calling(vec![("hang", json!({}))], "Done."), [hang]);
            let run = dispatcher::with_default(&recording.dispatch(), || runtime.start(&flow, "go").1);
            runs.push((recording, runtime, run, is_started, go_on));
        }
        for (recording, runtime, mut run, mut is_started, go_on) in runs {
            let case = format!("{exit:?}");
            match exit {
                Exit::Abort => {
                    let task = tokio::spawn(run);
                    is_started.recv().await.expect("the tool hangs");
                    task.abort();
                    assert!(task.await.is_err_and(|error| error.is_cancelled()));
                }
                Exit::DropElsewhere => {
                    tokio::select! {
                        _ = &mut run => panic!("the tool hangs"),
                        _ = is_started.recv() => {}
                    }
                    thread::spawn(move || drop(run)).join().expect("the drop goes well");
                }
                Exit::PollElsewhere => {
                    let other = Recording::new();
                    let task = tokio::spawn(run.with_subscriber(other.dispatch()));
                    is_started.recv().await.expect("the tool hangs");
                    go_on.send(true).expect("the tool waits");
                    task.await.expect("the task ends well").expect("the run succeeds");
                    assert!(other.spans().is_empty() && other.mapper().open_spans() == 0);
                }
            }
            let events = history(&runtime).await;
            let spans = check_over(&recording, &events);
            let tool = spans.one("execute_tool hang");
            assert_eq!(spans::events(tool, "agent_runtime.progress").len(), 1, "{case}");
        }
    }
}

/// B16: our layer behind a `reload` layer. What it saw the start of has a span, and nothing else has half of one.
#[tokio::test]
async fn a_layer_that_is_put_in_and_taken_out_has_spans_while_it_is_in() {
    let recording = Recording::new();
    let (layer, handle) = reload::Layer::new(None::<agent_runtime::otel::OtelLayer>);
    let dispatch = dispatch_of(registry().with(layer));
    let headers = Arc::new(Mutex::new(Vec::new()));
    let ask = tool("ask", {
        let headers = Arc::clone(&headers);
        move |_, _| {
            headers.lock().push(agent_runtime::component::trace_headers().len());
            async { Ok(json!("asked")) }
        }
    });
    let flow = agent_flow(
        replies((0..3).flat_map(|_| [ScriptedReply::tool_calls([("ask", json!({}))]), ScriptedReply::text("Done.")])),
        [ask],
    );
    let runtime = Runtime::new();
    for layer in [None, Some(recording.layer()), None] {
        handle.reload(layer).expect("the subscriber is there");
        runtime.execute(&flow, "go").with_subscriber(dispatch.clone()).await.expect("the run succeeds");
    }
    assert_eq!(*headers.lock(), [0, 1, 0]);
    assert_eq!((recording.spans().len(), recording.mapper().open_spans()), (6, 0));
}

/// A run that begins before there is a layer has spans for what begins afterwards, and no ends without a start.
#[tokio::test]
async fn what_began_before_the_layer_was_there_has_no_half_of_a_span() {
    let recording = Recording::new();
    let (layer, handle) = reload::Layer::new(None::<agent_runtime::otel::OtelLayer>);
    let dispatch = dispatch_of(registry().with(layer));
    let install = TransformStep::new("install", {
        let recording = recording.clone();
        move |input: JsonValue| {
            handle.reload(Some(recording.layer())).expect("the subscriber is there");
            async move { Ok::<_, ToolError>(input) }
        }
    });
    let flow = Workflow::new("flow").add_step(install).add_step(crate::support::pass()).build();
    Runtime::new().execute(&flow, "go").with_subscriber(dispatch).await.expect("the run succeeds");
    assert_eq!(recording.spans().tree(), "workflow_step pass\n");
    assert_eq!(recording.mapper().open_spans(), 0);
}

/// A whole run under no subscriber at all has its events and nothing else.
#[tokio::test]
async fn a_run_without_a_subscriber_has_its_events() {
    let runtime = Runtime::new();
    runtime.execute(&full_flow(), "go").await.expect("the run succeeds");
    let events = history(&runtime).await;
    assert_balanced(&events);
    let started = story(&events).iter().filter(|line| line.starts_with("started")).count();
    assert_eq!(started, FULL_TREE.lines().count());
}
