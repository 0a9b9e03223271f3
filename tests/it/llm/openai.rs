//! The OpenAI client with a server that answers well, if in its own way.

use std::time::Duration;

use agent_runtime::{
    event::{ToolCall, Usage},
    llm::{
        ChatDelta, ChatMessage, ChatModel, ChatRequest, GenerationOptions, OpenAiClient, ServerAddress, ToolDefinition,
    },
};
use futures_util::StreamExt;
use serde_json::json;

use super::{Answer, read, request};
use crate::support::{HttpReply, ScriptedServer};

/// Two-, three- and four-byte characters, two calls interleaved, a comment, usage with details.
const RECORDED: &str = concat!(
    ": keep-alive\n\n",
    r#"data: {"id":"c1","model":"m-1","choices":[{"index":0,"delta":{"role":"assistant","content":"Žlu"}}]}"#,
    "\n\n",
    r#"data: {"id":"c1","model":"m-1","choices":[{"index":0,"delta":{"content":"ť 馬🐎\n"},"finish_reason":null}]}"#,
    "\n\n",
    r#"data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"add","arguments":""}},"#,
    r#"{"index":1,"id":"b","function":{"name":"sub","arguments":"{\"é"}}]}}]}"#,
    "\n\n",
    r#"data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}}]}"#,
    "\n\n",
    r#"data: {"choices":[{"delta":{"tool_calls":[{"index":1,"function":{"arguments":"\":1}"}}]}}]}"#,
    "\n\n",
    r#"data: {"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#,
    "\n\n",
    r#"data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"#,
    r#""prompt_tokens_details":{"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":1}}}"#,
    "\n\ndata: [DONE]\n\n",
);

fn client(server: &ScriptedServer) -> OpenAiClient {
    OpenAiClient::builder("m").with_base_url(server.base_url()).build().expect("the settings are right")
}

async fn ask(reply: HttpReply) -> Answer {
    let server = ScriptedServer::start([reply]).await;
    read(client(&server).stream(request("hi")).await).await
}

fn assert_is_recorded(answer: &Answer, how: &str) {
    let Answer { response, error, .. } = answer;
    assert!(error.is_none(), "{how}: {error:?}");
    assert_eq!(response.text, "Žluť 馬🐎\n", "{how}");
    assert_eq!(response.tool_calls, [ToolCall::new("a", "add", "{}"), ToolCall::new("b", "sub", "{\"é\":1}")], "{how}");
    assert_eq!(response.finish_reason.as_deref(), Some("tool_calls"), "{how}");
    assert_eq!((response.id.as_deref(), response.model.as_deref()), (Some("c1"), Some("m-1")), "{how}");
    let usage = Usage::new(9, 4).with_cached_tokens(2).with_reasoning_tokens(1);
    assert_eq!(response.usage, Some(usage), "{how}");
}

#[tokio::test]
async fn an_answer_is_the_same_wherever_the_network_cuts_it() {
    for (name, recorded) in [("LF", RECORDED.to_owned()), ("CRLF", RECORDED.replace('\n', "\r\n"))] {
        let bytes = recorded.into_bytes();
        let length = bytes.len();
        let server = ScriptedServer::answering({
            let bytes = bytes.clone();
            // Request `n` is cut in two after `n` bytes.
            move |number, _| HttpReply::events().then(&bytes[..number]).then(&bytes[number..])
        })
        .await;
        let client = client(&server);
        let mut whole = None;
        for cut in 0..=length {
            let answer = read(client.stream(request("hi")).await).await;
            assert_is_recorded(&answer, &format!("{name}, cut at {cut}"));
            let whole = whole.get_or_insert_with(|| answer.deltas.clone());
            assert_eq!(answer.deltas, *whole, "{name}, cut at {cut}");
        }
        let single = bytes.iter().fold(HttpReply::events(), |reply, byte| reply.then([*byte]));
        assert_is_recorded(&ask(single).await, &format!("{name}, byte by byte"));
    }
}

#[tokio::test]
async fn pieces_come_as_they_are_sent() {
    let first = r#"data: {"choices":[{"delta":{"content":"first"}}]}"#;
    let server = ScriptedServer::start([HttpReply::events().then(format!("{first}\n\n")).then_hang()]).await;
    let mut stream = client(&server).stream(request("hi")).await.unwrap();
    // The server has not finished, and never will.
    assert_eq!(stream.next().await.unwrap().unwrap(), ChatDelta::Text("first".to_owned()));
    drop(stream);
    server.hung_up().await;
}

#[tokio::test]
async fn canceling_before_the_answer_begins_closes_the_connection() {
    let server = ScriptedServer::start([HttpReply::silence()]).await;
    let client = client(&server);
    tokio::select! {
        _ = client.stream(request("hi")) => panic!("the server answered"),
        () = server.requested(1) => {}
    }
    server.hung_up().await;
}

#[tokio::test]
async fn the_end_of_the_answer_closes_a_connection_that_the_server_keeps_open() {
    let server = ScriptedServer::start([HttpReply::chat(&["hi"]).then_hang()]).await;
    let mut stream = client(&server).stream(request("hi")).await.unwrap();
    while stream.next().await.is_some() {}
    server.hung_up().await;
}

#[tokio::test]
async fn answers_may_end_in_several_ways() {
    let text = r#"data: {"choices":[{"delta":{"content":"yes"}}]}"#;
    let finish = r#"data: {"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
    let events =
        |lines: &[&str]| HttpReply::events().then(lines.iter().map(|line| format!("{line}\n\n")).collect::<String>());
    for (how, reply) in [
        ("[DONE]", events(&[text, finish, "data: [DONE]"])),
        ("[DONE] without a space", events(&[text, "data:[DONE]"])),
        ("only a finish reason", events(&[text, finish])),
        ("a finish reason, then the connection", events(&[text, finish]).without_framing()),
        ("a finish reason, then a broken connection", events(&[text, finish]).then_break_off()),
        ("something after [DONE]", events(&[text, "data: [DONE]", "data: garbage"])),
        ("no content type", {
            let body = format!("{text}\n\n{finish}\n\n");
            HttpReply::status(200).then(body)
        }),
    ] {
        let answer = ask(reply).await;
        assert!(answer.error.is_none(), "{how}: {:?}", answer.error);
        assert_eq!(answer.response.text, "yes", "{how}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_streamed_is_understood() {
    let call = json!({"id": "a", "type": "function", "function": {"name": "add", "arguments": {"x": 1}}});
    let message = json!({"role": "assistant", "content": "let me see", "tool_calls": [call]});
    let body = json!({
        "id": "c1", "model": "m-1", "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    });
    let answer = ask(HttpReply::json(200, &body)).await;
    assert!(answer.error.is_none(), "{:?}", answer.error);
    assert_eq!(answer.response.text, "let me see");
    assert_eq!(answer.response.tool_calls[0].arguments, r#"{"x":1}"#);
    assert_eq!(answer.response.finish_reason.as_deref(), Some("tool_calls"));
    assert_eq!(answer.response.usage.unwrap().total_tokens, 3);
}

#[tokio::test]
async fn the_limit_is_on_an_event_and_not_on_the_answer() {
    let piece = "x".repeat(64 * 1024);
    let event = format!("data: {}\n\n", json!({"choices": [{"delta": {"content": piece}}]}));
    let count = OpenAiClient::MAX_EVENT_BYTES / piece.len() + 1;
    let reply = (0..count).fold(HttpReply::events(), |reply, _| reply.then(&*event)).then("data: [DONE]\n\n");
    let answer = ask(reply).await;
    assert!(answer.error.is_none(), "{:?}", answer.error);
    assert_eq!(answer.response.text.len(), count * piece.len());
}

#[tokio::test]
async fn signs_of_life_keep_a_slow_answer_alive() {
    let (pause, read_timeout) = (Duration::from_millis(300), Duration::from_millis(1_200));
    let mut reply = HttpReply::events();
    for _ in 0..6 {
        reply = reply.then(": still here\n\n").then_pause(pause);
    }
    let server = ScriptedServer::start([reply.then("data: [DONE]\n\n")]).await;
    let builder = OpenAiClient::builder("m").with_base_url(server.base_url()).with_read_timeout(read_timeout);
    let answer = read(builder.build().unwrap().stream(request("hi")).await).await;
    assert!(answer.error.is_none(), "{:?}", answer.error);
}

#[tokio::test]
async fn the_request_says_what_was_asked_and_no_more() {
    let server = ScriptedServer::start([HttpReply::chat(&["hi"]), HttpReply::chat(&["hi"])]).await;
    let client = OpenAiClient::builder("m")
        .with_base_url(server.base_url())
        .with_api_key("key-1")
        .with_provider("local")
        .build()
        .unwrap();
    assert_eq!((client.provider(), client.model()), ("local", "m"));
    assert_eq!(client.server(), Some(ServerAddress::new("127.0.0.1", server.port())));

    read(client.stream(request("hi")).await).await;
    let call = ToolCall::new("a", "add", "{}");
    let tool = ToolDefinition::new("add", "Adds.", json!({"type": "object"}));
    let options = GenerationOptions::default().with_temperature(0.5).with_top_p(0.25).with_max_tokens(64);
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let full = ChatRequest::new([ChatMessage::assistant("", vec![call]), ChatMessage::tool("3", "a")])
        .with_tools([tool.clone()])
        .with_options(options)
        .with_trace_headers([("traceparent".to_owned(), traceparent.to_owned())]);
    read(client.stream(full.clone()).await).await;

    let [plain, with_all] = &server.requests()[..] else { panic!("not two requests") };
    assert_eq!(plain.target, "POST /v1/chat/completions");
    assert_eq!(plain.headers["authorization"], "Bearer key-1");
    assert_eq!(plain.headers["accept"], "text/event-stream");
    assert_eq!(plain.headers["content-type"], "application/json");
    let expected = json!({
        "model": "m", "stream": true, "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": "hi"}],
    });
    assert_eq!(plain.body, expected);
    let messages: Vec<_> = full.messages.iter().map(ChatMessage::to_json).collect();
    let expected = json!({
        "model": "m", "stream": true, "stream_options": {"include_usage": true}, "messages": messages,
        "tools": [tool.to_json()], "temperature": 0.5, "top_p": 0.25, "max_tokens": 64,
    });
    assert_eq!(with_all.body, expected);
    assert_eq!(with_all.headers["traceparent"], full.trace_headers[0].1);
    assert_eq!(plain.headers.get("traceparent"), None);
}

#[tokio::test]
async fn without_a_key_no_authorization_is_sent() {
    let server = ScriptedServer::start([HttpReply::chat(&["a", "b"])]).await;
    let answer = read(client(&server).stream(request("hi")).await).await;
    assert_eq!(answer.response.text, "ab");
    assert_eq!(server.requests()[0].headers.get("authorization"), None);
}

#[tokio::test]
async fn tool_calls_over_http_come_whole() {
    let calls = [("a", "add", json!({"x": 1})), ("b", "now", json!({}))];
    let answer = ask(HttpReply::tool_calls(&calls)).await;
    let read: Vec<_> =
        answer.response.tool_calls.iter().map(|call| (&*call.id, &*call.name, &*call.arguments)).collect();
    assert_eq!(read, [("a", "add", r#"{"x":1}"#), ("b", "now", "{}")]);
    assert_eq!(answer.response.usage.unwrap().total_tokens, 12);
}
