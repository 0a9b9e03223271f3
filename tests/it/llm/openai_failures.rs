//! The OpenAI client with a server that refuses, interrupts its answer, falls silent or talks nonsense.

use std::time::Duration;

use agent_runtime::llm::{ChatModel, ModelError, OpenAiClient};
use serde_json::json;
use tokio::net::TcpListener;

use super::{Answer, read, request};
use crate::support::{HttpReply, ScriptedServer};

const KEY: &str = "sk-do-not-tell";
const TEXT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"so far\"}}]}\n\n";

/// Asks with a key and checks that no error shows it, whatever the server sends back.
async fn ask(base_url: String, read_timeout: Duration) -> Answer {
    let client = OpenAiClient::builder("m")
        .with_base_url(base_url)
        .with_api_key(KEY)
        .with_read_timeout(read_timeout)
        .build()
        .expect("the settings are right");
    let answer = read(client.stream(request("hi")).await).await;
    let error = answer.error.as_ref().expect("the server fails");
    let mut shown = format!("{client:?} {error:?}");
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        shown += &format!(" {error}");
        cause = error.source();
    }
    assert!(!shown.contains(KEY), "{shown}");
    answer
}

async fn ask_server(reply: HttpReply) -> Answer {
    let server = ScriptedServer::start([reply]).await;
    ask(server.base_url(), Duration::from_secs(30)).await
}

#[tokio::test]
async fn refusals_keep_what_the_provider_said() {
    let page = format!("<html><body>{}</body></html>", "no ".repeat(200));
    let page_start = format!("{}…", &page[..300]);
    let huge = "x".repeat(OpenAiClient::MAX_ERROR_BODY_BYTES * 4);
    let huge_start = format!("{}…", &huge[..300]);
    let bad_key = json!({"error": {"message": format!("Bad key {KEY}."), "type": "auth", "code": "invalid_api_key"}});
    let slow_down = json!({"error": {"message": "Slow down", "type": "rate_limit", "code": null}});
    let second = Some(Duration::from_secs(1));
    let refused = HttpReply::status;
    for (reply, status, code, message, retry_after) in [
        (HttpReply::json(401, &bad_key), 401, Some("invalid_api_key"), "Bad key [redacted].", None),
        (
            HttpReply::json(429, &slow_down).with_header("retry-after", "1"),
            429,
            Some("rate_limit"),
            "Slow down",
            second,
        ),
        (HttpReply::json(404, &json!({"error": "no such model"})), 404, None, "no such model", None),
        (HttpReply::json(500, &json!({"unknown": 1})), 500, None, r#"{"unknown":1}"#, None),
        (refused(502).then(&*page), 502, None, &*page_start, None),
        (refused(500).then(&*huge), 500, None, &*huge_start, None),
        (refused(503), 503, None, "Service Unavailable", None),
        (refused(500).then("half").then_break_off(), 500, None, "Internal Server Error", None),
        (refused(302).with_header("location", "http://127.0.0.1:9/"), 302, None, "Found", None),
        (HttpReply::json(200, &slow_down), 500, Some("rate_limit"), "Slow down", None),
    ] {
        let how = format!("{status} {message}");
        match ask_server(reply).await.error {
            Some(ModelError::Status(read)) => assert_eq!(
                (read.status, read.code.as_deref(), &*read.message, read.retry_after),
                (status, code, message, retry_after)
            ),
            other => panic!("{how}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn retry_after_may_be_a_date() {
    let far = HttpReply::status(503).with_header("retry-after", "Fri, 01 Jan 2100 00:00:00 GMT");
    let wait = ask_server(far).await.error.and_then(|error| error.retry_after());
    assert!(wait.is_some_and(|wait| wait > Duration::from_secs(3_600)), "{wait:?}");
}

#[tokio::test]
async fn broken_answers_are_errors_of_their_kind_after_the_text_that_came() {
    let events = || HttpReply::events().then(TEXT);
    let html = || HttpReply::status(200).with_header("content-type", "text/html").then("<html>Welcome</html>");
    let json = || HttpReply::status(200).with_header("content-type", "application/json");
    let echo = format!("data: {{\"key\": {KEY}}}\n\n");
    let key_as_content = format!("data: {{\"choices\":\"{KEY}\"}}\n\n");
    let long = "x".repeat(64 * 1024);
    let endless =
        (0..=OpenAiClient::MAX_EVENT_BYTES / long.len()).fold(events().then("data: "), |reply, _| reply.then(&*long));
    let huge =
        (0..=OpenAiClient::MAX_EVENT_BYTES / long.len()).fold(json().then("{\"a\":\""), |reply, _| reply.then(&*long));
    for (reply, code, text, shown) in [
        (events(), "stream_interrupted", "so far", "interrupted"),
        (events().without_framing(), "stream_interrupted", "so far", "interrupted"),
        (events().then("data: {\"choices\":[{"), "stream_interrupted", "so far", "interrupted"),
        (HttpReply::events(), "stream_interrupted", "", "interrupted"),
        (events().then_break_off(), "connection", "so far", "127.0.0.1:"),
        (events().then("data: nonsense\n\n"), "invalid_response", "so far", "nonsense"),
        (events().then("data: {\"choices\": 3}\n\n"), "invalid_response", "so far", "choices"),
        (events().then(echo), "invalid_response", "so far", "[redacted]"),
        (events().then(key_as_content), "invalid_response", "so far", "[redacted]"),
        (events().then(b"data: \xff\n\n"), "invalid_response", "so far", "not UTF-8"),
        (endless, "invalid_response", "so far", "longer than 4194304 bytes"),
        (
            html(),
            "invalid_response",
            "",
            "expected server-sent events or JSON (content-type text/html): \"<html>Welcome</html>\"",
        ),
        (json(), "invalid_response", "", "the answer is empty (content-type application/json)"),
        (json().then("{\"object\": \"list\"}"), "invalid_response", "", "no choices"),
        (huge, "invalid_response", "", "longer than 4194304 bytes"),
    ] {
        let answer = ask_server(reply).await;
        let error = answer.error.unwrap();
        assert_eq!((error.code(), &*answer.response.text), (code, text), "{error}");
        assert!(error.to_string().contains(shown) && error.to_string().len() < 1_500, "{error}");
    }
}

#[tokio::test]
async fn errors_inside_the_stream_are_the_providers() {
    for (event, status, code, message) in [
        (r#"data: {"error":{"message":"Overloaded","code":503}}"#.to_owned(), 503, Some("503"), "Overloaded"),
        (r#"data: {"error":{"message":"Oops","type":"server_error"}}"#.to_owned(), 500, Some("server_error"), "Oops"),
        (r#"data: {"error":"Oops","choices":[]}"#.to_owned(), 500, None, "Oops"),
        ("event: error\ndata: {\"message\":\"Oops\",\"code\":\"429\"}".to_owned(), 429, Some("429"), "Oops"),
        ("event: error\ndata: out of memory".to_owned(), 500, None, "out of memory"),
        (format!("event: error\ndata: bad key {KEY}"), 500, None, "bad key [redacted]"),
    ] {
        let answer = ask_server(HttpReply::events().then(TEXT).then(format!("{event}\n\n")).then_hang()).await;
        assert_eq!(answer.response.text, "so far");
        match answer.error {
            Some(ModelError::Status(read)) => {
                assert_eq!((read.status, read.code.as_deref(), &*read.message), (status, code, message));
            }
            other => panic!("{event}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn silence_ends_with_a_timeout_before_and_amid_the_answer() {
    let after = Duration::from_millis(200);
    for (reply, text) in [(HttpReply::silence(), ""), (HttpReply::events().then(TEXT).then_hang(), "so far")] {
        let server = ScriptedServer::start([reply]).await;
        let answer = ask(server.base_url(), after).await;
        assert_eq!(answer.response.text, text);
        let expected = format!("the model's server 127.0.0.1:{} sent nothing for 200ms (timeout)", server.port());
        let error = answer.error.unwrap();
        assert!(matches!(error, ModelError::Timeout { after: waited, .. } if waited == after), "{error:?}");
        assert_eq!(error.to_string(), expected);
        server.hung_up().await;
    }
}

#[tokio::test]
async fn a_refusal_that_drips_is_not_waited_for() {
    let drip = (0..10_000).fold(HttpReply::status(500).then("so it begins"), |reply, _| {
        reply.then_pause(Duration::from_millis(50)).then("…")
    });
    let server = ScriptedServer::start([drip]).await;
    let asking = ask(server.base_url(), Duration::from_millis(500));
    // Minutes before the last drop.
    let answer = tokio::time::timeout(Duration::from_secs(60), asking).await.expect("it waits for the last drop");
    assert_eq!(answer.error.map(|error| error.code()), Some("server_error"));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let base_url = format!("http://user:{KEY}@127.0.0.1:{port}/v1?key={KEY}");
    let error = ask(base_url, Duration::from_secs(30)).await.error.unwrap();
    assert_eq!(error.to_string(), format!("connection to the model's server 127.0.0.1:{port} failed"));
    assert!(std::error::Error::source(&error).is_some());
    assert!(error.is_retryable());
}
