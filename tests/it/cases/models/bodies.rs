//! Bodies and their labels, bytes at the edges, and what describes an answer.

use agent_runtime::{llm::OpenAiClient, prelude::*};

use super::notation::{DONE, delta, event, last, said, text, whole};
use super::{Case, check};
use crate::support::HttpReply;

fn labeled(content_type: &str, body: impl Into<Vec<u8>>) -> HttpReply {
    HttpReply::status(200).with_header("content-type", content_type).then(body.into())
}

fn one(id: &'static str, reply: HttpReply) -> Case {
    Case::replying(id, vec![reply])
}

#[tokio::test]
async fn a_body_is_read_by_what_it_is() {
    let ok = whole("OK").to_string();
    let pretty = serde_json::to_string_pretty(&whole("OK")).expect("it is JSON");
    let page = "<html><title>Sign in</title></html>";
    let json = |body: &str| labeled("application/json", body);
    let gzip =
        || labeled("text/event-stream", b"\x1f\x8b\x08\x00\x00".to_vec()).with_header("content-encoding", "gzip");
    check([
        Case::new("M44", format!("{ok}\n\n{DONE}")).answers("OK"),
        Case::new("M44, over several lines", format!("{pretty}\n")).answers("OK"),
        one("M45", json(&text("Yes."))).answers("Yes."),
        one("M45, text/plain", labeled("text/plain", text("Yes."))).answers("Yes."),
        one("M46", HttpReply::status(200).then(text("Yes."))).answers("Yes."),
        one("M47", json(&ok)).answers("OK"),
        one("M47, over several lines", json(&pretty)).answers("OK"),
        one("M47, an object a line", json(&(said("O") + &last(json!({"content": "K"}), "stop")).replace("data: ", "")))
            .answers("OK"),
        one("M47, behind empty lines", json(&("\n".repeat(5_000) + &ok))).answers("OK"),
        one("M48", labeled("text/html", page)).fails("invalid_response", "text/html): \"<html><title>Sign in"),
        one("M48, large", labeled("text/html", page.repeat(500))).fails("invalid_response", "text/html"),
        one("M48, encoded", gzip()).fails("invalid_response", "content-encoding gzip"),
        one("M48, empty", json("")).fails("invalid_response", "empty (content-type application/json)"),
        one("C89", json(r#"{"choices":[{"message":null}]}"#)).fails("empty_response", ""),
        one("C90", json(r#"{"choices":[{"text":"hello","finish_reason":"stop"}]}"#)).answers("hello"),
        Case::new("C91", event(r#"{"error":"","choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}"#))
            .answers("hi"),
    ])
    .await;
}

#[tokio::test]
async fn what_came_whole_is_not_lost_for_the_bytes_around_it() {
    let all = said("That is") + &last(json!({"content": " all"}), "stop");
    let all = all.trim_end();
    let split = text("Yes.").replace("{\"id\":\"c1\",", "{\ndata: \"id\":\"c1\",\ndata: ");
    let half = r#"{"choices":[{"index":0,"delta":{"content":"Hi \ud83d"}}]}"#;
    let other = r#"{"choices":[{"index":0,"delta":{"content":"\ude00!"}}]}"#;
    check([
        Case::new("M49", all).answers("That is all"),
        Case::new("M49, a line feed", format!("{all}\n")).answers("That is all"),
        Case::new("M49, half an object", all.trim_end_matches('}')).fails("stream_interrupted", "interrupted"),
        Case::new("M50", event(half) + &event(other) + &last(json!({}), "stop") + DONE).answers("Hi 😀!"),
        Case::new("M50, alone", event(half) + &last(json!({}), "stop") + DONE).answers("Hi \u{fffd}"),
        Case::new("M51", format!("\u{feff}{}", text("Yes.").replace('\n', "\r"))).answers("Yes."),
        Case::new("M52", format!("event: message\nid: 4\n{split}")).answers("Yes."),
        Case::new(
            "M53",
            said("Ye") + "event: ping\ndata: {\"type\":\"ping\"}\n\n" + &last(json!({"content": "s."}), "stop") + DONE,
        )
        .answers("Yes."),
    ])
    .await;
}

#[tokio::test]
async fn no_number_breaks_a_run_and_the_last_count_wins() {
    let usage = |prompt: u64, completion: u64| {
        let total = prompt.saturating_add(completion);
        json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total})
    };
    let counted = |delta: JsonValue, reason: Option<&str>, usage: &JsonValue| {
        event(&json!({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}], "usage": usage}).to_string())
    };
    let absurd = usage(1, u64::MAX);
    let call = json!({"tool_calls": [super::notation::call(0, "a", "look", "{}")]});
    let calling = counted(call, Some("tool_calls"), &absurd) + DONE;
    let answering = counted(json!({"content": "Yes."}), Some("stop"), &absurd) + DONE;
    let no_negative: fn(&super::Done) = |done| {
        for span in &done.spans {
            for (name, value) in crate::support::spans::attributes(span) {
                assert!(value.as_i64().is_none_or(|number| number >= 0), "{}: {name} = {value}", done.id);
            }
        }
    };
    let piece = |completion| counted(json!({"content": "x"}), None, &usage(100, completion));
    check([
        Case::replying("M54", vec![HttpReply::events().then(calling), HttpReply::events().then(answering.clone())])
            .answers("Yes.")
            .also(no_negative),
        Case::new("M55", answering).answers("Yes.").also(no_negative),
        Case::new("M56", piece(1) + &piece(2) + &piece(3) + &last(json!({}), "stop") + DONE).answers("xxx").also(
            |done| {
                assert_eq!(done.request_attribute(0, "gen_ai.usage.input_tokens"), 100);
                assert_eq!(done.request_attribute(0, "gen_ai.usage.output_tokens"), 3);
                let usage = done.events(EventScope::LlmRequest, EventType::Completed)[0].data.usage();
                assert_eq!(usage.map(|usage| usage.total_tokens), Some(103));
            },
        ),
        Case::new(
            "M57",
            counted(json!({"content": "Yes."}), None, &usage(0, 0))
                + &counted(json!({}), Some("stop"), &usage(8, 3))
                + DONE,
        )
        .answers("Yes.")
        .also(|done| {
            let agent = done.events(EventScope::Agent, EventType::Completed)[0];
            assert_eq!(agent.data.total_tokens(), Some(11));
        }),
    ])
    .await;
}

#[tokio::test]
async fn id_and_model_are_taken_from_whichever_piece_says_them() {
    let id = event(r#"{"id":"r1","choices":[]}"#);
    let model = event(r#"{"model":"m-2","choices":[]}"#);
    let said = event(r#"{"id":"","choices":[{"delta":{"content":"Yes."}}]}"#);
    check([Case::new("M54, described in pieces", id + &said + &model + DONE).answers("Yes.").also(|done| {
        assert_eq!(done.request_attribute(0, "gen_ai.response.id"), "r1");
        assert_eq!(done.request_attribute(0, "gen_ai.response.model"), "m-2");
    })])
    .await;
}

#[tokio::test]
async fn a_text_has_a_bound_and_an_answer_has_one_too() {
    let long = "x".repeat(OpenAiClient::MAX_EVENT_BYTES + 1);
    check([
        one("M48, one endless line", labeled("text/html", long.clone())).fails("invalid_response", "text/html"),
        Case::new("M48, one endless event", event(&long)).fails("invalid_response", "longer than 4194304 bytes"),
        Case::new("M62, an endless answer", delta(json!({"content": "x".repeat(1024)})).repeat(1100) + DONE)
            .fails("response_too_large", "more than 1048576 bytes"),
    ])
    .await;
}
