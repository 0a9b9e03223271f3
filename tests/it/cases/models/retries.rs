//! When to come back.

use agent_runtime::prelude::*;

use super::notation::{DONE, call, calls, refusal, reply, said, text};
use super::{Case, check};
use crate::support::HttpReply;

fn later(name: &str, value: &str) -> HttpReply {
    refusal(429, "Slow down").with_header(name, value)
}

#[tokio::test]
async fn a_client_that_is_told_later_comes_back_a_few_times() {
    check([
        Case::replying(
            "M58",
            vec![reply(calls(&[call(0, "a", "look", "{}")])), later("retry-after", "0"), reply(text("Done."))],
        )
        .runs(&[("look", json!({}))])
        .asks(3)
        .also(|done| {
            // The word that the guide's reader looks for.
            let failed = done.events(EventScope::LlmRequest, EventType::Failed)[0];
            assert!(failed.message.as_ref().is_some_and(|message| message.contains("rate_limit")));
            let ids: Vec<_> = done.events(EventScope::LlmRequest, EventType::Started);
            let ids: Vec<_> = ids.iter().map(|event| event.component_id.as_str()).collect();
            assert_eq!(ids, ["agent:llm:0", "agent:llm:1", "agent:llm:2"]);
            let failed = done.events(EventScope::LlmRequest, EventType::Failed);
            assert_eq!((failed.len(), failed[0].data.error_code()), (1, Some("rate_limit_exceeded")));
        }),
        Case::replying("M58, no answer at all", vec![HttpReply::events(), reply(text("Done."))]).asks(2),
        Case::serving("M58, for ever", |_, _| later("retry-after", "0"))
            .fails("rate_limit_exceeded", "Slow down")
            .asks(3),
        Case::serving("M58, for as often as is set", |_, _| later("retry-after", "0"))
            .agent(|agent| agent.with_max_retries(4))
            .fails("rate_limit_exceeded", "Slow down")
            .asks(5),
        Case::serving("M58, beyond the longest wait", |_, _| later("retry-after", "31"))
            .fails("rate_limit_exceeded", "Slow down")
            .asks(1),
        Case::serving("M58, without credit", |_, _| {
            HttpReply::json(429, &json!({"error": {"message": "No credit", "code": "insufficient_quota"}}))
        })
        .fails("rate_limit_exceeded", "No credit")
        .asks(1),
        Case::serving("M61, 400", |_, _| refusal(400, "no")).fails("invalid_request", "no").asks(1),
        Case::serving("M61, 401", |_, _| refusal(401, "no")).fails("authentication", "no").asks(1),
        Case::serving("M61, 404", |_, _| refusal(404, "no")).fails("not_found", "no").asks(1),
        Case::new("M61, readers have seen a piece", said("So")).fails("stream_interrupted", "interrupted").asks(1),
        Case::new("M61, an answer", text("Yes.") + DONE).answers("Yes.").asks(1),
    ])
    .await;
}

#[tokio::test]
async fn the_wait_is_told_as_exactly_as_it_was_said() {
    for (id, name, value, millis, seconds) in [
        ("M59", "retry-after-ms", "1500", 1_500, 2),
        ("M59", "x-ms-retry-after-ms", "1500", 1_500, 2),
        ("M60", "retry-after", "1", 1_000, 1),
        ("M60", "retry-after", "Sun, 06 Nov 1994 08:49:37 GMT", 0, 0),
    ] {
        let waits = move |done: &super::Done| {
            let wait = done.error.as_ref().and_then(|error| match error {
                RunError::Model { source, .. } => source.retry_after(),
                _ => None,
            });
            assert_eq!(wait.map(|wait| wait.as_millis()), Some(millis), "{id} {name}");
            let failed = done.events(EventScope::LlmRequest, EventType::Failed)[0];
            let told = (&failed.data["retry_after"], &failed.data["retry_after_ms"]);
            assert_eq!(told, (&json!(seconds), &json!(millis as u64)), "{id} {name}");
        };
        let case = Case::replying(id, vec![later(name, value)])
            .agent(|agent| agent.with_max_retries(0))
            .fails("rate_limit_exceeded", "Slow down");
        let done = super::run_case(case).await;
        waits(&done);
    }
}
