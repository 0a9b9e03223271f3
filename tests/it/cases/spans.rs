//! B42, exceptions and OpenInference: what readers look for on a span, and what goes first where room is short.

use std::sync::Arc;

use agent_runtime::{
    otel::{ContentCapture, ContentPolicy, OtelLayer, SpanMapper},
    prelude::*,
    stream::EventStream,
};
use opentelemetry::trace::{Status, TracerProvider as _};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData, SpanLimits};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::{
    content::{Export, text},
    support,
};

/// Appends events where a span takes so many attributes.
fn limited(attributes: u32, events: Vec<Event>) -> Vec<SpanData> {
    let exporter = InMemorySpanExporter::default();
    let limits = SpanLimits { max_attributes_per_span: attributes, ..SpanLimits::default() };
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).with_span_limits(limits).build();
    let layer = OtelLayer::new(Arc::new(SpanMapper::new(provider.tracer("test"))));
    let _subscriber = support::set_default(tracing_subscriber::registry().with(layer));
    let stream = EventStream::new();
    events.into_iter().for_each(|event| drop(stream.append(event).expect("the event is valid")));
    exporter.get_finished_spans().expect("the exporter is not shut down")
}

#[test]
fn where_room_is_short_tokens_reasons_and_errors_are_there() {
    let started = json!({"model": "m", "provider": "p", "server_address": "h", "server_port": 1, "stream": true,
        "temperature": 0.5, "top_p": 0.5, "max_tokens": 5, "conversation_id": "c"});
    let usage = json!({"prompt_tokens": 1, "completion_tokens": 2, "cached_tokens": 1, "reasoning_tokens": 1});
    let ended = json!({"usage": usage, "finish_reason": "stop", "response_id": "r", "response_model": "m"});
    let failed = json!({"usage": usage, "error_code": "timeout"});
    let start = || Event::llm_started("a:llm:0", Some("w".into()), None, started.clone());
    for (id, end, looked_for) in [
        (
            "B42",
            Event::llm_completed("a:llm:0", Some("w".into()), None, ended),
            ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.response.finish_reasons"],
        ),
        (
            "B42: failed",
            Event::llm_failed("a:llm:0", "no", Some("w".into()), None, failed),
            ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "error.type"],
        ),
    ] {
        let spans = limited(12, vec![start(), end]);
        assert_eq!(spans[0].attributes.len(), 12, "{id}");
        for name in looked_for {
            assert!(text(&spans[0], name).is_some(), "{id} lacks {name}: {:?}", spans[0].attributes);
        }
    }
}

#[test]
fn what_failed_or_was_canceled_has_the_reason_as_an_event_beside_all_others() {
    let end = |event: Event| {
        let export = Export::with(ContentPolicy::default());
        let id = || Some("w".to_owned());
        export.append(Event::workflow_started("f", id(), None, json!({})));
        for number in 0..300 {
            let progress = Some(format!("{number} done"));
            export.append(Event::workflow_progress("f", progress, id(), None, json!({})));
            export.append(Event::system_progress("system:noise", None, id(), None, json!({})));
        }
        export.append(event);
        if export.mapper.open_spans() > 0 {
            export.mapper.close();
        }
        export.span("invoke_workflow")
    };
    let id = || Some("w".to_owned());
    for (name, event, kind, message) in [
        (
            "failed",
            Event::workflow_failed("f", "no disk", id(), None, json!({"error_code": "io"})),
            Some("io"),
            Some("no disk"),
        ),
        ("canceled", Event::workflow_canceled("f", None, id(), None, json!({})), Some("canceled"), Some("canceled")),
        (
            "interrupted",
            Event::system_progress("system:noise", None, id(), None, json!({})),
            Some("interrupted"),
            Some("the end of the component was never reported"),
        ),
        ("completed", Event::workflow_completed("f", id(), None, json!({})), None, None),
    ] {
        let span = end(event);
        let exceptions: Vec<_> = span.events.iter().filter(|event| event.name == "exception").collect();
        assert_eq!(exceptions.len(), usize::from(kind.is_some()), "{name}");
        assert_eq!(span.events.dropped_count, 0, "{name}");
        if let Some(exception) = exceptions.first() {
            let said = |key: &str| {
                let found = exception.attributes.iter().find(|attribute| attribute.key.as_str() == key);
                found.map(|attribute| attribute.value.as_str().into_owned())
            };
            assert_eq!(said("exception.type").as_deref(), kind, "{name}");
            assert_eq!(said("exception.message").as_deref(), message, "{name}");
            assert_eq!(span.status, Status::error(message.unwrap().to_owned()), "{name}");
            assert_eq!(text(&span, "error.type").as_deref(), kind, "{name}");
        }
    }
}

#[test]
fn open_inference_is_a_switch_and_its_values_are_the_content() {
    let events = || {
        let id = || Some("w".to_owned());
        vec![
            Event::workflow_started("f", id(), None, json!({"input": "ask"})),
            Event::workflow_step_started("f:step:0", id(), None, json!({"step_name": "s", "input": {"n": 1}})),
            Event::agent_started("a", id(), None, json!({"input": "ask"})),
            Event::llm_started("a:llm:0", id(), None, json!({"messages": [{"role": "user", "content": "ask"}]})),
            Event::llm_completed("a:llm:0", id(), None, json!({"response": "said"})),
            Event::workflow_step_started("f:step:1", id(), None, json!({"step_name": "of texts", "input": "ask"})),
            Event::workflow_step_completed("f:step:1", id(), None, json!({"output": "said"})),
            Event::tool_started("t:0", id(), None, json!({"arguments": {"n": 1}})),
            Event::tool_completed("t:0", id(), None, json!({"result": {"n": 2}})),
            Event::agent_completed("a", id(), None, json!({"output": "said"})),
            Event::workflow_step_completed("f:step:0", id(), None, json!({"output": {"n": 2}})),
            Event::workflow_completed("f", id(), None, json!({"output": "said"})),
        ]
    };
    for (is_on, capture) in
        [(false, ContentCapture::SpanOnly), (true, ContentCapture::NoContent), (true, ContentCapture::SpanOnly)]
    {
        let policy = ContentPolicy::default().with_capture(capture).with_open_inference(is_on);
        let export = Export::with(policy);
        events().into_iter().for_each(|event| drop(export.append(event)));
        let rows = [
            ("invoke_workflow", Some("CHAIN"), Some(("ask", "said", "text/plain"))),
            ("workflow_step of texts", Some("CHAIN"), Some(("ask", "said", "text/plain"))),
            ("workflow_step s", Some("CHAIN"), Some((r#"{"n":1}"#, r#"{"n":2}"#, "application/json"))),
            ("invoke_agent", None, Some(("ask", "said", "text/plain"))),
            ("chat", None, None),
            ("execute_tool", None, Some((r#"{"n":1}"#, r#"{"n":2}"#, "application/json"))),
        ];
        for (name, kind, values) in rows {
            let span = export.span(name);
            assert_eq!(text(&span, "openinference.span.kind").as_deref(), kind.filter(|_| is_on), "{name}");
            let values = values.filter(|_| is_on && capture.is_on_spans());
            let found = |key| text(&span, key);
            assert_eq!(found("input.value").as_deref(), values.map(|(input, ..)| input), "{name}");
            assert_eq!(found("output.value").as_deref(), values.map(|(_, output, _)| output), "{name}");
            assert_eq!(found("input.mime_type").as_deref(), values.map(|(.., mime_type)| mime_type), "{name}");
        }
    }
}
