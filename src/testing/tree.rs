//! Span trees as text, for comparison in a test.

use std::time::Duration;

use opentelemetry::{
    Value,
    trace::{SpanId, Status},
};
use opentelemetry_sdk::trace::SpanData;

use crate::{
    otel::EVENT_OFFSET,
    view::{Drawing, DrawingNode},
};

/// Draws finished spans as an indented tree, one line a span, with duration, status, span events and those attributes
/// whose names are given. A span whose parent is not among them is a root.
///
/// ```text
/// invoke_agent writer 30ms
///   chat scripted 30ms gen_ai.usage.output_tokens=4 [agent_runtime.llm.chunk]
///   execute_tool search 0ns ERROR "there is nothing to find"
/// ```
#[must_use]
pub fn span_tree(spans: &[SpanData], attributes: &[&str]) -> String {
    Drawing::of(spans.iter().map(|span| {
        let node = DrawingNode::new(span.span_context.span_id().to_bytes(), span.name.as_ref())
            .with_times(span.start_time.into(), span.end_time.into())
            .with_rank(offset(span))
            .with_note(note(span, attributes));
        let parent = Some(span.parent_span_id).filter(|parent| *parent != SpanId::INVALID);
        parent.into_iter().fold(node, |node, parent| node.with_parent(parent.to_bytes()))
    }))
    .outline()
}

fn note(span: &SpanData, attributes: &[&str]) -> String {
    let duration = span.end_time.duration_since(span.start_time).unwrap_or(Duration::ZERO);
    let mut parts = vec![format!("{duration:?}")];
    for name in attributes {
        let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == *name);
        parts.extend(found.map(|attribute| format!("{name}={}", attribute.value)));
    }
    if !span.events.is_empty() {
        let names: Vec<_> = span.events.iter().map(|event| event.name.as_ref()).collect();
        parts.push(format!("[{}]", names.join(", ")));
    }
    if let Status::Error { description } = &span.status {
        parts.push(format!("ERROR {description:?}"));
    }
    parts.join(" ")
}

/// The place of the span's Started event, which orders spans that began at once.
fn offset(span: &SpanData) -> u64 {
    let offset = span.attributes.iter().find(|attribute| attribute.key.as_str() == EVENT_OFFSET);
    match offset.map(|attribute| &attribute.value) {
        Some(Value::I64(offset)) => u64::try_from(*offset).unwrap_or_default(),
        _ => 0,
    }
}
