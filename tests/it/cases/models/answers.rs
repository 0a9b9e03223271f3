//! How an answer ends, answers with nothing in them, and what stands beside text and calls.

use agent_runtime::{llm::ChatModel, prelude::*};

use super::notation::{DONE, call, calling, calls, delta, event, last, refusal, reply, said, text, whole};
use super::{Case, check};
use crate::support::{agent_flow, replies, run, spans, tool};

#[tokio::test]
async fn a_finish_reason_that_is_no_good_end_is_never_taken_for_an_answer() {
    let look = || call(0, "a", "look", "{\"path\":1}");
    let three = [call(0, "a", "look", "{\"n\":1}"), call(1, "b", "look", "{\"n\":2}"), call(2, "c", "now", "{}")];
    check([
        Case::new("M1", said("Transfer 100 to account 12") + &last(json!({}), "abort") + DONE)
            .fails("unfinished", "abort")
            .asks(1)
            .also(|done| {
                let failed = done.events(EventScope::LlmRequest, EventType::Failed);
                assert_eq!(failed[0].data.response(), Some("Transfer 100 to account 12"));
            }),
        Case::new("M2", calling(&[call(0, "a", "delete_all", "")]) + &last(json!({}), "length") + DONE)
            .fails("length", "length")
            .runs(&[]),
        Case::new("M3", last(json!({"content": "First, you must never"}), "length") + DONE)
            .answers("First, you must never")
            .also(|done| {
                let agent = done.events(EventScope::Agent, EventType::Completed)[0];
                assert_eq!(agent.data.finish_reason(), Some("length"));
            }),
        Case::new("M4", last(json!({"role": "assistant", "content": ""}), "content_filter") + DONE)
            .fails("content_filter", "content_filter"),
        Case::new("M4, with text", last(json!({"content": "Take"}), "SAFETY") + DONE).fails("content_filter", "SAFETY"),
        Case::new("M5", said("Yes.") + DONE).answers("Yes.").also(|done| {
            assert_eq!(done.request_attribute(0, "gen_ai.response.finish_reasons"), JsonValue::Null);
        }),
        Case::new("M6", calling(&[look()]) + DONE).runs(&[("look", json!({"path": 1}))]),
        Case::new("M7", calling(&[look()])).fails("stream_interrupted", "interrupted").runs(&[]).asks(1),
        Case::new("M8", said("Let me see.") + &calling(&three) + &last(json!({}), "stop") + DONE).runs(&[
            ("look", json!({"n": 1})),
            ("look", json!({"n": 2})),
            ("now", json!({})),
        ]),
        Case::new("M5, null as a text", last(json!({"content": "Yes."}), "null") + DONE).answers("Yes."),
        Case::new("M5, all of it again", said("Ye") + &said("s.") + &event(&whole("Yes.").to_string()) + DONE)
            .answers("Yes."),
        Case::new("M9", last(json!({"content": "Hi"}), "eos_token") + DONE).answers("Hi"),
    ])
    .await;
}

#[tokio::test]
async fn an_answer_with_nothing_in_it_is_no_success() {
    let lost = r#"{"choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop","native_finish_reason":"network_error"}]}"#;
    let filter = r#"{"id":"","model":"","choices":[],"prompt_filter_results":[]}"#;
    let results = r#"{"choices":[{"index":0,"finish_reason":null,"content_filter_results":{}}]}"#;
    check([
        Case::new("M10", last(json!({"role": "assistant", "content": ""}), "tool_calls") + DONE)
            .fails("empty_response", "tool_calls")
            .asks(1),
        Case::new("M11", event(lost) + DONE).fails("empty_response", "stop"),
        Case::new("M11, white space", said(" \n") + DONE).fails("empty_response", "none"),
        Case::new("M11, reasoning alone", delta(json!({"reasoning_content": "Hm"})) + DONE)
            .fails("empty_response", "none"),
        Case::new("M12", event(filter) + &text("Yes.")).answers("Yes."),
        Case::new("M13", said("Yes.") + &event(results) + &last(json!({}), "stop") + DONE).answers("Yes."),
    ])
    .await;
}

#[tokio::test]
async fn what_stands_beside_the_text_reaches_the_application_and_goes_back_with_its_message() {
    let look = || calls(&[call(0, "a", "look", "{}")]);
    let thought = || delta(json!({"reasoning_content": "I must "})) + &delta(json!({"reasoning_content": "look."}));
    let mut signed = call(0, "a", "look", "{}");
    signed["extra_content"] = json!({"google": {"thought_signature": "s1"}});
    let signed = calls(&[signed]);
    check([
        Case::serving("M25", move |number, request| {
            let is_kept = request.body["messages"][1]["reasoning_content"] == "I must look.";
            match number {
                0 => reply(thought() + &look()),
                _ if is_kept => reply(text("Done.")),
                _ => refusal(400, "the assistant's message lacks reasoning_content"),
            }
        })
        .asks(2),
        Case::new("M25, of a call", signed).also(|done| {
            let call = &done.messages(1)[1]["tool_calls"][0];
            assert_eq!(call["extra_content"], json!({"google": {"thought_signature": "s1"}}));
        }),
        Case::new("M25, a field that nobody wants back", delta(json!({"annotations": [1]})) + &look()).also(|done| {
            assert_eq!(done.messages(1)[1].get("annotations"), None);
        }),
        Case::new(
            "M26",
            delta(json!({"content": null, "refusal": ""}))
                + &delta(json!({"refusal": "I cannot help with that."}))
                + &last(json!({}), "stop")
                + DONE,
        )
        .fails("refusal", "I cannot help with that.")
        .also(|done| {
            let failed = done.events(EventScope::LlmRequest, EventType::Failed)[0];
            assert!(failed.message.as_ref().is_some_and(|message| message.contains("I cannot help with that.")));
        }),
        Case::new(
            "M27",
            delta(json!({"reasoning_content": "Hmm, "}))
                + &delta(json!({"reasoning": "well."}))
                + &last(json!({"content": "Yes."}), "stop")
                + DONE,
        )
        .answers("Yes.")
        .also(|done| {
            let progress = done.events(EventScope::LlmRequest, EventType::Progress);
            let pieces: Vec<_> =
                progress.iter().map(|event| (event.data.reasoning_text(), event.data.chunk_text())).collect();
            assert_eq!(pieces, [(Some("Hmm, "), None), (Some("well."), None), (None, Some("Yes."))]);
            assert!(!spans::text(&done.spans).contains("Hmm"), "{}", spans::text(&done.spans));
        }),
        Case::new("M28", look()).also(|done| {
            let mut names: Vec<_> = done.messages(1)[1].as_object().expect("an object").keys().cloned().collect();
            names.sort();
            assert_eq!(names, ["content", "role", "tool_calls"]);
        }),
    ])
    .await;
}

#[tokio::test]
async fn the_rules_hold_for_every_model() {
    let model =
        |reply: ScriptedReply| -> std::sync::Arc<dyn ChatModel> { replies([reply, ScriptedReply::text("Done.")]) };
    let delete = || ScriptedReply::tool_calls([("delete", json!({}))]);
    for (id, reply, code) in [
        ("C88", delete().with_finish_reason("length"), "length"),
        ("M1", ScriptedReply::text("Half of").with_finish_reason("abort"), "unfinished"),
        ("M4", ScriptedReply::text("").with_finish_reason("content_filter"), "content_filter"),
        ("M10", ScriptedReply::default().with_finish_reason("tool_calls"), "empty_response"),
    ] {
        let delete = tool("delete", |_, _| async { panic!("the tool is run") });
        let ran = run(&agent_flow(model(reply), [delete]), "go").await;
        assert_eq!(ran.result.expect_err(id).code(), code, "{id}");
        assert!(ran.events.iter().all(|event| event.scope != EventScope::Tool), "{id}");
    }
}
