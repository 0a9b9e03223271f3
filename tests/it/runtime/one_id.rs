//! Two runs under one id, at once or as two attempts: what belongs to which is never guessed from their ids.

use std::sync::Arc;

use agent_runtime::{
    component::{RunOptions, spawn},
    event::{ComponentStatus, Usage},
    llm::{ModelError, StatusError},
    prelude::*,
    view::{StatusBoard, Tree, TreeNode, UsageReport},
};
use tokio::sync::{Notify, oneshot};

use crate::support::{Yielding, agent_flow, calling, history, replies_for_ever, tool, two_runs_at_once};

fn tree_of_run(tag: u64) -> String {
    format!(
        "\
invoke_workflow flow
  workflow_step agent
    invoke_agent agent
      chat model_{tag}
      execute_tool meet
        invoke_workflow inner_{tag}
      chat model_{tag}
"
    )
}

#[tokio::test]
async fn two_runs_at_once_never_swap_children_ends_or_tokens_in_any_view() {
    let events = two_runs_at_once().await;
    let tree = Tree::of(&events);
    assert_eq!(tree.outline(), tree_of_run(4) + &tree_of_run(1));
    let nodes: Vec<_> = tree.iter().map(|(_, node)| node).collect();
    let (first, second) = nodes.split_at(nodes.len() / 2);
    for (tag, nodes, meets) in [(4, first, ComponentStatus::Completed), (1, second, ComponentStatus::Failed)] {
        let tools: Vec<_> = nodes.iter().filter(|node| node.scope() == EventScope::Tool).collect();
        assert!(matches!(tools[..], [tool] if tool.progress() == tag && tool.status() == meets), "{tools:?}");
        let tokens = |count: fn(&TreeNode) -> Option<u64>| nodes.iter().filter_map(|node| count(node)).sum::<u64>();
        assert_eq!((tokens(TreeNode::input_tokens), tokens(TreeNode::output_tokens)), (10 * tag, tag));
    }

    let mut board = StatusBoard::new();
    let both_meet = |events: &[Event]| events.iter().filter(|event| event.component_id == "meet:0").count() == 2;
    let open = (1..).find(|count| both_meet(&events[..*count])).expect("both begin");
    board.extend(&events[..open]);
    for run in board.runs() {
        let titles: Vec<_> = board.open(run).map(|(title, _)| title).collect();
        assert_eq!(titles, ["invoke_workflow flow", "workflow_step agent", "invoke_agent agent", "execute_tool meet"]);
    }
    board.extend(&events[open..]);
    let runs: Vec<_> = board.runs().map(|run| (run.name(), run.completed(), run.failed())).collect();
    assert_eq!(runs[..2], [("flow", 6, 0), ("flow", 5, 1)]);
    assert!(runs[2..].iter().all(|(name, completed, _)| name.starts_with("inner_") && *completed == 1), "{runs:?}");
    assert!(board.runs().all(|run| run.status() == ComponentStatus::Completed && run.duration().is_some()));

    let mut usage = UsageReport::new();
    usage.extend(&events);
    let of = |model: &str| usage.by_model(model).map(|sums| (sums.requests(), sums.output_tokens()));
    assert_eq!((of("model_4"), of("model_1")), (Some((2, 4)), Some((2, 1))));
}

/// As from a store of events that no bridge has seen.
#[tokio::test]
async fn two_runs_at_once_are_two_whole_trees_of_spans_without_a_context_around_them() {
    let events = two_runs_at_once().await;
    assert!(events.iter().all(|event| event.trace.is_none()));
    let spans = crate::support::Recording::new().replay(&events);
    spans.assert_well_formed();
    assert_eq!((spans.trace_ids().len(), spans.tree()), (2, tree_of_run(4) + &tree_of_run(1)));
}

#[tokio::test]
async fn what_an_attempt_left_behind_is_not_taken_for_the_next_ones() {
    let (runtime, go_on) = (Runtime::new(), Arc::new(Notify::new()));
    let (done, is_done) = oneshot::channel();
    let done = Arc::new(parking_lot::Mutex::new(Some(done)));
    let leave = tool("leave", {
        let (runtime, go_on, done) = (runtime.clone(), Arc::clone(&go_on), Arc::clone(&done));
        move |_, _| {
            let (runtime, go_on, done) = (runtime.clone(), Arc::clone(&go_on), Arc::clone(&done));
            async move {
                spawn(async move {
                    go_on.notified().await;
                    let late = Workflow::new("late").build();
                    runtime.execute(&late, "go").await.expect("it runs");
                    done.lock().take().expect("it is the only one").send(()).expect("the test waits");
                });
                Err(ToolError::new("the first attempt fails").into())
            }
        }
    });
    let is_done = Arc::new(parking_lot::Mutex::new(Some(is_done)));
    let wait = tool("wait", move |_, _| {
        go_on.notify_one();
        let is_done = is_done.lock().take().expect("it is called once");
        async move {
            is_done.await.expect("the late run ends");
            Ok(json!(null))
        }
    });
    let attempt = async |call: &'static str, tool: FnTool| {
        let flow = agent_flow(calling(vec![(call, json!({}))], "Done."), [tool]);
        let options = RunOptions::default().with_workflow_id("job-1");
        runtime.execute_with(&flow, "go", options).await.expect("it runs");
    };
    attempt("leave", leave).await;
    attempt("wait", wait).await;
    let events = history(&runtime).await;
    let expected = "\
invoke_workflow flow
  workflow_step agent
    invoke_agent agent
      chat scripted
      execute_tool leave
        invoke_workflow late
      chat scripted
invoke_workflow flow
  workflow_step agent
    invoke_agent agent
      chat scripted
      execute_tool wait
      chat scripted
";
    assert_eq!(Tree::of(&events).outline(), expected);
    assert_eq!(crate::support::Recording::new().replay(&events).tree(), expected);
}

/// What a reader sees of a start that it knows nothing else of: it places it by the ids.
#[tokio::test]
async fn a_parent_that_a_filter_keeps_away_leaves_the_place_to_the_ids() {
    let runtime = Runtime::new();
    let flow = agent_flow(replies_for_ever("Done."), []);
    runtime.execute(&flow, "go").await.expect("it runs");
    let events = history(&runtime).await;
    let without_steps = events.iter().filter(|event| event.scope != EventScope::WorkflowStep);
    let tree = Tree::of(without_steps).outline();
    assert_eq!(tree, "invoke_workflow flow\n  invoke_agent agent\n    chat scripted\n");
}

/// Each run's first request is refused, and its second has the answer; all four are open two by two under the same ids.
#[tokio::test(start_paused = true)]
async fn retried_requests_of_two_runs_at_once_keep_their_ends_and_tokens() {
    let runtime = Runtime::new();
    let run = async |tag: u64| {
        let overloaded = || ModelError::from(StatusError::new(503, "overloaded"));
        let model = ScriptedModel::new(format!("model_{tag}"))
            .with_reply(ScriptedReply::error(overloaded))
            .with_reply(ScriptedReply::text("Done.").with_usage(Usage::new(10 * tag, tag)));
        let agent = Agent::builder("agent", Arc::new(Yielding(Arc::new(model)))).with_max_retries(1).build();
        let flow = Workflow::new("flow").add_step(AgentStep::new(agent)).build();
        let options = RunOptions::default().with_workflow_id("request-1");
        runtime.execute_with(&flow, "go", options).await.expect("the second request has an answer");
    };
    tokio::join!(run(4), run(1));
    let events = history(&runtime).await;
    let tree = Tree::of(&events);
    let requests: Vec<_> = tree
        .iter()
        .filter(|(_, node)| node.scope() == EventScope::LlmRequest)
        .map(|(_, node)| (node.title(), node.status(), node.output_tokens()))
        .collect();
    let of_run =
        |model, tokens| [(model, ComponentStatus::Failed, None), (model, ComponentStatus::Completed, Some(tokens))];
    assert_eq!(requests, [of_run("chat model_4", 4), of_run("chat model_1", 1)].concat());
    let spans = crate::support::Recording::new().replay(&events);
    let tree = |model: &str| {
        format!("invoke_workflow flow\n  workflow_step agent\n    invoke_agent agent\n      {model}\n      {model}\n")
    };
    assert_eq!(spans.tree(), tree("chat model_4") + &tree("chat model_1"));
    let mut usage = UsageReport::new();
    usage.extend(&events);
    let of = |model: &str| usage.by_model(model).map(|sums| (sums.requests(), sums.failed(), sums.output_tokens()));
    assert_eq!((of("model_4"), of("model_1")), (Some((2, 1, 4)), Some((2, 1, 1))));
}
