//! Spans in the form in which they are exported, with the questions that tests ask of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, UNIX_EPOCH},
};

use agent_runtime::view::{Drawing, DrawingNode};
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{Span, span::Event, status::StatusCode},
};
use opentelemetry_sdk::trace::SpanData;
use serde_json::{Value as JsonValue, json};

/// Finished spans.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spans(pub(crate) Vec<Span>);

impl Spans {
    pub(crate) fn of(spans: Vec<SpanData>) -> Self {
        Self(spans.into_iter().map(Span::from).collect())
    }

    /// The one span of a name.
    #[track_caller]
    pub(crate) fn one(&self, name: &str) -> &Span {
        let found = self.all(name);
        assert_eq!(found.len(), 1, "spans named {name:?} in\n{}", self.tree());
        found[0]
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&Span> {
        self.0.iter().filter(|span| span.name == name).collect()
    }

    pub(crate) fn parent_of(&self, span: &Span) -> Option<&Span> {
        self.0.iter().find(|other| other.span_id == span.parent_span_id && other.trace_id == span.trace_id)
    }

    pub(crate) fn roots(&self) -> Vec<&Span> {
        self.0.iter().filter(|span| span.parent_span_id.is_empty()).collect()
    }

    pub(crate) fn trace_ids(&self) -> BTreeSet<Vec<u8>> {
        self.0.iter().map(|span| span.trace_id.clone()).collect()
    }

    pub(crate) fn trace(&self, id: &[u8]) -> Self {
        Self(self.0.iter().filter(|span| span.trace_id == id).cloned().collect())
    }

    /// The names, indented by depth; siblings by their start, those that start at once by their offset.
    pub(crate) fn tree(&self) -> String {
        self.tree_with(|_| String::new())
    }

    /// The tree with something behind each name.
    pub(crate) fn tree_with(&self, note: impl Fn(&Span) -> String) -> String {
        let id = |span_id: &[u8], trace_id: &[u8]| (trace_id.to_vec(), span_id.to_vec());
        let time = |nanos| (UNIX_EPOCH + Duration::from_nanos(nanos)).into();
        Drawing::of(self.0.iter().map(|span| {
            let has_lost_its_parent = !span.parent_span_id.is_empty() && self.parent_of(span).is_none();
            let missing = if has_lost_its_parent { " (its parent is missing)" } else { "" };
            DrawingNode::new(id(&span.span_id, &span.trace_id), span.name.as_str())
                .with_times(time(span.start_time_unix_nano), time(span.end_time_unix_nano))
                .with_rank(attribute(span, "agent_runtime.event.offset").as_u64().unwrap_or(u64::MAX))
                .with_parent(id(&span.parent_span_id, &span.trace_id))
                .with_note(format!("{}{missing}", note(span)).trim_start())
        }))
        .outline()
    }

    /// Panics unless every span has ended, has a place under a span of its trace or is a root, and fits into its parent.
    #[track_caller]
    pub(crate) fn assert_well_formed(&self) {
        let mut ids = BTreeSet::new();
        for span in &self.0 {
            assert!(ids.insert((&span.trace_id, &span.span_id)), "two spans of one id: {}", span.name);
            assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8), "{}", span.name);
            assert!(span.end_time_unix_nano >= span.start_time_unix_nano, "{} ends before it starts", span.name);
            if span.parent_span_id.is_empty() {
                continue;
            }
            let Some(parent) = self.parent_of(span) else {
                panic!("{} lies under a span that was not exported:\n{}", span.name, self.tree())
            };
            // The user's spans go by the wall clock, ours by one that never goes back.
            let is_ours = |span| !attribute(span, "agent_runtime.component.id").is_null();
            if is_ours(span) && is_ours(parent) {
                assert!(span.start_time_unix_nano >= parent.start_time_unix_nano, "{} in {}", span.name, parent.name);
            }
        }
    }

    /// All that is said anywhere in the spans, as one text.
    pub(crate) fn text(&self) -> String {
        format!("{:?}", self.0)
    }
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
