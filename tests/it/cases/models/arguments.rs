//! Arguments, ids, names and text that go back to the model.

use agent_runtime::prelude::*;

use super::notation::{DONE, call, calling, calls, last, refusal, reply, said};
use super::{Case, check, done};
use crate::support::{HttpReply, RecordedRequest, tool};

/// A server that answers with calls and then refuses a chat that a strict one refuses.
fn strict(id: &'static str, first: String) -> Case {
    Case::serving(id, move |number, request| match number {
        0 => reply(first.clone()),
        _ => fault(request).map_or_else(done, |fault| refusal(400, &fault)),
    })
}

/// What a strict server finds wrong with a chat.
fn fault(request: &RecordedRequest) -> Option<String> {
    let mut open = Vec::new();
    let mut seen = Vec::new();
    for message in request.body["messages"].as_array()? {
        let role = message["role"].as_str()?;
        let is_calling = message.get("tool_calls").is_some();
        match message.get("content") {
            Some(JsonValue::String(text)) if !text.trim().is_empty() => {}
            Some(JsonValue::Null) if is_calling => {}
            content => return Some(format!("the content of {role} is {content:?}")),
        }
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            let text = |value: &JsonValue| value.as_str().unwrap_or_default().to_owned();
            let (id, name) = (text(&call["id"]), text(&call["function"]["name"]));
            let arguments = serde_json::from_str::<JsonValue>(&text(&call["function"]["arguments"]));
            if !arguments.is_ok_and(|arguments| arguments.is_object()) {
                return Some(format!("the arguments of {call} are no object"));
            }
            if id.is_empty() || name.is_empty() || seen.contains(&id) {
                return Some(format!("{call} has no id or name of its own"));
            }
            seen.push(id.clone());
            open.push(id);
        }
        if role == "tool" {
            let id = message["tool_call_id"].as_str()?;
            let Some(place) = open.iter().position(|open| open == id) else {
                return Some(format!("{message} answers no call"));
            };
            open.remove(place);
        }
    }
    (!open.is_empty()).then(|| format!("no answers for {open:?}"))
}

#[tokio::test]
async fn what_goes_back_as_arguments_is_an_object_and_so_is_what_a_tool_gets() {
    let n = |arguments: &str| calls(&[call(0, "a", "square", arguments)]);
    let mut cases = vec![
        strict("M19", calls(&[call(0, "a", "now", "")])).runs(&[("now", json!({}))]).also(|done| {
            assert_eq!(done.messages(1)[1]["tool_calls"][0]["function"]["arguments"], "{}");
        }),
        strict("M20", n("\"{\\\"n\\\": 2}\"")).runs(&[("square", json!({"n": 2}))]),
        strict("M21", calls(&[call(0, "a", "look", "{\"é\": 1}")])).runs(&[("look", json!({"é": 1}))]).also(|done| {
            assert_eq!(done.messages(1)[1]["tool_calls"][0]["function"]["arguments"], "{\"é\": 1}");
        }),
    ];
    for (id, arguments) in [
        ("M20, a list", "[1]"),
        ("M20, a number", "7"),
        ("M20, a text", "\"look\""),
        ("M20, two objects", "{\"n\":1}{\"n\":2}"),
        ("M20, half an object", "{\"n\":"),
        ("M20, prose", "n is 2"),
    ] {
        cases.push(strict(id, n(arguments)).runs(&[]).also(|done| {
            let answer = done.messages(1)[2]["content"].as_str().expect("a text");
            assert!(answer.contains("expected a JSON object"), "{}: {answer}", done.id);
        }));
    }
    cases.push(strict("M19, null", n("null")).runs(&[("square", json!({}))]));
    check(cases).await;
}

#[tokio::test]
async fn every_message_that_goes_back_is_one_that_the_strictest_server_takes() {
    let two = || [call(0, "a", "look", "{\"n\":1}"), call(1, "b", "look", "{\"n\":2}")];
    let same = [call(0, "a", "one", "{}"), call(1, "a", "two", "{}")];
    check([
        strict("M22", calls(&[call(0, "", "one", "{}"), call(1, "", "two", "{}")]))
            .runs(&[("one", json!({})), ("two", json!({}))]),
        strict("M22, one id twice", calls(&same)).runs(&[("one", json!({})), ("two", json!({}))]),
        Case::serving("M22, one id in two rounds", |number, request| match number {
            0 | 1 => HttpReply::events().then(calls(&[call(0, "a", "look", &format!("{{\"n\":{number}}}"))])),
            _ => fault(request).map_or_else(done, |fault| refusal(400, &fault)),
        })
        .asks(3),
        strict("M22, no name", calls(&[call(0, "a", "", "{}")])).runs(&[]),
        strict("M23", calls(&[call(0, "a", "look", "{}")])).also(|done| {
            assert_eq!(done.messages(1)[1].get("content"), Some(&JsonValue::Null));
        }),
        strict("M23, white space", said("\n") + &calls(&[call(0, "a", "look", "{}")])),
        strict("M23, a result without text", calls(&[call(0, "a", "silent", "{}")]))
            .agent(|agent| agent.with_tool(tool("silent", |_, _| async { Ok(json!("")) })))
            .runs(&[("silent", json!(""))]),
        strict("M24", said("Let me see.") + &calling(&two()) + &last(json!({}), "tool_calls") + DONE)
            .agent(|agent| agent.with_system_prompt("Look."))
            .also(|done| {
                let messages = done.messages(1);
                let roles: Vec<_> = messages.iter().map(|message| message["role"].as_str().expect("a role")).collect();
                assert_eq!(roles, ["system", "user", "assistant", "tool", "tool"]);
                assert_eq!(messages[2]["content"], "Let me see.");
                assert_eq!((&messages[3]["tool_call_id"], &messages[4]["tool_call_id"]), (&json!("a"), &json!("b")));
            }),
    ])
    .await;
}
