//! Draws finished spans as a tree, with a bar for when and how long each one was.

use std::{
    fmt::Write as _,
    time::{Duration, SystemTime},
};

use opentelemetry::{SpanId, Value, trace::Status};
use opentelemetry_sdk::trace::SpanData;

const BAR_WIDTH: usize = 32;

/// One line of the tree before it is laid out.
struct Line<'a> {
    label: String,
    span: &'a SpanData,
}

/// Draws all spans; a span without its parent among them is a root.
pub(crate) fn draw(spans: &[SpanData]) -> String {
    let is_root = |span: &&SpanData| spans.iter().all(|other| other.span_context.span_id() != span.parent_span_id);
    let mut lines = Vec::new();
    for root in sorted(spans.iter().filter(is_root)) {
        lines.push(Line { label: root.name.to_string(), span: root });
        add_children(root.span_context.span_id(), "", spans, &mut lines);
    }
    let Some(start) = lines.iter().map(|line| line.span.start_time).min() else {
        return "no spans\n".to_owned();
    };
    let total = lines.iter().map(|line| since(start, line.span.end_time)).max().unwrap_or_default();
    let width = lines.iter().map(|line| line.label.chars().count()).max().unwrap_or_default();
    let mut drawing = format!("trace {}\n", lines[0].span.span_context.trace_id());
    for Line { label, span } in &lines {
        let bar = bar(since(start, span.start_time), since(start, span.end_time), total);
        let length = since(span.start_time, span.end_time).as_millis();
        writeln!(drawing, "{label:width$}  {bar}  {length:>5} ms  {}{}", status(span), tokens(span))
            .expect("writing to a string does not fail");
    }
    drawing
}

fn add_children<'a>(parent: SpanId, indent: &str, spans: &'a [SpanData], lines: &mut Vec<Line<'a>>) {
    let children = sorted(spans.iter().filter(|span| span.parent_span_id == parent));
    for (index, child) in children.iter().enumerate() {
        let is_last = index + 1 == children.len();
        let (branch, below) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        lines.push(Line { label: format!("{indent}{branch}{}", child.name), span: child });
        add_children(child.span_context.span_id(), &format!("{indent}{below}"), spans, lines);
    }
}

fn sorted<'a>(spans: impl Iterator<Item = &'a SpanData>) -> Vec<&'a SpanData> {
    let mut spans: Vec<_> = spans.collect();
    spans.sort_by_key(|span| span.start_time);
    spans
}

fn bar(from: Duration, to: Duration, total: Duration) -> String {
    let column = |at: Duration| {
        let share = at.as_secs_f64() / total.as_secs_f64().max(f64::MIN_POSITIVE);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a few dozen columns"
        )]
        let column = (share * BAR_WIDTH as f64).round() as usize;
        column.min(BAR_WIDTH)
    };
    let first = column(from).min(BAR_WIDTH - 1);
    let length = column(to).saturating_sub(first).max(1);
    format!("{}{}{}", "·".repeat(first), "█".repeat(length), "·".repeat(BAR_WIDTH - first - length))
}

fn status(span: &SpanData) -> String {
    match &span.status {
        Status::Error { description } => format!("error: {description}"),
        Status::Unset | Status::Ok => "ok".to_owned(),
    }
}

fn tokens(span: &SpanData) -> String {
    let tokens = |key: &str| match &span.attributes.iter().find(|attribute| attribute.key.as_str() == key)?.value {
        Value::I64(tokens) => Some(*tokens),
        _ => None,
    };
    match (tokens("gen_ai.usage.input_tokens"), tokens("gen_ai.usage.output_tokens")) {
        (Some(input), Some(output)) => format!("  {input} → {output} tokens"),
        _ => String::new(),
    }
}

fn since(start: SystemTime, end: SystemTime) -> Duration {
    end.duration_since(start).unwrap_or_default()
}
