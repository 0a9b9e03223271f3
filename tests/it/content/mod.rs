//! What of a run's content leaves the process, and in which form.

mod canaries;
mod capture;
mod environment;
mod export;
mod failures;
mod redaction;
mod schema;
mod truncation;

use std::{fmt::Write as _, sync::Arc};

use agent_runtime::{
    otel::{ContentCapture, ContentPolicy, LogEmitter, OtelLayer, SpanMapper, to_otlp_json},
    prelude::*,
    stream::EventStream,
};
use opentelemetry::{
    logs::{AnyValue, LoggerProvider as _},
    trace::TracerProvider as _,
};
use opentelemetry_sdk::{
    Resource,
    logs::{InMemoryLogExporter, SdkLogRecord, SdkLoggerProvider},
    trace::{InMemorySpanExporter, Sampler, SdkTracerProvider, SpanData},
};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::support;

/// A stream whose events become spans and log events, under a policy.
pub(crate) struct Export {
    pub(crate) stream: EventStream,
    spans: InMemorySpanExporter,
    logs: InMemoryLogExporter,
    pub(crate) emitter: Arc<LogEmitter>,
    pub(crate) mapper: Arc<SpanMapper<opentelemetry_sdk::trace::SdkTracer>>,
    _subscriber: DefaultGuard,
}

impl Export {
    pub(crate) fn capturing(capture: ContentCapture) -> Self {
        Self::with(ContentPolicy::default().with_capture(capture))
    }

    pub(crate) fn with(policy: ContentPolicy) -> Self {
        Self::sampled(policy, Sampler::AlwaysOn)
    }

    fn sampled(policy: ContentPolicy, sampler: Sampler) -> Self {
        let (spans, logs) = (InMemorySpanExporter::default(), InMemoryLogExporter::default());
        let tracers = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).with_sampler(sampler).build();
        let loggers = SdkLoggerProvider::builder().with_simple_exporter(logs.clone()).build();
        let mapper = Arc::new(SpanMapper::new(tracers.tracer("test")).with_content(policy.clone()));
        let emitter = Arc::new(LogEmitter::new(loggers.logger("test"), policy));
        let layer = OtelLayer::new(Arc::clone(&mapper)).with_log_events(Arc::clone(&emitter));
        let subscriber = support::set_default(tracing_subscriber::registry().with(layer));
        Self { stream: EventStream::new(), spans, logs, emitter, mapper, _subscriber: subscriber }
    }

    pub(crate) fn runtime(&self) -> Runtime {
        Runtime::with_event_stream(self.stream.clone())
    }

    pub(crate) fn append(&self, event: Event) -> Arc<Event> {
        self.stream.append(event).expect("the event is valid")
    }

    pub(crate) fn spans(&self) -> Vec<SpanData> {
        self.spans.get_finished_spans().expect("the exporter is not shut down")
    }

    /// The only span whose name begins like this.
    pub(crate) fn span(&self, name: &str) -> SpanData {
        let mut spans: Vec<_> = self.spans().into_iter().filter(|span| span.name.starts_with(name)).collect();
        assert_eq!(spans.len(), 1, "{name}: {spans:?}");
        spans.remove(0)
    }

    pub(crate) fn logs(&self) -> Vec<SdkLogRecord> {
        let logs = self.logs.get_emitted_logs().expect("the exporter is not shut down");
        logs.into_iter().map(|log| log.record).collect()
    }

    /// All that was exported, as text.
    pub(crate) fn exported(&self) -> String {
        let mut text = to_otlp_json(self.spans(), &Resource::builder_empty().build()).expect("spans have a JSON form");
        for log in self.logs() {
            write!(text, "\n{log:?}").expect("writing to a string does not fail");
        }
        text
    }
}

/// An attribute of a span as text.
pub(crate) fn text(span: &SpanData, name: &str) -> Option<String> {
    let attribute = span.attributes.iter().find(|attribute| attribute.key.as_str() == name)?;
    Some(attribute.value.as_str().into_owned())
}

/// An attribute of a span that is a JSON string.
fn json_of(span: &SpanData, name: &str) -> JsonValue {
    let text = text(span, name).unwrap_or_else(|| panic!("{} has no {name}", span.name));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name} is not JSON: {error}: {text}"))
}

pub(crate) fn log_attribute(log: &SdkLogRecord, name: &str) -> Option<AnyValue> {
    log.attributes_iter().find(|(key, _)| key.as_str() == name).map(|(_, value)| value.clone())
}

/// A structured value as JSON, to compare it with.
fn as_json(value: &AnyValue) -> JsonValue {
    match value {
        AnyValue::Int(value) => json!(value),
        AnyValue::Double(value) => json!(value),
        AnyValue::String(value) => json!(value.as_str()),
        AnyValue::Boolean(value) => json!(value),
        AnyValue::ListAny(values) => values.iter().map(as_json).collect(),
        AnyValue::Map(fields) => fields.iter().map(|(key, value)| (key.to_string(), as_json(value))).collect(),
        other => panic!("{other:?} has no JSON form here"),
    }
}

/// The events of one workflow with a request and a tool call, with content in all of them.
fn content_events() -> Vec<Event> {
    let id = || Some("wf_1".to_owned());
    let call = json!({"id": "call_1", "name": "lookup", "arguments": "{\"account\": \"ARGUMENT\"}"});
    let tools = json!([{"type": "function", "function": {
        "name": "lookup", "description": "Looks things up.", "parameters": {"type": "object"},
    }}]);
    let history = json!([
        {"role": "system", "content": "SYSTEM PROMPT"},
        {"role": "user", "content": "PROMPT"},
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": "call_0", "type": "function", "function": {"name": "lookup", "arguments": "{\"n\": 1}"}},
        ]},
        {"role": "tool", "content": "{\"found\": 1}", "tool_call_id": "call_0"},
    ]);
    let request = json!({"messages": history, "model": "m", "stream": true, "provider": "openai", "tools": tools});
    let answer = json!({"response": "ANSWER", "finish_reason": "tool_calls", "tool_calls": [call]});
    let arguments = json!({"tool_name": "lookup", "arguments": {"account": "ARGUMENT"}, "tool_call_id": "call_1"});
    vec![
        Event::workflow_started("flow", id(), None, json!({"input": "PROMPT"})),
        Event::workflow_step_started("flow:step:0", id(), None, json!({"step_name": "ask", "input": "PROMPT"})),
        Event::agent_started("helper", id(), None, json!({"input": "PROMPT"})),
        Event::llm_started("helper:llm:0", id(), None, request),
        Event::llm_progress("helper:llm:0", Some("ANSWER".into()), id(), None, EventData::chunk("ANSWER")),
        Event::llm_completed("helper:llm:0", id(), None, answer),
        Event::tool_started("lookup:0", id(), None, arguments),
        Event::tool_completed("lookup:0", id(), None, json!({"tool_name": "lookup", "result": ["RESULT"]})),
        Event::agent_completed("helper", id(), None, json!({"output": "ANSWER"})),
        Event::workflow_step_completed(
            "flow:step:0",
            id(),
            None,
            json!({"step_name": "ask", "output": {"text": "ANSWER"}}),
        ),
        Event::workflow_completed("flow", id(), None, json!({"output": {"text": "ANSWER"}})),
    ]
}
