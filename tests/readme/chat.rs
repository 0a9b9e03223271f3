//! README's main program against a server that speaks OpenAI's chat API: tokens as they come, an end with its run, and what
//! does not get in its way.

use std::{path::Path, process::Stdio};

use agent_runtime::prelude::*;

use super::support::{
    HttpReply, ScriptedServer,
    process::{Finished, example, isolate, run_example},
    running::Running,
    scripted_server::chat_events,
    sink::Sink,
};

const PIECES: [&str; 3] = ["It is ", "half past ", "nine."];

fn model(server: &ScriptedServer) -> [(&'static str, String); 2] {
    [("OPENAI_BASE_URL", server.base_url()), ("OPENAI_MODEL", "scripted-model".to_owned())]
}

fn borrowed<'a>(variables: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    variables.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// A server whose model asks for the tool, is told its result and then answers.
async fn answering() -> ScriptedServer {
    ScriptedServer::answering(|_, request| {
        let messages = request.body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        match messages.last() {
            Some(last) if last["role"] == "tool" && last["content"] == "half past nine" => HttpReply::chat(&PIECES),
            _ => HttpReply::tool_calls(&[("call_1", "clock", json!({}))]),
        }
    })
    .await
}

async fn run(variables: Vec<(&'static str, String)>) -> Finished {
    tokio::task::spawn_blocking(move || run_example("chat", &[], &borrowed(&variables))).await.expect("it is joined")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_run_prints_its_whole_answer_and_ends() {
    let server = answering().await;
    for _ in 0..30 {
        let finished = run(model(&server).to_vec()).await;
        assert!(finished.success, "{finished:#?}");
        assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("It is half past nine.\n", ""));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_word_is_on_the_screen_while_the_next_is_still_to_come() {
    let first = json!({"choices": [{"index": 0, "delta": {"content": "It is "}, "finish_reason": null}]});
    let hanging = HttpReply::events().then(format!("data: {first}\n\n")).then_hang();
    let server = ScriptedServer::start([hanging]).await;
    let variables = model(&server);
    let read = tokio::task::spawn_blocking(move || Running::start("chat", &[], &borrowed(&variables)).wrote("It is "));
    read.await.expect("the word is read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_gets_the_trace_and_a_missing_one_costs_a_line() {
    let (server, sink) = (answering().await, Sink::http());
    let with = |url: String| [model(&server).to_vec(), vec![("OTEL_EXPORTER_OTLP_ENDPOINT", url)]].concat();
    let finished = run(with(sink.url())).await;
    assert!(finished.success && finished.stderr.is_empty(), "{finished:#?}");
    let tree = "\
invoke_workflow chat
  workflow_step assistant
    invoke_agent assistant
      chat scripted-model
      execute_tool clock
      chat scripted-model
";
    assert_eq!(sink.spans().tree(), tree);

    let finished = run(with(format!("http://{}", Sink::closed()))).await;
    assert!(finished.success, "{finished:#?}");
    assert_eq!(finished.stdout, "It is half past nine.\n");
    assert!(finished.stderr.starts_with("6 of 6 spans did not arrive"), "{}", finished.stderr);
    assert!(!finished.stderr.contains('{'), "a sentence: {}", finished.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_screen_that_stands_still_costs_words_and_neither_the_run_nor_its_end() {
    let words = (0..3 * EventStream::DEFAULT_CAPACITY).map(|_| json!({"content": "a word or two "}));
    let call = json!({"tool_calls": [{
        "index": 0, "id": "call_1", "type": "function", "function": {"name": "clock", "arguments": "{}"},
    }]});
    let long = HttpReply::events().then(chat_events(words.chain([call]), "tool_calls"));
    let server = ScriptedServer::start([long, HttpReply::chat(&PIECES)]).await;
    let mut command = example("chat", &[]);
    let variables = model(&server);
    isolate(&mut command, &[&*borrowed(&variables), &[("TOKIO_WORKER_THREADS", "2")]].concat());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    // The pipe is full long before the first answer is over, and nobody reads it. The run goes on and asks again.
    server.requested(2).await;
    let output =
        tokio::task::spawn_blocking(|| child.wait_with_output()).await.expect("it is joined").expect("it ends");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stderr}");
    assert!(stdout.ends_with("It is half past nine.\n"), "{} bytes", stdout.len());
    assert!(stderr.contains("events were dropped before they were read"), "{stderr}");
}

#[test]
fn without_a_model_it_says_which_variable_is_missing() {
    let finished = run_example("chat", &[], &[]);
    assert!(!finished.success);
    assert!(finished.stderr.contains("OPENAI_"), "{finished:#?}");
}

#[test]
fn it_is_the_program_in_the_readme() {
    super::text::assert_quoted(Path::new("examples/chat.rs"));
}
