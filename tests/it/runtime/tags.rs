//! A run's tags are in all its events' data, and in all of what is nested in it.

use std::{borrow::Cow, sync::Arc};

use agent_runtime::{
    component::{Run, RunOptions},
    event::EventError,
    otel::{ContentPolicy, Redactor},
    prelude::*,
};
use tracing::instrument::WithSubscriber as _;

use crate::support::{Recording, agent_flow, calling, check_over, full_flow, history, spans, tool};

#[tokio::test(start_paused = true)]
async fn every_event_of_the_run_and_of_what_is_nested_in_it_has_its_tags() {
    let runtime = Runtime::new();
    let options = RunOptions::default().with_tag("production").with_tags(["user:17", "production"]);
    runtime.execute_with(&full_flow(), "go", options).await.expect("it succeeds");
    let events = history(&runtime).await;
    assert!(events.iter().any(|event| event.parent_workflow_id.is_some()), "one run is nested");
    for event in &events {
        assert_eq!(event.data["tags"], json!(["production", "user:17"]), "{} {}", event.event_type, event.component_id);
        assert_eq!(event.data.tags(), Some(vec!["production", "user:17"]));
        assert_eq!(&Event::from_json(&serde_json::to_string(event).unwrap()).unwrap(), event);
    }
    // What an event says otherwise is as it would be without.
    let untagged = Runtime::new();
    untagged.execute(&full_flow(), "go").await.expect("it succeeds");
    for (with, without) in events.iter().zip(history(&untagged).await) {
        let mut fields = with.data.as_object().expect("an object").clone();
        fields.remove("tags");
        fields.remove("duration_ms");
        let mut expected = without.data.as_object().expect("an object").clone();
        expected.remove("duration_ms");
        assert_eq!((fields, with.data.chunk_text()), (expected, without.data.chunk_text()), "{}", with.component_id);
    }
}

#[tokio::test]
async fn a_run_that_a_tool_starts_has_the_tags_around_it_before_its_own() {
    let runtime = Runtime::new();
    let inner = Workflow::new("inner").build();
    let starts = tool("starts", {
        let runtime = runtime.clone();
        move |_, _| {
            let (runtime, inner) = (runtime.clone(), inner.clone());
            async move {
                let options = RunOptions::default().with_tag("own").with_tag("outer");
                runtime.execute_with(&inner, 1, options).await?;
                Ok(json!(Run::current().expect("a tool is in a run").tags()))
            }
        }
    });
    let workflow = agent_flow(calling(vec![("starts", json!({}))], "Done."), [starts]);
    runtime.execute_with(&workflow, "go", RunOptions::default().with_tag("outer")).await.expect("it succeeds");
    let events = history(&runtime).await;
    let inner = events.iter().find(|event| event.component_id == "inner").expect("it ran");
    assert_eq!(inner.data.tags(), Some(vec!["outer", "own"]));
    let ended = events.iter().find(|event| event.data.result().is_some()).expect("the tool ended");
    assert_eq!(ended.data["result"], json!(["outer"]));
}

#[tokio::test(start_paused = true)]
async fn merged_chunks_keep_the_tags_and_repeat_nothing() {
    let runtime = Runtime::new();
    let mut events = runtime.event_stream().subscribe().batched(BatchWindow::default());
    let model = Arc::new(ScriptedModel::answering(|_| ScriptedReply::text("one two three")));
    let options = RunOptions::default().with_tag("t");
    runtime.execute_with(&agent_flow(model, []), "go", options).await.expect("it succeeds");
    drop(runtime);
    while let Ok(event) = events.recv().await {
        if event.event_type == EventType::Progress {
            assert_eq!(event.data["chunk"], "one two three");
            assert_eq!((event.data.tags(), event.data.get("updates")), (Some(vec!["t"]), None));
        }
    }
}

#[tokio::test]
async fn a_tag_that_cannot_be_one_fails_the_run_before_its_first_event() {
    let long = "x".repeat(257);
    for bad in ["", " ", "a\nb", "padded ", &long] {
        let runtime = Runtime::new();
        let options = RunOptions::default().with_tag("good").with_tag(bad);
        let error = runtime.execute_with(&full_flow(), 1, options).await.expect_err("a bad tag");
        assert!(matches!(&error, RunError::InvalidName(EventError::Tag { tag, .. }) if tag == bad), "{error:?}");
        assert_eq!(runtime.event_stream().next_offset(), 0);
    }
    let numbered = |count: usize| RunOptions::default().with_tags((0..count).map(|number| number.to_string()));
    let run = async |count| Runtime::new().execute_with(&full_flow(), 1, numbered(count)).await;
    assert!(run(RunOptions::MAX_TAGS).await.is_ok());
    let error = run(RunOptions::MAX_TAGS + 1).await.expect_err("one too many");
    assert!(matches!(error, RunError::InvalidName(EventError::TooManyTags { count: 33, limit: 32, .. })), "{error:?}");
}

#[derive(Debug)]
struct NoUser;

impl Redactor for NoUser {
    fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        text.replace("user:17", "[gone]").into()
    }
}

#[tokio::test]
async fn the_spans_of_workflows_have_the_tags_and_those_pass_the_redactor() {
    let recording =
        Recording::with_mapper(|mapper| mapper.with_content(ContentPolicy::default().with_redactor(NoUser)));
    let runtime = Runtime::new();
    let options = RunOptions::default().with_tags(["production", "user:17"]);
    let workflow = full_flow();
    let run = runtime.execute_with(&workflow, "go", options).with_subscriber(recording.dispatch());
    run.await.expect("it succeeds");
    let spans = check_over(&recording, &history(&runtime).await);
    for span in spans.iter() {
        let is_of_workflow = span.name.starts_with("invoke_workflow");
        let expected = if is_of_workflow { json!(["production", "[gone]"]) } else { JsonValue::Null };
        assert_eq!(spans::attribute(span, "agent_runtime.workflow.tags"), expected, "{}", span.name);
    }
}
