//! Span trees as text, for comparison in a test.

use std::time::Duration;

use opentelemetry::trace::Status;
use opentelemetry_sdk::trace::SpanData;

use super::spans::{Spans, attribute};

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
    Spans::of(spans.to_vec()).draw(|span, _| note(span, attributes))
}

fn note(span: &SpanData, attributes: &[&str]) -> String {
    let duration = span.end_time.duration_since(span.start_time).unwrap_or(Duration::ZERO);
    let mut parts = vec![format!("{duration:?}")];
    for name in attributes {
        parts.extend(attribute(span, name).map(|value| format!("{name}={value}")));
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
