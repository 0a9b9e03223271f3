//! Each value of the capture, and what appears where.

use agent_runtime::{
    otel::{ContentCapture, ContentPolicy},
    prelude::*,
};
use opentelemetry::logs::{AnyValue, Severity};
use opentelemetry_sdk::trace::Sampler;

use super::{Export, as_json, content_events, json_of, log_attribute, text};

const SPAN_CONTENT: [(&str, &str); 14] = [
    ("invoke_workflow", "gen_ai.input.messages"),
    ("invoke_workflow", "gen_ai.output.messages"),
    ("workflow_step", "agent_runtime.step.input"),
    ("workflow_step", "agent_runtime.step.output"),
    ("invoke_agent", "gen_ai.input.messages"),
    ("invoke_agent", "gen_ai.output.messages"),
    ("chat", "gen_ai.input.messages"),
    ("chat", "gen_ai.output.messages"),
    ("chat", "gen_ai.tool.definitions"),
    ("execute_tool", "gen_ai.tool.call.arguments"),
    ("execute_tool", "gen_ai.tool.call.result"),
    // The rest is never there.
    ("chat", "gen_ai.system_instructions"),
    ("invoke_agent", "gen_ai.tool.definitions"),
    ("chat", "agent_runtime.content.truncated"),
];

#[test]
fn each_value_puts_content_where_it_says() {
    for &capture in ContentCapture::ALL {
        let export = Export::capturing(capture);
        for event in content_events() {
            export.append(event);
        }
        for (index, (span, attribute)) in SPAN_CONTENT.into_iter().enumerate() {
            let is_there = text(&export.span(span), attribute).is_some();
            assert_eq!(is_there, capture.is_on_spans() && index < 11, "{capture}: {attribute} on {span}");
        }
        let names: Vec<_> = export.logs().iter().filter_map(|log| log.event_name()).collect();
        let expected: &[&str] =
            if capture.is_in_events() { &["gen_ai.client.inference.operation.details"] } else { &[] };
        assert_eq!(names, expected, "{capture}");
        let has_content = export.exported().contains("ANSWER");
        assert_eq!(has_content, capture != ContentCapture::NoContent, "{capture}");
    }
}

#[test]
fn a_span_has_content_as_json_strings_in_the_schema_of_the_conventions() {
    let export = Export::capturing(ContentCapture::SpanOnly);
    content_events().into_iter().for_each(|event| drop(export.append(event)));
    let said = |role: &str, content: &str| json!([{"role": role, "parts": [{"type": "text", "content": content}]}]);
    let answered = |content: &str| {
        let mut messages = said("assistant", content);
        messages[0]["finish_reason"] = json!("stop");
        messages
    };
    let history = json!([
        {"role": "system", "parts": [{"type": "text", "content": "SYSTEM PROMPT"}]},
        {"role": "user", "parts": [{"type": "text", "content": "PROMPT"}]},
        {"role": "assistant", "parts": [
            {"type": "tool_call", "id": "call_0", "name": "lookup", "arguments": {"n": 1}},
        ]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_0", "response": {"found": 1}}]},
    ]);
    let answer = json!([{"role": "assistant", "finish_reason": "tool_call", "parts": [
        {"type": "text", "content": "ANSWER"},
        {"type": "tool_call", "id": "call_1", "name": "lookup", "arguments": {"account": "ARGUMENT"}},
    ]}]);
    let tools = json!([
        {"type": "function", "name": "lookup", "description": "Looks things up.", "parameters": {"type": "object"}},
    ]);
    for (span, attribute, expected) in [
        ("invoke_workflow", "gen_ai.input.messages", said("user", "PROMPT")),
        ("invoke_workflow", "gen_ai.output.messages", answered(r#"{"text":"ANSWER"}"#)),
        ("workflow_step", "agent_runtime.step.input", json!("PROMPT")),
        ("workflow_step", "agent_runtime.step.output", json!({"text": "ANSWER"})),
        ("invoke_agent", "gen_ai.input.messages", said("user", "PROMPT")),
        ("invoke_agent", "gen_ai.output.messages", answered("ANSWER")),
        ("chat", "gen_ai.input.messages", history),
        ("chat", "gen_ai.output.messages", answer),
        ("chat", "gen_ai.tool.definitions", tools),
        ("execute_tool", "gen_ai.tool.call.arguments", json!({"account": "ARGUMENT"})),
        ("execute_tool", "gen_ai.tool.call.result", json!({"result": ["RESULT"]})),
    ] {
        assert_eq!(json_of(&export.span(span), attribute), expected, "{attribute} of {span}");
    }
}

#[test]
fn the_details_have_all_attributes_of_the_span_and_the_same_content_structured() {
    let export = Export::capturing(ContentCapture::SpanAndEvent);
    content_events().into_iter().for_each(|event| drop(export.append(event)));
    let (span, logs) = (export.span("chat"), export.logs());
    let [log] = logs.as_slice() else { panic!("{logs:?}") };

    assert_eq!(log.event_name(), Some("gen_ai.client.inference.operation.details"));
    assert_eq!((log.severity_number(), log.severity_text()), (Some(Severity::Debug), Some("DEBUG")));
    assert_eq!(log.timestamp(), Some(span.end_time));
    let context = log.trace_context().expect("it belongs to the span");
    assert_eq!((context.trace_id, context.span_id), (span.span_context.trace_id(), span.span_context.span_id()));
    for attribute in &span.attributes {
        let name = attribute.key.as_str();
        let value = log_attribute(log, name).unwrap_or_else(|| panic!("the log event has no {name}"));
        let is_content = name.ends_with(".messages") || name.ends_with(".definitions");
        if is_content {
            assert!(matches!(value, AnyValue::ListAny(_)), "{name} is structured");
            assert_eq!(as_json(&value), json_of(&span, name), "{name}");
        } else {
            let value = as_json(&value);
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            assert_eq!(text, attribute.value.as_str().replace(", ", ","), "{name}");
        }
    }
    assert_eq!(log.attributes_iter().count(), span.attributes.len());
}

#[test]
fn content_of_a_trace_that_is_not_sampled_is_not_even_redacted() {
    struct Untouchable;
    impl agent_runtime::otel::Redactor for Untouchable {
        fn redact<'a>(&self, text: &'a str) -> std::borrow::Cow<'a, str> {
            assert!(!text.contains("PROMPT") && !text.contains("ANSWER"), "{text} was looked at");
            text.into()
        }
    }
    let policy = ContentPolicy::default().with_capture(ContentCapture::SpanAndEvent).with_redactor(Untouchable);
    let export = Export::sampled(policy, Sampler::AlwaysOff);
    content_events().into_iter().for_each(|event| drop(export.append(event)));
    assert!(export.spans().is_empty() && export.logs().is_empty());
}
