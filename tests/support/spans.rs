//! Spans in the form in which they are exported, with the questions that tests ask of them.

use std::{
    collections::BTreeMap,
    time::{Duration, UNIX_EPOCH},
};

use agent_runtime::{
    event::{SpanId, TraceId},
    testing::{self, SpanPlace},
};
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{Span, span::Event, status::StatusCode},
};
use opentelemetry_sdk::trace::SpanData;
use serde_json::{Value as JsonValue, json};

/// Finished spans, as a collector gets them.
pub(crate) type Spans = testing::Spans<Span>;

/// Spans of the SDK, as a collector gets them.
pub(crate) fn of(spans: Vec<SpanData>) -> Spans {
    placed(spans.into_iter().map(Span::from).collect())
}

/// Spans that a collector got.
pub(crate) fn placed(spans: Vec<Span>) -> Spans {
    Spans::placed(spans, place_of)
}

fn place_of(span: &Span) -> SpanPlace {
    let trace_id = TraceId::from_bytes(span.trace_id.as_slice().try_into().expect("a trace id has 16 bytes"));
    let span_id = |id: &[u8]| SpanId::from_bytes(id.try_into().expect("a span id has 8 bytes"));
    let time = |nanos| (UNIX_EPOCH + Duration::from_nanos(nanos)).into();
    let mut place = SpanPlace::new(span.name.as_str(), trace_id, span_id(&span.span_id))
        .with_times(time(span.start_time_unix_nano), time(span.end_time_unix_nano));
    if !span.parent_span_id.is_empty() {
        place = place.with_parent(span_id(&span.parent_span_id));
    }
    match attribute(span, "agent_runtime.event.offset").as_u64() {
        Some(offset) => place.with_offset(offset),
        None => place,
    }
}

/// All that is said anywhere in the spans, as one text.
pub(crate) fn text(spans: &Spans) -> String {
    format!("{spans:?}")
}

/// The value of an attribute, null if there is none.
pub(crate) fn attribute(span: &Span, key: &str) -> JsonValue {
    value_of(&span.attributes, key)
}

/// All attributes.
pub(crate) fn attributes(span: &Span) -> BTreeMap<String, JsonValue> {
    span.attributes.iter().map(|attribute| (attribute.key.clone(), json_of(attribute.value.as_ref()))).collect()
}

/// The value of a span event's attribute, null if there is none.
pub(crate) fn event_attribute(event: &Event, key: &str) -> JsonValue {
    value_of(&event.attributes, key)
}

/// The events of a span of one name.
pub(crate) fn events<'a>(span: &'a Span, name: &str) -> Vec<&'a Event> {
    span.events.iter().filter(|event| event.name == name).collect()
}

/// The number of chunks that a chat span says it had, and the sum over its events.
pub(crate) fn chunk_counts(span: &Span) -> (i64, i64) {
    const COUNT: &str = "agent_runtime.llm.chunk_count";
    let merged = events(span, "agent_runtime.llm.chunk");
    let sum =
        merged.iter().map(|event| event_attribute(event, COUNT).as_i64().expect("each event has its count")).sum();
    (attribute(span, COUNT).as_i64().unwrap_or_default(), sum)
}

/// The status, in a word, with the failure's kind and message: `unset` or `error(code): message`.
pub(crate) fn outcome(span: &Span) -> String {
    let status = span.status.clone().unwrap_or_default();
    match status.code() {
        StatusCode::Unset => "unset".to_owned(),
        StatusCode::Ok => "ok".to_owned(),
        StatusCode::Error => {
            format!("error({}): {}", attribute(span, "error.type").as_str().unwrap_or("none"), status.message)
        }
    }
}

fn value_of(attributes: &[KeyValue], key: &str) -> JsonValue {
    attributes
        .iter()
        .find(|attribute| attribute.key == key)
        .map_or(JsonValue::Null, |attribute| json_of(attribute.value.as_ref()))
}

fn json_of(value: Option<&AnyValue>) -> JsonValue {
    match value.and_then(|value| value.value.as_ref()) {
        None => JsonValue::Null,
        Some(Value::StringValue(text)) => json!(text),
        Some(Value::BoolValue(value)) => json!(value),
        Some(Value::IntValue(value)) => json!(value),
        Some(Value::DoubleValue(value)) => json!(value),
        Some(Value::ArrayValue(list)) => list.values.iter().map(|value| json_of(Some(value))).collect(),
        Some(other) => panic!("no attribute of ours is a {other:?}"),
    }
}
