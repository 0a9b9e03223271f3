//! Errors in other wrappings, after the last word, and secrets of the set-up.

use std::time::Duration;

use agent_runtime::prelude::*;
use futures_util::FutureExt as _;

use super::notation::{DONE, call, calls, event, last, refusal, reply, said, text};
use super::{Case, SECRET, check};
use crate::support::HttpReply;

/// Each error is asked for once.
fn once(case: Case) -> Case {
    case.agent(|agent| agent.with_max_retries(0))
}

#[tokio::test]
async fn an_error_is_an_error_in_whatever_wrapping() {
    let so = || said("So");
    let array = r#"[{"error":{"code":503,"message":"The model is overloaded."}}]"#;
    let bare = r#"{"error":{"code":"prohibited_content","message":"Blocked by the filter."}}"#;
    let beside =
        r#"{"error":{"code":502,"message":"Provider disconnected"},"choices":[{"index":0,"delta":{"content":""}}]}"#;
    let inside =
        r#"{"choices":[{"index":0,"delta":{},"error":{"code":502,"message":"Gone"},"finish_reason":"error"}]}"#;
    let page = "<html><title>529 Overloaded</title></html>";
    let overloaded = || HttpReply::status(529).with_header("content-type", "text/html").then(page);
    let kept: fn(&super::Done) = |done| {
        let failed = done.events(EventScope::LlmRequest, EventType::Failed)[0];
        assert_eq!(failed.data.response(), Some("So"), "{}", done.id);
        assert!(failed.message.as_ref().is_some_and(|message| !message.contains("{\"error\"")), "{}", done.id);
    };
    check([
        Case::new("M40", so() + &event(array) + DONE).fails("server_error", "The model is overloaded.").also(kept),
        Case::new("M41", so() + bare).fails("server_error", "Blocked by the filter.").also(kept),
        Case::new("M41, over several lines", so() + "{\n  \"error\": {\n    \"message\": \"Blocked.\"\n  }\n}\n")
            .fails("server_error", "Blocked.")
            .also(kept),
        Case::new("M42", so() + &event(beside)).fails("server_error", "Provider disconnected").also(kept),
        Case::new("M42, inside of the choice", so() + &event(inside)).fails("server_error", "Gone").also(kept),
        Case::new("M42, after the finish reason", so() + &last(json!({}), "stop") + &event(array) + DONE)
            .fails("server_error", "The model is overloaded."),
        Case::new("M42, a code and a sentence", so() + &event(r#"{"code":401,"msg":"No such key","data":null}"#))
            .fails("authentication", "No such key"),
        Case::new("M42, no object", so() + &event(r#"{"error":true,"message":"Too many of them"}"#))
            .fails("server_error", "Too many of them"),
        Case::new("M42, a detail alone", so() + &event(r#"{"detail":"Too long"}"#)).fails("server_error", "Too long"),
        once(Case::replying("M43", vec![overloaded()])).fails("server_error", "answered 529").asks(1).also(|done| {
            assert!(done.error.as_ref().is_some_and(RunError::is_retryable));
            assert!(done.spans.iter().all(|span| crate::support::spans::outcome(span).starts_with("error")));
        }),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_the_answer_is_whole_the_run_goes_on() {
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}"#;
    let yes = last(json!({"content": "Yes."}), "stop");
    let rounds = |pause: Duration| {
        move |number: usize, _: &crate::support::RecordedRequest| {
            let calling = || calls(&[call(0, "a", "look", &format!("{{\"n\":{number}}}"))]);
            let body = if number < 4 { calling() } else { text("Done.") };
            reply(body).with_keep_alive().then_pause(pause)
        }
    };
    let one_connection: fn(&super::Done) = |done| assert_eq!(done.connections, 1, "{}", done.id);
    let chatter = (0..200).fold(HttpReply::events(), |reply, _| {
        reply.then(": OPENROUTER PROCESSING\n\n").then_pause(Duration::from_millis(50))
    });
    let trailing =
        (0..1000).fold(reply(&*yes), |reply, _| reply.then(": still here\n\n").then_pause(Duration::from_millis(50)));
    check([
        Case::replying("M29", vec![reply(&*yes).then_hang()]).answers("Yes."),
        Case::replying("M29, signs of life for ever", vec![trailing]).answers("Yes."),
        Case::replying("M29, silence behind [DONE]", vec![reply(text("Yes.")).then_hang()]).answers("Yes."),
        Case::serving("M30, at once", rounds(Duration::ZERO)).asks(5).also(one_connection),
        Case::serving("M30, after 5 ms", rounds(Duration::from_millis(5))).asks(5).also(one_connection),
        Case::new("M31", yes + &event(usage) + DONE).answers("Yes.").also(|done| {
            assert_eq!(done.request_attribute(0, "gen_ai.usage.output_tokens"), 2);
        }),
        Case::replying("M32", vec![chatter]).canceled_after(Duration::from_millis(800)).also(|done| {
            let ends = done.events.iter().filter(|event| event.event_type == EventType::Canceled);
            let ends: Vec<_> = ends.map(|event| event.scope).collect();
            let inside_out =
                [EventScope::LlmRequest, EventScope::Agent, EventScope::WorkflowStep, EventScope::Workflow];
            assert_eq!(ends, inside_out);
        }),
    ])
    .await;
}

#[tokio::test]
async fn a_secret_of_the_set_up_is_shown_nowhere() {
    let told = |message: String| move |_: usize, _: &crate::support::RecordedRequest| refusal(404, &message);
    let in_url = format!("Unknown request URL: POST /v1/chat/completions?api-key={SECRET}");
    let in_stream = reply(said("So") + &event(&format!("{{\"error\":\"bad key {SECRET}\"}}")));
    let in_model =
        text("Yes.").replace("\"m-1\"", &format!("\"{SECRET}\"")).replace("\"c1\"", &format!("\"{SECRET}\""));
    check([
        Case::serving("M33", told(in_url)).at("/v1?api-key=hush-hush").fails("not_found", "api-key=[redacted]"),
        Case::serving("M33, encoded", told("bad key hush%2Dhush or hush-hush".to_owned()))
            .at("/v1?api-key=hush%2Dhush")
            .fails("not_found", "bad key [redacted] or [redacted]"),
        Case::serving("M34", told(format!("bad key {SECRET}")))
            .client(|client| client.with_api_key(SECRET))
            .fails("not_found", "bad key [redacted]"),
        Case::serving("M34, a header", told(format!("bad key {SECRET}")))
            .client(|client| client.with_header("api-key", SECRET))
            .fails("not_found", "bad key [redacted]"),
        Case::serving("M34, a parameter", told(format!("bad key {SECRET}")))
            .client(|client| client.with_query("key", SECRET))
            .fails("not_found", "bad key [redacted]"),
        Case::replying("M34, in the stream", vec![in_stream])
            .client(|client| client.with_api_key(SECRET))
            .fails("server_error", "bad key [redacted]"),
        Case::replying("M34, in the description", vec![reply(in_model)])
            .client(|client| client.with_api_key(SECRET))
            .answers("Yes."),
        Case::replying("M34, as a page", vec![HttpReply::status(200).then(format!("<html>{SECRET}</html>"))])
            .client(|client| client.with_api_key(SECRET))
            .fails("invalid_response", "[redacted]"),
        Case::new("M35", text("Yes.")).at("/openai/deployments/gpt-4o?api-version=2024-06-01").answers("Yes.").also(
            |done| {
                let target = "POST /openai/deployments/gpt-4o/chat/completions?api-version=2024-06-01";
                assert_eq!(done.requests[0].target, target);
            },
        ),
        Case::serving("M35, repeated", told("no version 2024-06-01".to_owned()))
            .at("/v1?api-version=2024-06-01")
            .fails("not_found", "no version 2024-06-01"),
    ])
    .await;
}

#[tokio::test]
async fn an_answer_that_is_polled_after_its_end_stays_ended() {
    use agent_runtime::llm::{ChatMessage, ChatModel, ChatRequest, OpenAiClient};
    use futures_util::StreamExt as _;

    let server = crate::support::ScriptedServer::start([reply(text("Yes.")), reply(said("So"))]).await;
    let client = OpenAiClient::builder("m").with_base_url(server.base_url()).build().unwrap();
    for _ in 0..2 {
        let mut answer = client.stream(ChatRequest::new([ChatMessage::user("go")])).await.unwrap();
        while answer.next().await.is_some() {}
        assert!(answer.next().now_or_never().expect("it does not wait").is_none());
    }
}
