//! Calls that come in pieces.

use agent_runtime::prelude::*;

use super::notation::{DONE, call, calling, calls, event, last};
use super::{Case, check};

#[tokio::test]
async fn every_call_is_made_once_however_it_is_cut_and_numbered() {
    let end = || last(json!({}), "tool_calls") + DONE;
    let path = || json!({"path": "x"});
    let again = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":4,"completion_tokens":2}}"#;
    let unnumbered = |id: &str, name: &str, arguments: &str| {
        let mut call = call(0, id, name, arguments);
        call.as_object_mut().expect("an object").remove("index");
        call
    };
    check([
        Case::new(
            "M14",
            calling(&[call(0, "", "add", "{\"a\":1}")])
                + &calling(&[call(0, "", "sub", "{\"b\":2}")])
                + &last(json!({}), "stop")
                + DONE,
        )
        .runs(&[("add", json!({"a": 1})), ("sub", json!({"b": 2}))]),
        Case::new(
            "M14, without numbers",
            calling(&[unnumbered("", "add", "{\"a\":1}")]) + &calling(&[unnumbered("", "add", "{\"a\":2}")]) + &end(),
        )
        .runs(&[("add", json!({"a": 1})), ("add", json!({"a": 2}))]),
        Case::new(
            "M15",
            calling(&[call(0, "a", "read_file", "{\"path\"")])
                + &calling(&[call(0, "a", "read_file", ":\"x\"}")])
                + &calling(&[call(0, "a", "read_file", "")])
                + &end(),
        )
        .runs(&[("read_file", path())]),
        Case::new(
            "M15, the name in pieces",
            calling(&[call(0, "a", "read", "")])
                + &calling(&[call(0, "", "_file", "")])
                + &calling(&[call(0, "", "", "{\"path\":\"x\"}")])
                + &end(),
        )
        .runs(&[("read_file", path())]),
        Case::new(
            "M15, all of it again with each piece",
            calling(&[call(0, "a", "read_file", "{\"pa")])
                + &calling(&[call(0, "a", "read_file", "{\"path\":\"x")])
                + &calling(&[call(0, "a", "read_file", "{\"path\":\"x\"}")])
                + &end(),
        )
        .runs(&[("read_file", path())]),
        Case::new(
            "M16",
            calling(&[call(1, "t1", "t", "")])
                + &calling(&[call(1, "", "", "{\"at\"")])
                + &calling(&[call(1, "", "", ": 1}")])
                + &end(),
        )
        .runs(&[("t", json!({"at": 1}))])
        .also(|done| assert_eq!(done.messages(1)[1]["tool_calls"][0]["id"], "t1")),
        Case::new(
            "M17",
            calling(&[call(0, "a", "look", "{}")]) + &last(json!({}), "tool_calls") + &event(again) + DONE,
        )
        .runs(&[("look", json!({}))])
        .also(|done| assert_eq!(done.request_attribute(0, "gen_ai.usage.output_tokens"), 2)),
        Case::new("M18", calls(&[call(0, "a", "look", "{\"q\":\"X\"}"), call(1, "b", "look", "{\"q\":\"Y\"}")]))
            .runs(&[("look", json!({"q": "X"})), ("look", json!({"q": "Y"}))]),
        Case::new(
            "M18, in the form ahead of tool_calls",
            event(r#"{"choices":[{"delta":{"function_call":{"name":"look","arguments":""}}}]}"#)
                + &event(r#"{"choices":[{"delta":{"function_call":{"arguments":"{\"q\":1}"}}}]}"#)
                + &last(json!({}), "function_call")
                + DONE,
        )
        .runs(&[("look", json!({"q": 1}))]),
    ])
    .await;
}
