//! Every text passes the redactor, and the redactor cannot do harm.

use std::{borrow::Cow, sync::Arc};

use agent_runtime::{
    otel::{ContentCapture, ContentPolicy, MetricsRecorder, PatternRedactor, Redactor},
    prelude::*,
};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};

use super::{Export, content_events, json_of, schema::check_all, text};

const SECRET: &str = "ann@example.com";

/// Events with the secret in every text that there is.
fn secretive_events() -> Vec<Event> {
    let id = || Some(format!("wf_{SECRET}"));
    let parent = || Some(format!("wf_parent_{SECRET}"));
    let message = || Some(format!("about {SECRET}"));
    let nested = json!({"deep": [{"text": SECRET, SECRET: 1}]});
    let messages = json!([
        {"role": SECRET, "name": SECRET, "content": [{"type": "text", "text": SECRET}, {"type": SECRET, SECRET: SECRET}]},
        {"role": "assistant", "tool_calls": [{"id": SECRET, "name": SECRET, "arguments": format!("{{\"to\": \"{SECRET}\"}}")}]},
        {"role": "tool", "tool_call_id": SECRET, "content": SECRET},
    ]);
    let tools = json!([{"name": SECRET, "description": SECRET, "parameters": nested}]);
    let request = json!({
        "messages": messages, "tools": tools, "model": SECRET, "provider": SECRET, "server_address": SECRET,
        "conversation_id": SECRET,
    });
    let answer = json!({
        "response": format!("write to {SECRET}"), "finish_reason": SECRET, "response_id": SECRET,
        "response_model": SECRET, "tool_calls": [{"id": SECRET, "name": SECRET, "arguments": nested}],
    });
    let failure = json!({"error_code": SECRET, "response": SECRET, "conversation_id": SECRET});
    let tool = json!({
        "tool_name": SECRET, "arguments": nested, "description": SECRET, "tool_call_id": SECRET, "agent": SECRET,
    });
    let agent = json!({"input": nested, "model": SECRET, "description": SECRET});
    let system = json!({"tool_name": SECRET, "note": SECRET, SECRET: 7, "arguments": nested});
    vec![
        Event::workflow_started(SECRET, id(), parent(), json!({"input": nested})),
        Event::workflow_step_started(
            format!("{SECRET}:step:0"),
            id(),
            parent(),
            json!({"step_name": SECRET, "step_type": SECRET, "input": nested}),
        ),
        Event::agent_started(SECRET, id(), parent(), agent),
        Event::llm_started(format!("{SECRET}:llm:0"), id(), parent(), request.clone()),
        Event::llm_progress(format!("{SECRET}:llm:0"), message(), id(), parent(), EventData::chunk(SECRET)),
        Event::llm_completed(format!("{SECRET}:llm:0"), id(), parent(), answer),
        Event::llm_started(format!("{SECRET}:llm:1"), id(), parent(), request),
        Event::llm_progress(format!("{SECRET}:llm:1"), message(), id(), parent(), EventData::chunk("write to ann@")),
        Event::llm_progress(format!("{SECRET}:llm:1"), message(), id(), parent(), EventData::chunk("example.com")),
        Event::llm_failed(format!("{SECRET}:llm:1"), SECRET, id(), parent(), failure.clone()),
        Event::tool_started(format!("{SECRET}:0"), id(), parent(), tool),
        Event::tool_progress(format!("{SECRET}:0"), message(), id(), parent(), json!({"progress": 1, SECRET: 2})),
        Event::system_progress("system:guard", message(), id(), parent(), system),
        Event::tool_completed(format!("{SECRET}:0"), id(), parent(), json!({"result": nested})),
        Event::agent_canceled(SECRET, message(), id(), parent(), failure.clone()),
        Event::workflow_step_completed(format!("{SECRET}:step:0"), id(), parent(), json!({"output": nested})),
        Event::workflow_failed(SECRET, SECRET, id(), parent(), failure),
    ]
}

#[test]
fn whatever_the_capture_no_text_leaves_unredacted() {
    for &capture in ContentCapture::ALL {
        let policy = ContentPolicy::default().with_capture(capture).with_redactor(PatternRedactor::new());
        let export = Export::with(policy);
        secretive_events().into_iter().for_each(|event| drop(export.append(event)));
        tracing::info!(to = SECRET, "in no component");
        let exported = export.exported();
        assert_eq!(exported.find("ann@"), None, "{capture}: {}", around(&exported, "ann@"));
        assert!(exported.contains("[redacted:email]"));
        if capture.is_on_spans() {
            check_all(&export);
        }
    }
}

#[test]
fn the_test_before_would_see_a_leak() {
    let export = Export::capturing(ContentCapture::SpanAndEvent);
    secretive_events().into_iter().for_each(|event| drop(export.append(event)));
    assert!(export.exported().matches(SECRET).count() > 80);
}

#[test]
fn names_in_metrics_are_redacted() {
    let exporter = InMemoryMetricExporter::default();
    let meters = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone()).build();
    let policy = ContentPolicy::default().with_redactor(PatternRedactor::new());
    let recorder = MetricsRecorder::new(meters.meter("test")).with_content(policy);
    let stream = EventStream::new();
    secretive_events().into_iter().for_each(|event| recorder.observe(&stream.append(event).unwrap()));
    meters.force_flush().unwrap();
    let metrics = format!("{:?}", exporter.get_finished_metrics().unwrap());
    assert!(metrics.contains("[redacted:email]"), "{metrics}");
    assert!(!metrics.contains("ann@"), "{}", around(&metrics, "ann@"));
}

#[tokio::test]
async fn the_users_own_log_lines_on_a_span_are_redacted() {
    let policy = ContentPolicy::default().with_redactor(PatternRedactor::new());
    let export = Export::with(policy);
    let workflow = Workflow::new("flow").add_step(TransformStep::new("log", |input: JsonValue| async move {
        tracing::info!(to = SECRET, debugged = ?Some(SECRET), "wrote to {SECRET}");
        Ok::<_, ToolError>(input)
    }));
    export.runtime().execute(&workflow.build(), "hi").await.unwrap();
    let exported = export.exported();
    assert!(exported.contains("wrote to [redacted:email]"), "{exported}");
    assert!(!exported.contains("ann@"));
}

#[test]
fn without_a_redactor_nothing_is_altered() {
    let export = Export::capturing(ContentCapture::SpanOnly);
    let arguments = json!({"password": "hunter2", "to": SECRET, "card": 4_111_111_111_111_111_u64});
    export.append(Event::tool_started("t:0", None, None, json!({"arguments": arguments})));
    export.append(Event::tool_failed("t:0", SECRET, None, None, json!({})));
    let span = export.span("execute_tool");
    assert_eq!(json_of(&span, "gen_ai.tool.call.arguments"), arguments);
    assert_eq!(span.status, opentelemetry::trace::Status::error(SECRET));
}

#[test]
fn fields_are_redacted_by_their_names_and_numbers_by_their_digits() {
    let policy = ContentPolicy::default().with_capture(ContentCapture::SpanOnly);
    let export = Export::with(policy.with_redactor(PatternRedactor::new()));
    let arguments = json!({
        "password": "hunter2", "api_key": 12_345, "card": 4_111_111_111_111_111_u64, "amount": 17, "tokens": ["a"],
        "nested": {"client_secret": ["x", "y"]}, "text": "password is set",
    });
    // Inside of a text, too, if that text is JSON.
    let messages = json!([{"role": "tool", "content": arguments.to_string()}]);
    export.append(Event::tool_started("t:0", None, None, json!({"arguments": arguments.to_string()})));
    export.append(Event::tool_progress("t:0", None, None, None, json!({"card": 4_111_111_111_111_111_u64, "n": 2})));
    export.append(Event::tool_completed("t:0", None, None, json!({"result": 1})));
    export.append(Event::agent_started("a", None, None, json!({"input": arguments})));
    export.append(Event::llm_started("a:llm:0", None, None, json!({"messages": messages})));
    export.append(Event::llm_completed("a:llm:0", None, None, json!({"response": "ok"})));
    export.append(Event::agent_completed("a", None, None, json!({"output": "ok"})));
    let field = "[redacted:field]";
    let expected = json!({
        "password": field, "api_key": field, "card": "[redacted:card]", "amount": 17, "tokens": ["a"],
        "nested": {"client_secret": [field, field]}, "text": "password is set",
    });
    assert_eq!(json_of(&export.span("execute_tool"), "gen_ai.tool.call.arguments"), expected);
    let history = json_of(&export.span("chat"), "gen_ai.input.messages");
    assert_eq!(history[0]["parts"][0]["response"], expected);
    let asked = json_of(&export.span("invoke_agent"), "gen_ai.input.messages");
    assert_eq!(asked[0]["parts"][0]["content"], expected.to_string());
    assert!(!export.exported().contains("4111111111111111"));
}

struct Panicking;

impl Redactor for Panicking {
    fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        panic!("cannot take {text}");
    }
}

/// Replaces everything, as nobody would expect it.
struct Everything;

impl Redactor for Everything {
    fn redact<'a>(&self, _text: &'a str) -> Cow<'a, str> {
        "🐎".into()
    }
}

#[tokio::test]
async fn a_redactor_that_panics_costs_the_texts_and_nothing_else() {
    let policy = ContentPolicy::default().with_capture(ContentCapture::SpanAndEvent).with_redactor(Panicking);
    let export = Export::with(policy);
    let model = Arc::new(ScriptedModel::new("script").with_reply(ScriptedReply::text("the answer")));
    let workflow = Workflow::new("flow").add_step(AgentStep::new(Agent::builder("agent", model).build())).build();
    let run = export.runtime().execute(&workflow, "the prompt").await.unwrap();
    assert_eq!(run.output, "the answer");
    assert_eq!((export.spans().len(), export.mapper.open_spans()), (4, 0));
    let exported = export.exported();
    assert!(!exported.contains("the prompt") && !exported.contains("the answer"));
    assert!(exported.contains("[redaction failed]"));
    check_all(&export);

    // Also when the end itself comes of a panic.
    let workflow = Workflow::new("panics").add_step(TransformStep::new("step", |_| async move {
        if true {
            panic!("of the step");
        }
        Ok::<_, ToolError>(json!(1))
    }));
    let runtime = export.runtime();
    let workflow = workflow.build();
    let run = std::panic::AssertUnwindSafe(runtime.execute(&workflow, "the prompt"));
    assert!(futures_util::FutureExt::catch_unwind(run).await.is_err());
    assert_eq!((export.spans().len(), export.mapper.open_spans()), (6, 0));
}

#[test]
fn a_redactor_that_replaces_everything_leaves_the_schema() {
    let policy = ContentPolicy::default().with_capture(ContentCapture::SpanAndEvent).with_redactor(Everything);
    let export = Export::with(policy);
    content_events().into_iter().for_each(|event| drop(export.append(event)));
    check_all(&export);
    for word in ["PROMPT", "ANSWER", "ARGUMENT", "RESULT", "lookup"] {
        assert!(!export.exported().contains(word), "{word}");
    }
    let chat = export.spans().into_iter().find(|span| span.name.starts_with("chat")).unwrap();
    assert_eq!(text(&chat, "gen_ai.operation.name").as_deref(), Some("chat"), "the bridge's own words stay");
}

#[test]
fn a_key_is_redacted_before_the_text_is_cut() {
    let policy = ContentPolicy::default().with_capture(ContentCapture::SpanOnly).with_max_bytes(512);
    for filler in (300..600).chain(1_900..2_100) {
        let export = Export::with(policy.clone().with_redactor(PatternRedactor::new()));
        let prompt = format!("{} sk-secret-0123456789abcdef0123456789abcdef", "x ".repeat(filler / 2));
        export.append(Event::agent_started("a", None, None, json!({"input": prompt})));
        export.append(Event::agent_completed("a", None, None, json!({"output": prompt})));
        assert!(!export.exported().contains("sk-s"), "{filler}");
    }
}

fn around<'a>(text: &'a str, needle: &str) -> &'a str {
    let at = text.find(needle).unwrap_or_default();
    &text[text.floor_char_boundary(at.saturating_sub(300))..text.floor_char_boundary((at + 100).min(text.len()))]
}
