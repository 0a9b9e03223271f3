//! Runs in which everything happens that has a metric: success, failure, cancellation, parallel tools, a nested workflow,
//! a tool that the model made up, a repetition, an event from elsewhere.

use std::{sync::Arc, time::Duration};

use agent_runtime::{event::Usage, llm::ModelError, prelude::*};

use super::harness::Metered;

pub(super) const MS: Duration = Duration::from_millis(1);

/// Something that no label may hold.
pub(super) const SECRET: &str = "hunter2";

/// Runs all of it, one after the other.
pub(super) async fn run_all(metered: &Metered) {
    let run = metered.runtime.execute(&report(), format!("What about {SECRET}?")).await;
    assert!(run.is_ok(), "{run:?}");
    let failed = metered.runtime.execute(&broken(), SECRET).await;
    assert!(failed.is_err(), "{failed:?}");
    let canceled = tokio::time::timeout(MS * 100, async { metered.runtime.execute(&endless(), SECRET).await }).await;
    assert!(canceled.is_err(), "{canceled:?}");
    from_elsewhere(metered);
}

/// An agent with tools at once, one of which fails and one of which is not there, then a nested workflow.
fn report() -> Workflow {
    let lookup = [
        ("slow", json!({"of": SECRET})),
        ("fast", json!({"of": SECRET})),
        ("failing", json!({"of": SECRET})),
        (SECRET, json!({})),
    ];
    let usage = Usage::new(100, 7).with_cached_tokens(60).with_cache_write_tokens(11).with_reasoning_tokens(3);
    let model: Arc<dyn ChatModel> = Arc::new(
        ScriptedModel::new("model-1")
            .with_reply(ScriptedReply::tool_calls(lookup.clone()).with_delay(MS * 5))
            .with_reply(ScriptedReply::tool_calls(lookup.into_iter().skip(1).take(1)))
            .with_reply(ScriptedReply::text(format!("it is {SECRET} as we know")).with_delay(MS * 10).with_usage(usage))
            .with_reply(ScriptedReply::text("all of it is right").with_delay(MS * 20)),
    );
    let slow = FnTool::new("slow", "Takes its time.", json!({}), |_args, _progress| async {
        tokio::time::sleep(MS * 120).await;
        Ok(json!(SECRET))
    });
    let fast = FnTool::new("fast", "Is quick.", json!({}), |_args, progress| async move {
        tokio::time::sleep(MS * 10).await;
        progress(format!("found {SECRET}"), Some(1));
        Ok(json!(SECRET))
    });
    let failing = FnTool::new("failing", "Fails.", json!({}), |_args, _progress| async {
        tokio::time::sleep(MS * 30).await;
        Err(ToolError::with_code(format!("no {SECRET}"), "ARCHIVE_CLOSED").into())
    });
    let researcher = Agent::builder("researcher", Arc::clone(&model))
        .with_description(SECRET)
        .with_system_prompt(SECRET)
        .with_tool(slow)
        .with_tool(fast)
        .with_tool(failing)
        .build();
    let check = Workflow::new("check").add_step(AgentStep::new(Agent::builder("checker", model).build())).build();
    Workflow::new("report")
        .add_step(TransformStep::new("tidy", |text: JsonValue| async move { Ok::<_, ToolError>(text) }))
        .add_step(AgentStep::new(researcher))
        .add_step(SubWorkflowStep::new(check))
        .build()
}

/// A model that breaks off amid its answer.
fn broken() -> Workflow {
    let cut = || ModelError::StreamInterrupted;
    let reply = ScriptedReply::text("one two three four").with_delay(MS * 10).then_error(2, cut);
    agent_alone("broken", "unlucky", reply)
}

/// A model that never ends.
fn endless() -> Workflow {
    agent_alone("endless", "patient", ScriptedReply::text("one two three").with_delay(MS * 10).then_pending(3))
}

pub(super) fn agent_alone(workflow: &str, agent: &str, reply: ScriptedReply) -> Workflow {
    let model = Arc::new(ScriptedModel::new("model-2").with_reply(reply));
    Workflow::new(workflow).add_step(AgentStep::new(Agent::builder(agent, model).build())).build()
}

/// What another producer appends to the same stream: a request to a server, failed after its usage was told.
fn from_elsewhere(metered: &Metered) {
    let id = || Some("elsewhere-1".to_owned());
    let started = json!({
        "model": "model-3", "provider": "openai", "server_address": "api.example.com", "server_port": 443,
        "stream": true, "messages": [{"role": "user", "content": SECRET}],
    });
    let ended = json!({"error_code": "timeout", "usage": {"prompt_tokens": 20, "completion_tokens": 1}});
    for event in [
        Event::llm_started("visitor:llm:0", id(), None, started),
        Event::llm_failed("visitor:llm:0", SECRET, id(), None, ended),
    ] {
        metered.runtime.event_stream().append(event).expect("a valid event");
    }
}
