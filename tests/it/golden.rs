//! Recordings: with one seed a run gives the same spans, to the byte.

use std::{sync::Arc, time::Duration};

use agent_runtime::{
    llm::ChatModel,
    prelude::*,
    testing::{Recorder, assert_balanced},
};

#[tokio::test(start_paused = true)]
async fn a_recorded_run_is_compared_as_a_whole() {
    let (recorder, _) = record(1).await;
    assert_balanced(&recorder.events().await);
    let expected = "\
invoke_workflow report 320ms
  workflow_step tidy 0ns
  workflow_step researcher 210ms
    invoke_agent researcher 210ms [agent_runtime.progress]
      chat script 30ms gen_ai.usage.output_tokens=4
      execute_tool slow 120ms [exception] ERROR \"the archive is closed\"
      execute_tool fast 30ms [agent_runtime.progress]
      chat script 60ms gen_ai.usage.output_tokens=6 [agent_runtime.llm.chunk, agent_runtime.llm.chunk]
  workflow_step check 110ms
    invoke_workflow check 110ms
      workflow_step checker 110ms
        invoke_agent checker 110ms
          chat script 110ms gen_ai.usage.output_tokens=11 [agent_runtime.llm.chunk, agent_runtime.llm.chunk, agent_runtime.llm.chunk]
";
    assert_eq!(recorder.span_tree(&["gen_ai.usage.output_tokens"]), expected);
}

#[tokio::test(start_paused = true)]
async fn one_seed_gives_identical_bytes_and_another_gives_others() {
    let ((first, first_events), (second, second_events)) = (record(7).await, record(7).await);
    let json = first.otlp_json().unwrap();
    assert!(json.contains("invoke_workflow report"), "{json}");
    assert_eq!(json, second.otlp_json().unwrap());
    assert_eq!(first_events, second_events);

    let (other, _) = record(8).await;
    assert_ne!(json, other.otlp_json().unwrap());
    assert_eq!(first.span_tree(&[]), other.span_tree(&[]), "a seed changes ids, not what happens");
}

/// A run with tools in parallel, one of which fails, and a nested workflow; and its events as JSON.
async fn record(seed: u64) -> (Recorder, String) {
    let recorder = Recorder::new(seed);
    let run = recorder.runtime().execute(&workflow(), "  the question ").await.expect("the run succeeds");
    assert_eq!(run.output, "all of it is right, as far as one can see");
    let events = serde_json::to_string(&recorder.events().await).expect("events have a JSON form");
    (recorder, events)
}

fn workflow() -> Workflow {
    let model: Arc<dyn ChatModel> = Arc::new(
        ScriptedModel::new("script")
            .with_reply(ScriptedReply::tool_calls([("slow", json!({})), ("fast", json!({}))]).with_delay(MS * 5))
            .with_reply(ScriptedReply::text("this much was to be found").with_delay(MS * 10))
            .with_reply(ScriptedReply::text("all of it is right, as far as one can see").with_delay(MS * 10)),
    );
    let slow = FnTool::new("slow", "Takes its time.", json!({}), |_args, _progress| async {
        tokio::time::sleep(MS * 120).await;
        Err(ToolError::with_code("the archive is closed", "ARCHIVE_CLOSED").into())
    });
    let fast = FnTool::new("fast", "Is quick.", json!({}), |_args, progress| async move {
        for n in 1..=3 {
            tokio::time::sleep(MS * 10).await;
            progress(format!("{n} of 3"), Some(n));
        }
        Ok(json!(42))
    });
    let researcher = Agent::builder("researcher", Arc::clone(&model)).with_tool(slow).with_tool(fast).build();
    let check = Workflow::new("check").add_step(AgentStep::new(Agent::builder("checker", model).build())).build();
    Workflow::new("report")
        .add_step(TransformStep::new("tidy", |text: JsonValue| async move {
            Ok::<_, ToolError>(json!(text.as_str().unwrap_or_default().trim()))
        }))
        .add_step(AgentStep::new(researcher))
        .add_step(SubWorkflowStep::new(check))
        .build()
}

const MS: Duration = Duration::from_millis(1);
