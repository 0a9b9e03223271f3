//! How a span's component ends.

use agent_runtime::prelude::*;
use tracing::{Span, error, field::Empty, info_span, warn};

use super::{Scene, find};

fn chat() -> Span {
    info_span!(
        "chat",
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = "acme",
        gen_ai.request.model = "small",
        gen_ai.response.id = Empty,
        gen_ai.response.model = Empty,
        gen_ai.response.finish_reasons = Empty,
        gen_ai.response.time_to_first_chunk = Empty,
        gen_ai.output.messages = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        gen_ai.usage.cache_creation.input_tokens = Empty,
        gen_ai.usage.reasoning_tokens = Empty,
        error.type = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

/// The end of the one component that comes of a span.
fn end_of(make: impl FnOnce() -> Span, work: impl FnOnce(&Span)) -> Event {
    let (events, _) = Scene::new().run(|_| {
        let span = make();
        work(&span);
    });
    assert_eq!(events.len(), 2, "{events:?}");
    events[1].clone()
}

#[test]
fn a_request_completes_with_what_its_span_recorded() {
    let completed = end_of(chat, |span| {
        span.record("gen_ai.response.id", "r-1");
        span.record("gen_ai.response.model", "small-2026");
        span.record("gen_ai.response.finish_reasons", r#"["stop"]"#);
        span.record("gen_ai.response.time_to_first_chunk", 0.25);
        span.record(
            "gen_ai.output.messages",
            r#"[{"role": "assistant", "parts": [{"type": "text", "content": "Hi."}]}]"#,
        );
        span.record("gen_ai.usage.input_tokens", 12);
        span.record("gen_ai.usage.output_tokens", 3_u64);
        span.record("gen_ai.usage.cache_read.input_tokens", 4);
        span.record("gen_ai.usage.cache_creation.input_tokens", 2);
        span.record("gen_ai.usage.reasoning_tokens", 1);
    });
    assert_eq!(completed.event_type, EventType::Completed);
    let data = &completed.data;
    let said = ["response", "response_id", "response_model", "finish_reason", "time_to_first_chunk_ms"];
    let expected = [json!("Hi."), json!("r-1"), json!("small-2026"), json!("stop"), json!(250)];
    assert_eq!(said.map(|field| data[field].clone()), expected);
    let usage = json!({"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15, "cached_tokens": 4, "cache_write_tokens": 2, "reasoning_tokens": 1});
    assert_eq!(data["usage"], usage);
}

#[test]
fn a_span_says_how_its_component_ended() {
    let tool = || {
        info_span!(
            "t",
            gen_ai.operation.name = "execute_tool",
            gen_ai.tool.name = "search",
            gen_ai.tool.call.outcome = Empty,
            gen_ai.tool.error.type = Empty,
            gen_ai.tool.call.result = Empty
        )
    };
    let plain = || info_span!("t", gen_ai.operation.name = "execute_tool", gen_ai.tool.name = "search");
    type Make<'a> = &'a dyn Fn() -> Span;
    type Work<'a> = &'a dyn Fn(&Span);
    let with_content = || {
        info_span!(
            "t",
            gen_ai.operation.name = "execute_tool",
            gen_ai.tool.name = "search",
            gen_ai.tool.call.result = Empty
        )
    };
    let cases: [(&str, Make<'_>, Work<'_>, EventType, &str); 13] = [
        ("content is said only where it may be", &with_content, &|_| {}, EventType::Completed, ""),
        ("nothing is known of how it can end", &plain, &|_| {}, EventType::Completed, ""),
        ("no answer came", &chat, &|_| {}, EventType::Canceled, "canceled"),
        ("no outcome came", &tool, &|_| {}, EventType::Canceled, "canceled"),
        (
            "a first piece is no answer",
            &chat,
            &|span| _ = span.record("gen_ai.response.time_to_first_chunk", 0.1),
            EventType::Canceled,
            "canceled",
        ),
        ("an answer came", &chat, &|span| _ = span.record("gen_ai.response.model", "small"), EventType::Completed, ""),
        ("the type of an error", &chat, &|span| _ = span.record("error.type", "429"), EventType::Failed, "429"),
        (
            "an error after an answer",
            &chat,
            &|span| {
                span.record("gen_ai.usage.input_tokens", 5);
                span.record("error.type", "stream_parse");
            },
            EventType::Failed,
            "stream_parse",
        ),
        ("the status alone", &chat, &|span| _ = span.record("otel.status_code", "ERROR"), EventType::Failed, "failed"),
        (
            "an error that was logged",
            &plain,
            &|span| span.in_scope(|| error!("the index is gone")),
            EventType::Failed,
            "failed",
        ),
        ("a warning", &plain, &|span| span.in_scope(|| warn!("slow")), EventType::Completed, ""),
        (
            "an error that was logged and mended",
            &chat,
            &|span| {
                span.in_scope(|| error!("once more"));
                span.record("gen_ai.response.model", "small");
            },
            EventType::Completed,
            "",
        ),
        (
            "what rig says of a tool",
            &tool,
            &|span| {
                span.record("gen_ai.tool.call.outcome", "error");
                span.record("gen_ai.tool.error.type", "not_found");
            },
            EventType::Failed,
            "not_found",
        ),
    ];
    for (case, make, work, event_type, code) in cases {
        let end = end_of(make, work);
        assert_eq!(end.event_type, event_type, "{case}");
        assert_eq!(end.data["error_code"].as_str().unwrap_or_default(), code, "{case}");
    }
}

#[test]
fn the_message_of_a_failure_is_what_the_library_said() {
    let end = end_of(chat, |span| {
        span.record("error.type", "429");
        span.record("otel.status_description", "too many requests");
        span.record("gen_ai.usage.input_tokens", 7);
    });
    assert_eq!(end.message.as_deref(), Some("too many requests"));
    assert_eq!(end.data["usage"]["prompt_tokens"], 7);
}

#[test]
fn an_error_belongs_to_the_innermost_component_and_not_to_what_is_around() {
    let (events, _) = Scene::new().run(|_| {
        let agent = info_span!("a", gen_ai.operation.name = "invoke_agent", gen_ai.agent.name = "writer").entered();
        let tool = info_span!("t", gen_ai.operation.name = "execute_tool", gen_ai.tool.name = "search").entered();
        info_span!("user").in_scope(|| error!("broken"));
        drop((tool, agent));
    });
    assert_eq!(find(&events, "search:0", EventType::Failed).message.as_deref(), Some("broken"));
    find(&events, "writer", EventType::Completed);
}

#[test]
fn a_panic_in_a_span_is_its_failure() {
    let (events, _) = Scene::new().run(|_| {
        let work = || {
            let _chat = chat().entered();
            panic!("over");
        };
        std::panic::catch_unwind(work).expect_err("it panics");
    });
    assert_eq!(events[1].data["error_code"], "panic");
}
