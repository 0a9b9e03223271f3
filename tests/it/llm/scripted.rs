//! The scripted model.

use std::{sync::Arc, time::Duration};

use agent_runtime::{
    event::{ToolCall, Usage},
    llm::{ChatDelta, ChatMessage, ChatModel, ChatRequest, ModelError, ScriptedModel, ScriptedReply},
};
use futures_util::{FutureExt, StreamExt, future::join_all};
use serde_json::json;
use tokio::time::Instant;

use super::{read, request};

fn texts(deltas: &[ChatDelta]) -> Vec<&str> {
    deltas.iter().filter_map(|delta| if let ChatDelta::Text(text) = delta { Some(&**text) } else { None }).collect()
}

#[tokio::test]
async fn replies_come_in_order_and_in_pieces() {
    let model = ScriptedModel::new("m")
        .with_reply(ScriptedReply::text("Let me see.").and_tool_calls([("add", json!({"x": 1})), ("now", json!({}))]))
        .with_reply(ScriptedReply::default().with_chunks(["4", "2"]))
        .with_reply(ScriptedReply::tool_calls([("now", json!({}))]).with_finish_reason("length"));
    assert_eq!((model.provider(), model.model(), model.server()), ("scripted", "m", None));

    let first = read(model.stream(request("What is it?")).await).await;
    assert_eq!(texts(&first.deltas), ["Let ", "me ", "see."]);
    assert_eq!(
        first.response.tool_calls,
        [ToolCall::new("call_0_0", "add", "{\"x\":1}"), ToolCall::new("call_0_1", "now", "{}")]
    );
    assert!(first.deltas.len() > 3 + 2 + 3, "the arguments came whole: {:?}", first.deltas);
    assert_eq!(first.response.finish_reason.as_deref(), Some("tool_calls"));
    assert_eq!((first.response.id.as_deref(), first.response.model.as_deref()), (Some("scripted-0"), Some("m")));
    // Three words asked; three answered, and two calls of a name and a word of arguments.
    let usage = Usage::new(3, 7);
    assert_eq!(first.response.usage, Some(usage));

    let mut messages = vec![ChatMessage::user("What is it?")];
    messages.push(ChatMessage::assistant(first.response.text, first.response.tool_calls));
    messages.push(ChatMessage::tool("3", "call_0_0"));
    let second = read(model.stream(ChatRequest::new(messages)).await).await;
    assert_eq!(texts(&second.deltas), ["4", "2"]);
    assert_eq!(second.response.finish_reason.as_deref(), Some("stop"));
    assert_eq!(second.response.usage.map(|usage| (usage.prompt_tokens, usage.completion_tokens)), Some((11, 1)));

    let third = read(model.stream(request("Again")).await).await;
    assert_eq!(third.response.tool_calls, [ToolCall::new("call_2_0", "now", "{}")]);
    assert_eq!(third.response.finish_reason.as_deref(), Some("length"));
}

#[tokio::test]
async fn an_answer_that_is_polled_after_its_end_stays_ended() {
    let interrupted = ScriptedReply::text("Hello").then_error(0, || ModelError::StreamInterrupted);
    for reply in [ScriptedReply::text("Hello"), interrupted] {
        let mut stream = ScriptedModel::new("m").with_reply(reply).stream(request("Hi")).await.unwrap();
        while stream.next().await.is_some() {}
        assert!(stream.next().await.is_none() && stream.next().await.is_none());
    }
}

#[tokio::test]
async fn a_script_that_is_used_up_says_so() {
    let model = ScriptedModel::new("m").with_reply(ScriptedReply::text("only one"));
    read(model.stream(request("1")).await).await;
    let error = read(model.stream(request("2")).await).await.error.unwrap();
    let expected = "model client configuration: the script of `m` is used up: it has 1 replies and this is request 2";
    assert_eq!(error.to_string(), expected);
    assert_eq!(model.request_count(), 2);
}

#[tokio::test]
async fn usage_is_what_the_script_says() {
    let usage = Usage::new(1, 0);
    let model = ScriptedModel::new("m")
        .with_reply(ScriptedReply::text("a b").with_usage(usage))
        .with_reply(ScriptedReply::text("a b").with_usage(None));
    assert_eq!(read(model.stream(request("1")).await).await.response.usage, Some(usage));
    assert_eq!(read(model.stream(request("2")).await).await.response.usage, None);
}

#[tokio::test]
async fn errors_come_before_within_and_after_the_text() {
    let model = ScriptedModel::new("m")
        .with_reply(ScriptedReply::error(|| ModelError::StreamInterrupted))
        .with_reply(ScriptedReply::text("a b c").then_error(2, || ModelError::StreamInterrupted))
        .with_reply(ScriptedReply::text("a b c").then_error(9, || ModelError::StreamInterrupted));
    assert!(matches!(model.stream(request("1")).await, Err(ModelError::StreamInterrupted)));
    for text in ["a b ", "a b c"] {
        let answer = read(model.stream(request("2")).await).await;
        assert_eq!(answer.response.text, text);
        assert_eq!(answer.response.finish_reason, None);
        assert!(matches!(answer.error, Some(ModelError::StreamInterrupted)));
    }
}

#[tokio::test]
async fn what_is_pending_never_comes() {
    let model = ScriptedModel::new("m")
        .with_reply(ScriptedReply::pending())
        .with_reply(ScriptedReply::text("a b").then_pending(1));
    assert!(model.stream(request("1")).now_or_never().is_none());
    let mut stream = model.stream(request("2")).await.unwrap();
    assert!(matches!(stream.next().await, Some(Ok(ChatDelta::Id(_)))));
    assert!(matches!(stream.next().await, Some(Ok(ChatDelta::Model(_)))));
    assert_eq!(stream.next().await.unwrap().unwrap(), ChatDelta::Text("a ".to_owned()));
    assert!(stream.next().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_delay_comes_before_each_piece() {
    let delay = Duration::from_millis(40);
    let model = ScriptedModel::new("m").with_reply(ScriptedReply::text("a b c").with_delay(delay));
    let started = Instant::now();
    read(model.stream(request("1")).await).await;
    assert_eq!(started.elapsed(), 3 * delay);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replies_that_depend_on_the_request_do_not_depend_on_concurrency() {
    let model = Arc::new(
        ScriptedModel::answering(|request| match request.messages.last() {
            Some(message) => ScriptedReply::text(&message.content).and_tool_calls([("echo", json!(message.content))]),
            None => ScriptedReply::error(|| ModelError::StreamInterrupted),
        })
        .with_name("echo"),
    );
    let asked = (0..200).map(|number| {
        let model = Arc::clone(&model);
        tokio::spawn(async move {
            let answer = read(model.stream(request(&format!("chat {number}"))).await).await;
            (number, answer)
        })
    });
    for joined in join_all(asked).await {
        let (number, answer) = joined.unwrap();
        assert_eq!(answer.response.text, format!("chat {number}"));
        assert_eq!(answer.response.tool_calls[0].id, "call_0_0");
        assert_eq!(answer.response.id.as_deref(), Some("scripted-0"));
    }
    assert_eq!(model.request_count(), 200);
    assert!(format!("{model:?}").contains("a function of the request"));
}
