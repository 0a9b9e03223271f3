//! How much goes into one request: no more than a collector takes by default, whatever fills it.

use opentelemetry::{InstrumentationScope, KeyValue, Value, logs::AnyValue};
use opentelemetry_sdk::{logs::SdkLogRecord, trace::SpanData};

/// What the items of a request stay below together: a collector's gRPC receiver refuses more than 4 MiB by default, and
/// the resource comes on top.
const MAX_REQUEST_BYTES: usize = 3 * 1024 * 1024;

/// What an item takes besides its texts: ids, times, numbers, and the tags of all of them.
const ITEM_BYTES: usize = 160;

/// What an attribute takes besides its texts, a number as its value included.
const ATTRIBUTE_BYTES: usize = 24;

/// Items of a signal whose size can be found.
pub(super) trait Measured {
    /// The bytes that it takes in a request at most.
    fn bytes(&self) -> usize;
}

/// Cuts items into requests that are not too large; one that is too large by itself is a request of its own.
pub(super) fn split<T: Measured>(items: Vec<T>) -> Vec<Vec<T>> {
    let mut requests = Vec::new();
    let (mut request, mut size) = (Vec::new(), 0);
    for item in items {
        let bytes = item.bytes();
        if size + bytes > MAX_REQUEST_BYTES && !request.is_empty() {
            requests.push(std::mem::take(&mut request));
            size = 0;
        }
        size += bytes;
        request.push(item);
    }
    requests.push(request);
    requests
}

impl Measured for SpanData {
    fn bytes(&self) -> usize {
        let status = match &self.status {
            opentelemetry::trace::Status::Error { description } => description.len(),
            opentelemetry::trace::Status::Unset | opentelemetry::trace::Status::Ok => 0,
        };
        let events = self.events.iter().map(|event| ITEM_BYTES + event.name.len() + attributes(&event.attributes));
        let links = self
            .links
            .iter()
            .map(|link| ITEM_BYTES + link.span_context.trace_state().header().len() + attributes(&link.attributes));
        ITEM_BYTES
            + self.name.len()
            + self.span_context.trace_state().header().len()
            + status
            + attributes(&self.attributes)
            + events.sum::<usize>()
            + links.sum::<usize>()
    }
}

impl Measured for (&SdkLogRecord, &InstrumentationScope) {
    fn bytes(&self) -> usize {
        let (record, _) = self;
        let attributes = record.attributes_iter().map(|(key, value)| ATTRIBUTE_BYTES + key.as_str().len() + any(value));
        let name = record.event_name().map_or(0, str::len);
        ITEM_BYTES + name + record.body().map_or(0, any) + attributes.sum::<usize>()
    }
}

fn attributes(attributes: &[KeyValue]) -> usize {
    attributes.iter().map(|attribute| ATTRIBUTE_BYTES + attribute.key.as_str().len() + value(&attribute.value)).sum()
}

fn value(value: &Value) -> usize {
    match value {
        Value::String(text) => text.as_str().len(),
        Value::Array(opentelemetry::Array::String(texts)) => {
            texts.iter().map(|text| ATTRIBUTE_BYTES + text.as_str().len()).sum()
        }
        Value::Array(opentelemetry::Array::Bool(values)) => values.len() * ATTRIBUTE_BYTES,
        Value::Array(opentelemetry::Array::I64(values)) => values.len() * ATTRIBUTE_BYTES,
        Value::Array(opentelemetry::Array::F64(values)) => values.len() * ATTRIBUTE_BYTES,
        // A number; the types may grow.
        _ => 0,
    }
}

fn any(value: &AnyValue) -> usize {
    match value {
        AnyValue::String(text) => text.as_str().len(),
        AnyValue::Bytes(bytes) => bytes.len(),
        AnyValue::ListAny(values) => values.iter().map(|value| ATTRIBUTE_BYTES + any(value)).sum(),
        AnyValue::Map(values) => {
            values.iter().map(|(key, value)| ATTRIBUTE_BYTES + key.as_str().len() + any(value)).sum()
        }
        // A number; the types may grow.
        _ => 0,
    }
}
