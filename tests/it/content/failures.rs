//! What there is of the content of a component that did not come to a good end.

use agent_runtime::{otel::ContentCapture, prelude::*};
use opentelemetry::logs::Severity;

use super::{Export, as_json, json_of, log_attribute, text};

const OUTPUT: &str = "gen_ai.output.messages";

fn request(export: &Export, chunks: &[&str], end: Event) {
    let messages = json!([{"role": "user", "content": "hi"}]);
    export.append(Event::llm_started("a:llm:0", None, None, json!({"model": "m", "messages": messages})));
    for chunk in chunks {
        let data = EventData::chunk(*chunk);
        export.append(Event::llm_progress("a:llm:0", Some((*chunk).into()), None, None, data));
    }
    export.append(end);
}

fn partial(text: &str) -> JsonValue {
    json!([{"role": "assistant", "parts": [{"type": "text", "content": text}], "finish_reason": "error"}])
}

#[test]
fn the_answer_is_what_really_came() {
    let completed = |data: JsonValue| Event::llm_completed("a:llm:0", None, None, data);
    let failed = |data: JsonValue| Event::llm_failed("a:llm:0", "broken", None, None, data);
    let canceled = || Event::llm_canceled("a:llm:0", None, None, None, json!({"error_code": "canceled"}));
    let whole =
        |parts: JsonValue, reason: &str| json!([{"role": "assistant", "parts": parts, "finish_reason": reason}]);
    let said = |text: &str| json!([{"type": "text", "content": text}]);
    for (chunks, end, expected) in [
        (&["a ", "b"][..], completed(json!({"response": "a b"})), Some(whole(said("a b"), "stop"))),
        // Another producer tells the answer by its pieces alone.
        (&["a ", "b"], completed(json!({"usage": {}})), Some(whole(said("a b"), "stop"))),
        (
            &[],
            completed(json!({"response": "", "finish_reason": "content_filter"})),
            Some(whole(json!([]), "content_filter")),
        ),
        (
            &[],
            completed(json!({"tool_calls": [{"name": "f", "arguments": {"x": 1}}]})),
            Some(whole(json!([{"type": "tool_call", "name": "f", "arguments": {"x": 1}}]), "tool_call")),
        ),
        (&[], completed(json!({"tool_calls": 2})), None),
        (&["a ", "b"], failed(json!({"error_code": "timeout"})), Some(partial("a b"))),
        (&["a ", "b"], failed(json!({"response": "a b c"})), Some(partial("a b c"))),
        (&[], failed(json!({"response": ""})), None),
        (&[], failed(json!({})), None),
        (&["a "], canceled(), Some(partial("a "))),
        (&[], canceled(), None),
    ] {
        let export = Export::capturing(ContentCapture::SpanAndEvent);
        let what = format!("{chunks:?} {end:?}");
        request(&export, chunks, end);
        let span = export.span("chat");
        let on_span = text(&span, OUTPUT).map(|_| json_of(&span, OUTPUT));
        assert_eq!(on_span, expected, "{what}");
        let in_event = log_attribute(&export.logs()[0], OUTPUT).map(|value| as_json(&value));
        assert_eq!(in_event, expected, "{what}");
    }
}

#[test]
fn a_failed_request_is_also_told_as_an_exception() {
    let export = Export::capturing(ContentCapture::EventOnly);
    let data = json!({"error_code": "rate_limit_exceeded"});
    request(&export, &[], Event::llm_failed("a:llm:0", "slow down", None, None, data));
    let logs = export.logs();
    let names: Vec<_> = logs.iter().filter_map(|log| log.event_name()).collect();
    assert_eq!(names, ["gen_ai.client.inference.operation.details", "gen_ai.client.operation.exception"]);
    let exception = &logs[1];
    assert_eq!(exception.severity_number(), Some(Severity::Warn));
    let attributes: JsonValue =
        exception.attributes_iter().map(|(key, value)| (key.to_string(), as_json(value))).collect();
    assert_eq!(attributes, json!({"exception.type": "rate_limit_exceeded", "exception.message": "slow down"}));
    assert_eq!(
        exception.trace_context().map(|context| context.span_id),
        Some(export.span("chat").span_context.span_id())
    );

    let details = log_attribute(&logs[0], "error.type").map(|value| as_json(&value));
    assert_eq!(details, Some(json!("rate_limit_exceeded")));
}

#[test]
fn a_cancellation_is_no_exception() {
    let export = Export::capturing(ContentCapture::EventOnly);
    request(&export, &[], Event::llm_canceled("a:llm:0", None, None, None, json!({})));
    assert_eq!(export.logs().len(), 1);
}

#[test]
fn content_of_what_never_ended_is_exported_with_what_came_of_it() {
    let export = Export::capturing(ContentCapture::SpanAndEvent);
    export.append(Event::llm_started("a:llm:0", None, None, json!({"model": "m"})));
    export.append(Event::llm_progress("a:llm:0", None, None, None, EventData::chunk("half")));
    export.emitter.close();
    export.mapper.close();
    assert_eq!(json_of(&export.span("chat"), OUTPUT), partial("half"));
    let log = &export.logs()[0];
    assert_eq!(log_attribute(log, OUTPUT).map(|value| as_json(&value)), Some(partial("half")));
    assert_eq!(log_attribute(log, "error.type").map(|value| as_json(&value)), Some(json!("interrupted")));
}

#[test]
fn an_end_without_a_start_keeps_its_content() {
    let export = Export::capturing(ContentCapture::SpanAndEvent);
    export.append(Event::llm_completed("a:llm:0", None, None, json!({"response": "late"})));
    assert!(text(&export.span("chat"), OUTPUT).is_some_and(|output| output.contains("late")));
    assert_eq!(export.logs().len(), 1);
}

#[test]
fn a_tool_that_failed_has_arguments_and_no_result() {
    let export = Export::capturing(ContentCapture::SpanOnly);
    // As other producers do: arguments as a JSON string, no tool name.
    export.append(Event::tool_started("lookup:0", None, None, json!({"arguments": "{\"a\": 1}"})));
    export.append(Event::tool_failed("lookup:0", "no", None, None, json!({"result": "not one"})));
    let span = export.span("execute_tool lookup");
    assert_eq!(json_of(&span, "gen_ai.tool.call.arguments"), json!({"a": 1}));
    assert_eq!(text(&span, "gen_ai.tool.call.result"), None);
}

#[test]
fn without_content_on_the_span_its_error_goes_without_what_it_quotes() {
    let message = r#"cannot read the answer of "m": "dear diary""#;
    for (capture, expected) in [
        (ContentCapture::NoContent, r#"cannot read the answer of "…""#),
        (ContentCapture::EventOnly, r#"cannot read the answer of "…""#),
        (ContentCapture::SpanOnly, message),
        (ContentCapture::SpanAndEvent, message),
    ] {
        let export = Export::capturing(capture);
        request(&export, &[], Event::llm_failed("a:llm:0", message, None, None, json!({})));
        assert_eq!(export.span("chat").status, opentelemetry::trace::Status::error(expected), "{capture}");
    }
}
