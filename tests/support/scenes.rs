//! Workflows that several tests run.

use std::{sync::Arc, time::Duration};

use agent_runtime::{
    component::RunOptions,
    event::Usage,
    llm::{ChatRequest, ChatStream, ModelError, Role},
    prelude::*,
    testing::event_list,
};
use futures_util::StreamExt as _;
use tokio::sync::Barrier;
use tracing::instrument::WithSubscriber as _;

use super::{Recording, Spans, assert_balanced};

/// What a workflow's run returned.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) result: Result<RunOutput, RunError>,
    pub(crate) events: Vec<Event>,
    pub(crate) spans: Spans,
}

/// Runs a workflow under a new recording and checks what holds of every run.
pub(crate) async fn run(workflow: &Workflow, input: impl Into<JsonValue>) -> Ran {
    let recording = Recording::new();
    let runtime = Runtime::new();
    let result = runtime.execute(workflow, input).with_subscriber(recording.dispatch()).await;
    let events = history(&runtime).await;
    let spans = check_over(&recording, &events);
    Ran { result, events, spans }
}

/// Checks that the events balance, that no span is open and that each start has become one span. Returns the spans.
#[track_caller]
pub(crate) fn check_over(recording: &Recording, events: &[Event]) -> Spans {
    assert_balanced(events);
    assert_eq!(recording.mapper().open_spans(), 0, "spans are open after\n{}", event_list(events));
    let spans = recording.spans();
    spans.assert_well_formed();
    let is_start = |event: &&Event| event.event_type == EventType::Started && event.scope != EventScope::System;
    let started = events.iter().filter(is_start).count();
    assert_eq!(spans.len(), started, "{}\nfrom\n{}", spans.tree(), event_list(events));
    spans
}

/// A model that lets others go first before each piece of its answer, so that a run takes many polls.
#[derive(Debug)]
pub(crate) struct Yielding(pub(crate) Arc<dyn ChatModel>);

#[async_trait]
impl ChatModel for Yielding {
    fn provider(&self) -> &str {
        self.0.provider()
    }

    fn model(&self) -> &str {
        self.0.model()
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream, ModelError> {
        tokio::task::yield_now().await;
        let stream = self.0.stream(request).await?;
        let pause = |item| async {
            tokio::task::yield_now().await;
            item
        };
        Ok(stream.then(pause).boxed())
    }
}

/// A model that first asks for the given calls and, once it has their results, answers with a text.
pub(crate) fn calling(calls: Vec<(&'static str, JsonValue)>, answer: &'static str) -> Arc<dyn ChatModel> {
    Arc::new(ScriptedModel::answering(move |request| {
        let has_results = request.messages.last().is_some_and(|message| message.role == Role::Tool);
        if has_results { ScriptedReply::text(answer) } else { ScriptedReply::tool_calls(calls.clone()) }
    }))
}

/// A model that returns one reply after the other.
pub(crate) fn replies(replies: impl IntoIterator<Item = ScriptedReply>) -> Arc<dyn ChatModel> {
    Arc::new(replies.into_iter().fold(ScriptedModel::new("scripted"), ScriptedModel::with_reply))
}

/// A tool of an async function of its arguments.
pub(crate) fn tool<F, Fut>(name: &str, function: F) -> FnTool
where
    F: Fn(JsonValue, ProgressCallback) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<JsonValue, BoxError>> + Send + 'static,
{
    FnTool::new(name, "A tool of the tests.", json!({"type": "object"}), function)
}

/// A step that returns its input.
pub(crate) fn pass() -> TransformStep {
    TransformStep::new("pass", |input| async move { Ok::<_, ToolError>(input) })
}

/// An agent of the name `agent`, which asks once, as the only step of a workflow of the name `flow`.
pub(crate) fn agent_flow(model: Arc<dyn ChatModel>, tools: impl IntoIterator<Item = FnTool>) -> Workflow {
    let agent = Agent::builder("agent", model).with_tools(tools).with_max_retries(0);
    Workflow::new("flow").add_step(AgentStep::new(agent.build())).build()
}

/// A workflow with everything in it: a transform, an agent with two tools at once that report progress, a nested
/// workflow with an agent, and a last agent.
pub(crate) fn full_flow() -> Workflow {
    let slow = tool("slow", |args, progress| async move {
        for part in 1..=3 {
            tokio::task::yield_now().await;
            progress(format!("part {part}"), Some(part));
        }
        Ok(json!({"got": args}))
    });
    let quick = tool("quick", |_args, progress| async move {
        progress("at once".to_owned(), None);
        Ok(json!("done"))
    });
    let calls = vec![("slow", json!({"n": 1})), ("quick", json!({})), ("slow", json!({"n": 2}))];
    let worker = Agent::builder("worker", Arc::new(Yielding(calling(calls, "All three are done."))))
        .with_description("Has things done")
        .with_system_prompt("Have things done.")
        .with_tool(slow)
        .with_tool(quick)
        .build();
    let checker = Agent::builder("checker", replies_for_ever("It is right.")).build();
    let writer = Agent::builder("writer", replies_for_ever("Here is what was done.")).build();
    let check = Workflow::new("check").add_step(pass()).add_step(AgentStep::new(checker)).build();
    Workflow::new("full")
        .add_step(pass())
        .add_step(AgentStep::new(worker))
        .add_step(SubWorkflowStep::new(check))
        .add_step(AgentStep::new(writer).with_name("write"))
        .build()
}

/// The events of two runs at once, without a bridge, that share their id and the ids of all their components: while both
/// are in their tool `meet`, each reports progress, starts a run `inner_TAG` there and takes `TAG` times ten tokens and
/// answers with `TAG`. The tags are 4 and 1, and the tool of the second fails.
pub(crate) async fn two_runs_at_once() -> Vec<Event> {
    let (runtime, both) = (Runtime::new(), Arc::new(Barrier::new(2)));
    let flow = |tag: u64| {
        let (runtime, both) = (runtime.clone(), Arc::clone(&both));
        let meet = tool("meet", move |_, progress| {
            let (runtime, both) = (runtime.clone(), Arc::clone(&both));
            async move {
                both.wait().await;
                for part in 0..tag {
                    progress(format!("{tag} of {tag}"), Some(part));
                }
                runtime.execute(&Workflow::new(format!("inner_{tag}")).build(), "go").await?;
                both.wait().await;
                if tag == 4 { Ok(json!("met")) } else { Err(ToolError::new("missed").into()) }
            }
        });
        let model = ScriptedModel::new(format!("model_{tag}"))
            .with_reply(ScriptedReply::tool_calls([("meet", json!({}))]).with_usage(Usage::default()))
            .with_reply(ScriptedReply::text("Done.").with_usage(Usage::new(10 * tag, tag)));
        agent_flow(Arc::new(Yielding(Arc::new(model))), [meet])
    };
    let run = async |flow: Workflow| {
        let options = RunOptions::default().with_workflow_id("request-1");
        runtime.execute_with(&flow, "go", options).await.expect("the run succeeds");
    };
    tokio::join!(run(flow(4)), run(flow(1)));
    history(&runtime).await
}

/// A model that returns the same answer to every request.
pub(crate) fn replies_for_ever(answer: &'static str) -> Arc<dyn ChatModel> {
    Arc::new(ScriptedModel::answering(move |_| ScriptedReply::text(answer)))
}

/// The tree of the spans of [`full_flow`].
pub(crate) const FULL_TREE: &str = "\
invoke_workflow full
  workflow_step pass
  workflow_step worker
    invoke_agent worker
      chat scripted
      execute_tool slow
      execute_tool quick
      execute_tool slow
      chat scripted
  workflow_step check
    invoke_workflow check
      workflow_step pass
      workflow_step checker
        invoke_agent checker
          chat scripted
  workflow_step write
    invoke_agent writer
      chat scripted
";

/// All events of a runtime's stream so far.
pub(crate) async fn history(runtime: &Runtime) -> Vec<Event> {
    runtime.event_stream().get_events(0).await
}

/// The events, each as `type component`.
pub(crate) fn story(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| format!("{} {}", event.event_type, event.component_id)).collect()
}

/// Waits until a condition holds, and fails if it does not within half a minute.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not come about");
}
