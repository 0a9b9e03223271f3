//! Span trees as text, for comparison in a test.

use std::{fmt::Write as _, time::Duration};

use opentelemetry::{SpanId, Value, trace::Status};
use opentelemetry_sdk::trace::SpanData;

use crate::otel::EVENT_OFFSET;

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
    let is_root = |span: &SpanData| !spans.iter().any(|other| other.span_context.span_id() == span.parent_span_id);
    let mut drawing = String::new();
    for root in in_order(spans, is_root) {
        draw(root, 0, spans, attributes, &mut drawing);
    }
    drawing
}

fn draw(span: &SpanData, depth: usize, spans: &[SpanData], attributes: &[&str], drawing: &mut String) {
    drawing.push_str(&"  ".repeat(depth));
    drawing.push_str(&line(span, attributes));
    drawing.push('\n');
    let id = span.span_context.span_id();
    for child in in_order(spans, |other| other.parent_span_id == id && id != SpanId::INVALID) {
        draw(child, depth + 1, spans, attributes, drawing);
    }
}

fn line(span: &SpanData, attributes: &[&str]) -> String {
    let duration = span.end_time.duration_since(span.start_time).unwrap_or(Duration::ZERO);
    let mut line = format!("{} {duration:?}", span.name);
    for name in attributes {
        if let Some(attribute) = span.attributes.iter().find(|attribute| attribute.key.as_str() == *name) {
            push(&mut line, format_args!(" {name}={}", attribute.value));
        }
    }
    if !span.events.is_empty() {
        let names: Vec<_> = span.events.iter().map(|event| event.name.as_ref()).collect();
        push(&mut line, format_args!(" [{}]", names.join(", ")));
    }
    if let Status::Error { description } = &span.status {
        push(&mut line, format_args!(" ERROR {description:?}"));
    }
    line
}

fn push(line: &mut String, part: std::fmt::Arguments<'_>) {
    line.write_fmt(part).expect("writing to a string does not fail");
}

/// The spans that meet a condition, by start; those that started at once, in the order of their Started events.
fn in_order(spans: &[SpanData], condition: impl Fn(&SpanData) -> bool) -> Vec<&SpanData> {
    let mut found: Vec<_> = spans.iter().filter(|span| condition(span)).collect();
    found.sort_by(|a, b| (a.start_time, offset(a), &a.name).cmp(&(b.start_time, offset(b), &b.name)));
    found
}

fn offset(span: &SpanData) -> Option<i64> {
    let offset = span.attributes.iter().find(|attribute| attribute.key.as_str() == EVENT_OFFSET)?;
    match offset.value {
        Value::I64(offset) => Some(offset),
        _ => None,
    }
}
