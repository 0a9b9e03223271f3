//! A run with a canary in every place where content can be: by default none of them leaves the process.

use std::{sync::Arc, time::Duration};

use agent_runtime::{
    llm::OpenAiClient,
    otel::{ContentCapture, PatternRedactor},
    prelude::*,
};
use serde::Deserialize;

use super::{ContentPolicy, Export};
use crate::support::{HttpReply, ScriptedServer};

const KEY: &str = "sk-canary-key-0123456789abcdef";

const CONTENT: [&str; 6] = [
    "canary of the system prompt",
    "canary of the prompt",
    "canary of the answer",
    "canary of the arguments",
    "canary of the result",
    "canary of a refused question",
];

#[derive(Deserialize)]
struct Arguments {
    #[expect(dead_code, reason = "only read, to fail")]
    count: u32,
}

/// Answers so that every path is taken: a tool that succeeds, twice alike; one that fails over what it got; one that
/// does not exist; arguments that are no JSON; then the answer.
fn reply(number: usize) -> HttpReply {
    let [_, _, answer, arguments, ..] = CONTENT;
    let lookup = json!({"account": arguments});
    match number {
        0 | 1 => HttpReply::tool_calls(&[("c1", "lookup", lookup)]),
        2 => HttpReply::tool_calls(&[
            ("c2", "count", json!({"count": arguments})),
            ("c3", "there_is_none", json!({"account": arguments})),
            ("c4", "lookup", json!(format!("{arguments} are no object"))),
        ]),
        _ => HttpReply::chat(&[&answer[..9], &answer[9..]]),
    }
}

async fn run_all(export: &Export) {
    let [system, prompt, answer, _, result, refused] = CONTENT;
    let server = ScriptedServer::answering(|number, _| reply(number)).await;
    let lookup = FnTool::new("lookup", "Looks things up.", json!({"type": "object"}), move |_, progress| async move {
        progress("half way".to_owned(), Some(1));
        Ok(json!({"found": result}))
    });
    let count = FnTool::new("count", "Counts.", json!({"type": "object"}), |args, _| async move {
        let Arguments { .. } = serde_json::from_value(args)?;
        Ok(json!(0))
    });
    let agent = |server: &ScriptedServer| {
        let model = OpenAiClient::builder("m").with_base_url(server.base_url()).with_api_key(KEY).build();
        let model = model.expect("the settings are right");
        let agent = Agent::builder("helper", Arc::new(model)).with_system_prompt(system);
        AgentStep::new(agent.with_tool(lookup.clone()).with_tool(count.clone()).build())
    };
    let workflow = Workflow::new("flow").add_step(agent(&server)).build();
    export.runtime().execute(&workflow, prompt).await.expect("the model answers");

    // Servers that send back what they were asked, or half an answer, and a run that is given up amid the answer.
    let echo = json!({"detail": [{"loc": ["body"], "input": {"messages": [refused]}, "key": KEY}]});
    let broken = format!("data: {{\"choices\": \"{answer}\"}}\n\n");
    for reply in [HttpReply::json(422, &echo), HttpReply::events().then(broken)] {
        let server = ScriptedServer::start([reply]).await;
        let workflow = Workflow::new("refused").add_step(agent(&server)).build();
        export.runtime().execute(&workflow, refused).await.expect_err("the model refuses");
    }
    let delta = format!("data: {{\"choices\": [{{\"delta\": {{\"content\": \"{answer}\"}}}}]}}\n\n");
    let server = ScriptedServer::start([HttpReply::events().then(delta).then_hang()]).await;
    let workflow = Workflow::new("given_up").add_step(agent(&server)).build();
    let mut chunks = export.stream.subscribe().filter(EventScope::LlmRequest).filter_type(EventType::Progress);
    let runtime = export.runtime();
    let run = runtime.execute(&workflow, prompt);
    tokio::select! {
        _ = run => panic!("the server hangs"),
        chunk = chunks.recv() => drop(chunk.expect("the stream is open")),
        () = tokio::time::sleep(Duration::from_secs(30)) => panic!("no chunk came"),
    }
}

#[tokio::test]
async fn by_default_nothing_of_a_run_is_exported() {
    let export = Export::with(ContentPolicy::default());
    run_all(&export).await;
    let exported = export.exported();
    for canary in CONTENT.into_iter().chain([KEY, "canary"]) {
        assert!(!exported.contains(canary), "{canary}: {}", around(&exported, canary));
    }
    assert!(export.logs().is_empty());
    // The runs were not quiet for want of anything to say.
    for name in
        ["execute_tool lookup", "tool_loop_detection", "unknown_tool", "invalid_response", "canceled", "half way"]
    {
        assert!(exported.contains(name), "{name} is missing");
    }
}

#[tokio::test]
async fn with_capture_all_of_it_is_exported_but_the_key() {
    let export = Export::capturing(ContentCapture::SpanAndEvent);
    run_all(&export).await;
    let exported = export.exported();
    for canary in CONTENT {
        assert!(exported.contains(canary), "{canary} is missing");
    }
    assert!(!exported.contains(KEY), "{}", around(&exported, KEY));
    assert!(!export.logs().is_empty());
}

#[tokio::test]
async fn a_key_in_the_prompt_is_redacted() {
    let policy = ContentPolicy::default().with_capture(ContentCapture::SpanAndEvent);
    let export = Export::with(policy.with_redactor(PatternRedactor::new()));
    let model = Arc::new(ScriptedModel::answering(|request| {
        ScriptedReply::text(format!("you said {}", request.messages[0].content))
    }));
    let workflow = Workflow::new("flow").add_step(AgentStep::new(Agent::builder("parrot", model).build())).build();
    export.runtime().execute(&workflow, format!("my key is {KEY}")).await.unwrap();
    let exported = export.exported();
    assert!(!exported.contains(KEY), "{}", around(&exported, KEY));
    assert!(exported.contains("my key is [redacted:api_key]"));
    assert!(exported.contains("you said my key is [redacted:api_key]"));
}

fn around<'a>(text: &'a str, needle: &str) -> &'a str {
    let Some(at) = text.find(needle) else { return "" };
    &text[text.floor_char_boundary(at.saturating_sub(200))..text.floor_char_boundary(at + 100)]
}
