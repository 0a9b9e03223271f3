//! Fields that a server refuses.

use agent_runtime::{llm::GenerationOptions, prelude::*};

use super::notation::{call, calls, refusal, reply, text, whole};
use super::{Case, check};
use crate::support::{HttpReply, RecordedRequest};

/// A server that refuses a field with a sentence, and answers once with a call and then with `Done.`.
fn without(id: &'static str, field: &'static str, sentence: &'static str) -> Case {
    Case::serving(id, move |_, request| {
        let is_second_round = request.body["messages"].as_array().is_some_and(|messages| messages.len() > 1);
        match request.body.get(field) {
            Some(_) => refusal(400, sentence),
            None if is_second_round => reply(text("Done.")),
            None => reply(calls(&[call(0, "a", "look", "{}")])),
        }
    })
}

fn has(request: &RecordedRequest, field: &str) -> bool {
    request.body.get(field).is_some()
}

#[tokio::test]
async fn a_field_that_a_server_refuses_is_left_out_once_and_for_all() {
    let options = GenerationOptions::default().with_temperature(0.5).with_max_tokens(64);
    assert!(options.top_p.is_none());
    check([
        without("M36", "stream_options", "Extra inputs are not permitted, field: 'stream_options'").asks(3),
        without("M36, unmarked", "stream_options", "Unrecognized request argument supplied: stream_options").asks(3),
        without("M36, by a setting", "stream_options", "no").client(|client| client.without_stream_options()).asks(2),
        Case::serving("M36, by a list of places", |_, request| {
            let detail = json!([{"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs"}]);
            if has(request, "stream_options") {
                HttpReply::json(422, &json!({"detail": detail}))
            } else {
                reply(text("Done."))
            }
        })
        .asks(2),
        Case::serving("M37", |_, request| match request.body.get("stream") {
            Some(JsonValue::Bool(true)) => {
                refusal(400, "Unsupported value: 'stream' does not support true with this model.")
            }
            _ => HttpReply::json(200, &whole("Yes.")),
        })
        .answers("Yes.")
        .asks(2)
        .also(|done| assert!(!has(&done.requests[1], "stream_options"))),
        Case::serving("M37, by a setting", |_, request| {
            if has(request, "stream") { refusal(400, "no") } else { HttpReply::json(200, &whole("Yes.")) }
        })
        .client(|client| client.without_streaming())
        .answers("Yes.")
        .asks(1)
        .also(|done| {
            let started = done.events(EventScope::LlmRequest, EventType::Started)[0];
            assert_eq!(started.data.stream(), Some(false));
        }),
        without("M37, any field by a setting", "temperature", "no")
            .client(|client| client.without_field("temperature"))
            .agent(|agent| agent.with_generation_options(GenerationOptions::default().with_temperature(0.5)))
            .asks(2),
        without("M37, temperature", "temperature", "Unsupported parameter: 'temperature'")
            .agent(|agent| agent.with_generation_options(GenerationOptions::default().with_temperature(0.5)))
            .asks(3),
        without("M37, an extra field", "top_k", "property 'top_k' is unsupported")
            .client(|client| client.with_extra_body("top_k", 5))
            .asks(3),
        without("M38", "messages", "the request exceeds the available context size")
            .fails("invalid_request", "the request exceeds the available context size")
            .asks(1),
        without("M38, a value out of range", "temperature", "'temperature' must be less than 0.3")
            .agent(|agent| agent.with_generation_options(GenerationOptions::default().with_temperature(0.5)))
            .fails("invalid_request", "must be less than")
            .asks(1),
        without("M38, tools", "tools", "this model does not support 'tools'")
            .fails("invalid_request", "does not support")
            .asks(1),
    ])
    .await;
}

#[tokio::test]
async fn the_limit_of_tokens_goes_by_the_name_that_the_server_knows() {
    let limited: fn(agent_runtime::runtime::AgentBuilder) -> agent_runtime::runtime::AgentBuilder =
        |agent| agent.with_generation_options(GenerationOptions::default().with_max_tokens(5));
    check([
        Case::new("M39", text("Yes.")).agent(limited).answers("Yes.").also(|done| {
            assert_eq!(done.requests[0].body["max_tokens"], 5);
            assert!(!has(&done.requests[0], "max_completion_tokens"));
        }),
        without(
            "M39, refused",
            "max_tokens",
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        )
        .agent(limited)
        .asks(3)
        .also(|done| assert_eq!(done.requests[2].body["max_completion_tokens"], 5)),
        Case::new("M39, by a setting", text("Yes."))
            .client(|client| client.with_token_limit_field("max_output_tokens"))
            .agent(limited)
            .answers("Yes.")
            .also(|done| assert_eq!(done.requests[0].body["max_output_tokens"], 5)),
    ])
    .await;
}
