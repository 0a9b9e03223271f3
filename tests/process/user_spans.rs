//! The user's spans, through `tracing-opentelemetry`, inside ours and around them, in many runs at once. The subscriber is
//! the process's, as in an application, so the tests run in a process of their own, one at a time.

use std::sync::Arc;

use agent_runtime::{
    component::{spawn, spawn_blocking},
    llm::{ChatDelta, ChatModel, ChatRequest, ChatStream, ModelError},
    prelude::*,
};
use futures_util::{StreamExt as _, future::join_all};
use opentelemetry_proto::tonic::trace::v1::Span as ProtoSpan;
use tracing::{Instrument as _, info_span, instrument};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::{
    one_subscriber::{self, Recorded},
    support::{
        Spans, agent_flow, assert_balanced, calling, eventually, history, pass, process::run_module, spans, tool,
    },
};

const RUNS: usize = 50;

#[test]
fn the_cases_hold_in_a_process_with_one_subscriber() {
    run_module(module_path!());
}

async fn record() -> Recorded {
    one_subscriber::record(|ours, users| {
        let users = tracing_opentelemetry::layer().with_tracer(users);
        tracing_subscriber::registry().with(ours).with(users).into()
    })
    .await
}

/// What a span says of the run and the call that it belongs to.
fn whose(span: &ProtoSpan) -> String {
    let said = |key| spans::attribute(span, key).as_str().map(str::to_owned);
    if let Some(id) = said("agent_runtime.component.id") {
        return format!(" [{id}]");
    }
    let called = said("call").map(|call| format!(", call {call}")).unwrap_or_default();
    said("run").map(|run| format!(" (run {run}{called})")).unwrap_or_default()
}

#[instrument]
async fn look_up(run: u64, call: u64) {
    tokio::task::yield_now().await;
    spawn(async move {
        let deeper = async { tokio::task::yield_now().await };
        deeper.instrument(info_span!("in_a_task", run, call)).await;
    })
    .await
    .expect("the task succeeds");
    spawn_blocking(move || info_span!("on_a_blocking_thread", run, call).in_scope(std::thread::yield_now))
        .await
        .expect("the work succeeds");
    tokio::task::yield_now().await;
}

/// A run with three calls of one tool at once, each of which opens spans of the user's and runs a workflow.
fn crowded_flow(runtime: &Runtime, run: u64) -> Workflow {
    let look = tool("look", {
        let runtime = runtime.clone();
        move |args, _| {
            let runtime = runtime.clone();
            async move {
                let call = args["call"].as_u64().ok_or("no call")?;
                look_up(run, call).await;
                let nested = Workflow::new(format!("nested_{run}_{call}")).add_step(pass()).build();
                let around = info_span!("around_a_workflow", run, call);
                runtime.execute(&nested, json!(call)).instrument(around).await?;
                Ok(args)
            }
        }
    });
    let calls = (0..3).map(|call| ("look", json!({ "call": call }))).collect();
    let agent = Agent::builder(format!("agent_{run}"), calling(calls, "Done.")).with_tool(look).build();
    Workflow::new(format!("flow_{run}")).add_step(AgentStep::new(agent)).build()
}

fn crowded_tree(run: u64) -> String {
    let mut tree = format!(
        "invoke_workflow flow_{run} [flow_{run}]\n  workflow_step agent_{run} [flow_{run}:step:0]\n    \
         invoke_agent agent_{run} [agent_{run}]\n      chat scripted [agent_{run}:llm:0]\n"
    );
    for call in 0..3 {
        let whose = format!("(run {run}, call {call})");
        tree += &format!(
            "      execute_tool look [look:{call}]
        look_up {whose}
          in_a_task {whose}
          on_a_blocking_thread {whose}
        around_a_workflow {whose}
          invoke_workflow nested_{run}_{call} [nested_{run}_{call}]
            workflow_step pass [nested_{run}_{call}:step:0]\n"
        );
    }
    tree + &format!("      chat scripted [agent_{run}:llm:1]\n")
}

/// Checks that each trace is the tree of one run, and that there is one for each.
#[track_caller]
fn assert_one_trace_each(spans: &Spans, tree: impl Fn(u64) -> String) {
    let mut found: Vec<_> = spans.trace_ids().iter().map(|id| spans.trace(id).tree_with(whose)).collect();
    let mut expected: Vec<_> = (0..RUNS as u64).map(tree).collect();
    found.sort();
    expected.sort();
    assert_eq!(found.len(), RUNS);
    for (found, expected) in found.iter().zip(&expected) {
        assert!(found == expected, "{found}\nshould be\n{expected}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "runs in a process of its own"]
async fn fifty_runs_at_once_are_fifty_traces_with_every_span_in_its_place() {
    let recorded = record().await;
    let runtime = Runtime::new();
    let runs = (0..RUNS as u64).map(|run| {
        let runtime = runtime.clone();
        tokio::spawn(async move { runtime.execute(&crowded_flow(&runtime, run), "go").await })
    });
    for run in join_all(runs).await {
        run.expect("no panic").expect("the run succeeds");
    }
    assert_balanced(&history(&runtime).await);
    assert_one_trace_each(&recorded.spans(), crowded_tree);
}

#[instrument(skip(runtime))]
async fn handle_request(runtime: Runtime, run: u64) {
    tokio::task::yield_now().await;
    runtime.execute(&crowded_flow(&runtime, run), "go").await.expect("the run succeeds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "runs in a process of its own"]
async fn fifty_runs_at_once_inside_spans_of_the_users_lie_under_them() {
    let recorded = record().await;
    let runtime = Runtime::new();
    let requests = (0..RUNS as u64).map(|run| tokio::spawn(handle_request(runtime.clone(), run)));
    for request in join_all(requests).await {
        request.expect("no panic");
    }
    assert_balanced(&history(&runtime).await);
    assert_one_trace_each(&recorded.spans(), |run| {
        let indented: String = crowded_tree(run).lines().map(|line| format!("  {line}\n")).collect();
        format!("handle_request (run {run})\n{indented}")
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs in a process of its own"]
async fn a_bare_spawn_in_a_tool_is_a_root_of_its_own_or_lies_under_its_own_tool() {
    let recorded = record().await;
    let runtime = Runtime::new();
    let bare = tool("bare", {
        let runtime = runtime.clone();
        move |args, _| {
            let runtime = runtime.clone();
            async move {
                let call = args["call"].as_u64().unwrap_or_default();
                let nested = Workflow::new(format!("bare_{call}")).build();
                let work = async move {
                    async { tokio::task::yield_now().await }.instrument(info_span!("bare", call)).await;
                    runtime.execute(&nested, call).await.map(|run| run.workflow_id)
                };
                let carried = async { tokio::task::yield_now().await }.instrument(info_span!("carried", call));
                tokio::spawn(carried).await.expect("the task succeeds");
                let id = tokio::spawn(work).await.expect("the task succeeds")?;
                Ok(json!(id))
            }
        }
    });
    let calls = (0..4).map(|call| ("bare", json!({ "call": call }))).collect();
    runtime.execute(&agent_flow(calling(calls, "Done."), [bare]), "go").await.expect("the run succeeds");
    let spans = recorded.spans();
    let (bare, carried) = (spans.all("bare"), spans.all("carried"));
    assert_eq!((bare.len(), carried.len()), (4, 4));
    assert!(bare.iter().all(|span| span.parent_span_id.is_empty()), "{}", spans.tree());
    for span in carried {
        let tool = spans.parent_of(span).expect("it was made inside of its tool");
        let id = format!("bare:{}", spans::attribute(span, "call").as_str().unwrap_or_default());
        assert_eq!(spans::attribute(tool, "agent_runtime.component.id"), id);
    }
    for call in 0..4 {
        let root = spans.one(&format!("invoke_workflow bare_{call}"));
        assert!(root.parent_span_id.is_empty());
        assert_eq!(spans::attribute(root, "agent_runtime.workflow.parent_id"), JsonValue::Null);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs in a process of its own"]
async fn siblings_joined_or_raced_in_a_transform_end_in_any_order() {
    let recorded = record().await;
    let runtime = Runtime::new();
    let turns = |name: &str, turns: usize| {
        let wait = TransformStep::new("wait", move |input| async move {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            Ok::<_, ToolError>(input)
        });
        Workflow::new(name).add_step(wait).build()
    };
    let (slow, fast) = (turns("slow", 20), turns("fast", 2));
    let both = TransformStep::new("both", {
        let runtime = runtime.clone();
        move |input: JsonValue| {
            let (runtime, slow, fast) = (runtime.clone(), slow.clone(), fast.clone());
            async move {
                let (first, second) = tokio::join!(runtime.execute(&slow, 1), runtime.execute(&fast, 2));
                first.and(second)?;
                tokio::select! {
                    biased;
                    lost = runtime.execute(&slow, 3) => drop(lost),
                    won = runtime.execute(&fast, 4) => drop(won?),
                }
                Ok::<_, RunError>(input)
            }
        }
    });
    runtime.execute(&Workflow::new("outer").add_step(both).build(), "go").await.expect("the run succeeds");
    let events = history(&runtime).await;
    assert_balanced(&events);
    let ends = events.iter().filter(|event| event.scope == EventScope::Workflow && event.event_type.is_terminal());
    let ends: Vec<_> = ends.map(|event| format!("{} {}", event.component_id, event.event_type)).collect();
    assert_eq!(ends, ["fast completed", "slow completed", "fast completed", "slow canceled", "outer completed"]);
    let inner = |name: &str| format!("    invoke_workflow {name}\n      workflow_step wait\n");
    let (slow, fast) = (inner("slow"), inner("fast"));
    assert_eq!(
        recorded.spans().tree(),
        format!("invoke_workflow outer\n  workflow_step both\n{slow}{fast}{slow}{fast}")
    );
}

/// A model of the user's that traces what it does, before its answer begins and while it comes.
#[derive(Debug)]
struct Traced;

#[async_trait]
impl ChatModel for Traced {
    fn provider(&self) -> &str {
        "test"
    }

    fn model(&self) -> &str {
        "traced"
    }

    async fn stream(&self, _: ChatRequest) -> Result<ChatStream, ModelError> {
        async { tokio::task::yield_now().await }.instrument(info_span!("connect")).await;
        let chunks = futures_util::stream::iter(0..3).then(|number| async move {
            async { tokio::task::yield_now().await }.instrument(info_span!("read")).await;
            Ok(ChatDelta::Text(format!("{number} ")))
        });
        Ok(chunks.boxed())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs in a process of its own"]
async fn what_a_model_traces_lies_under_its_request_as_long_as_its_answer_is_read() {
    let recorded = record().await;
    Runtime::new().execute(&agent_flow(Arc::new(Traced), []), "go").await.expect("the run succeeds");
    let expected = "\
invoke_workflow flow
  workflow_step agent
    invoke_agent agent
      chat traced
        connect
        read
        read
        read
";
    assert_eq!(recorded.spans().tree(), expected);
}

/// The user's layer is not ours: it must see its own spans, with its own attributes, as if we were not there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs in a process of its own"]
async fn the_users_span_is_current_again_after_a_run() {
    let recorded = record().await;
    async {
        let runtime = Runtime::new();
        runtime.execute(&Workflow::new("first").add_step(pass()).build(), 1).await.expect("the run succeeds");
        async { tokio::task::yield_now().await }.instrument(info_span!("between")).await;
        runtime.execute(&Workflow::new("second").add_step(pass()).build(), 2).await.expect("the run succeeds");
    }
    .instrument(info_span!("request"))
    .await;
    let expected = "\
request
  invoke_workflow first
    workflow_step pass
  between
  invoke_workflow second
    workflow_step pass
";
    assert_eq!(recorded.spans().tree(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs in a process of its own"]
async fn an_aborted_run_leaves_no_span_of_anybodys_open() {
    let recorded = record().await;
    let runtime = Runtime::new();
    let hangs = tool("hangs", |_, _| std::future::pending().instrument(info_span!("users_wait")));
    let workflow = agent_flow(calling(vec![("hangs", json!({})), ("hangs", json!({"again": true}))], "Done."), [hangs]);
    let run = {
        let runtime = runtime.clone();
        tokio::spawn(async move { runtime.execute(&workflow, "go").await }.instrument(info_span!("request")))
    };
    eventually("the hang", || recorded.open_spans() == 5).await;
    run.abort();
    assert!(run.await.is_err_and(|error| error.is_cancelled()));
    assert_balanced(&history(&runtime).await);
    let expected = "\
request
  invoke_workflow flow
    workflow_step agent
      invoke_agent agent
        chat scripted
        execute_tool hangs
          users_wait
        execute_tool hangs
          users_wait
";
    assert_eq!(recorded.spans().tree(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs in a process of its own"]
async fn hand_made_events_inside_one_span_of_the_users_nest_by_their_ids_under_it() {
    let recorded = record().await;
    info_span!("request").in_scope(|| {
        let stream = EventStream::new();
        let id = || Some("w".to_owned());
        for event in [
            Event::workflow_started("flow", id(), None, json!({})),
            Event::agent_started("agent", id(), None, json!({})),
            Event::tool_started("look", id(), None, json!({})),
            Event::tool_completed("look", id(), None, json!({})),
            Event::agent_completed("agent", id(), None, json!({})),
            Event::workflow_completed("flow", id(), None, json!({})),
        ] {
            stream.append(event).expect("the ids are well-formed");
        }
    });
    assert_eq!(
        recorded.spans().tree(),
        "request\n  invoke_workflow flow\n    invoke_agent agent\n      execute_tool look\n"
    );
}
