//! A run, drawn for a terminal of some width.

use std::{io, time::Duration};

use agent_runtime::event::ComponentStatus;

use super::story::{Component, Story};
use crate::{
    terminal::{self, Color, Output},
    times,
};

/// The columns of a duration.
const DURATION: usize = 9;

/// The narrowest bar that is drawn, and the widest.
const BAR: (usize, usize) = (8, 60);

/// The levels that have an indentation; what lies deeper is drawn at the deepest.
const MAX_DEPTH: usize = 40;

/// How the columns of a line are shared.
struct Columns {
    label: usize,
    bar: usize,
    all: usize,
}

pub(super) fn draw(story: &Story, output: &mut Output) -> io::Result<()> {
    output.line(&heading(story, output))?;
    let branches = branches(&story.components);
    let labels: Vec<_> = story
        .components
        .iter()
        .zip(branches)
        .map(|(component, branch)| (branch, terminal::printable(&component.title)))
        .collect();
    let widest = labels.iter().map(|(branch, title)| terminal::width(branch) + terminal::width(title)).max();
    let notes: Vec<_> = story.components.iter().map(|component| note(component, &story.usage.currency)).collect();
    let widest_note = notes.iter().map(|note| terminal::width(note)).max();
    let columns = Columns::of(Output::columns(), widest.unwrap_or_default(), widest_note.unwrap_or_default());
    let end = |component: &Component| component.start_ms + component.duration_ms;
    let total = story.components.iter().map(end).fold(0.0, f64::max);
    for (index, (component, ((branch, title), note))) in
        story.components.iter().zip(labels.iter().zip(&notes)).enumerate()
    {
        let label = terminal::padded(&format!("{branch}{title}"), columns.label);
        let bar = bar(component, total, columns.bar);
        let color = color_of(component.status);
        let length = times::length(Duration::try_from_secs_f64(component.duration_ms / 1e3).unwrap_or_default());
        let gap = if bar.is_empty() { "" } else { "  " };
        output.line(&format!(
            "{label}{gap}{}  {length:>DURATION$}  {}",
            output.paint(color, &bar),
            output.paint(color, note)
        ))?;
        if let Some(message) = &component.message
            && is_cause(&story.components, index)
        {
            let below = branch.replace("├─ ", "│  ").replace("└─ ", "   ");
            let room = columns.all.saturating_sub(terminal::width(&below) + 2);
            let message = terminal::cut(&terminal::printable(message), room);
            output.line(&format!("{below}  {}", output.paint(color, &message)))?;
        }
    }
    output.line(&footing(story))
}

fn heading(story: &Story, output: &Output) -> String {
    let id = output.paint(Color::Strong, &terminal::printable(&story.workflow_id));
    let trace = story.trace_id.as_ref().map(|trace| format!("  trace {trace}")).unwrap_or_default();
    format!("run {id}  at {}{}", story.position, trace)
}

fn footing(story: &Story) -> String {
    let usage = &story.usage;
    let mut text = format!("{} components", story.components.len());
    if story.dropped > 0 {
        text.push_str(&format!(", and {} that were left out", story.dropped));
    }
    if usage.requests > 0 {
        let of_failed = if usage.failed > 0 { format!(" ({} failed)", usage.failed) } else { String::new() };
        text.push_str(&format!(
            ", {} requests{of_failed}, {} → {} tokens",
            usage.requests, usage.input_tokens, usage.output_tokens
        ));
    }
    if let Some(cost) = usage.cost {
        text.push_str(&format!(", {}", money(cost, &usage.currency)));
        if usage.requests_without_price > 0 {
            text.push_str(&format!(" and {} requests without a price", usage.requests_without_price));
        }
    }
    text
}

impl Columns {
    fn of(all: usize, label: usize, note: usize) -> Self {
        let fixed = 2 + DURATION + 2 + note;
        let label = label.min((all * 9 / 20).min(all.saturating_sub(fixed)));
        // With the gap in front of it.
        let room = all.saturating_sub(label + fixed);
        // A bar that says nothing leaves its room to the rest.
        let bar = if room < BAR.0 + 2 { 0 } else { (room - 2).min(BAR.1) };
        Self { label, bar, all }
    }
}

/// What stands in front of each title.
fn branches(components: &[Component]) -> Vec<String> {
    let depth = |component: &Component| component.depth.min(MAX_DEPTH);
    // Whether another one of the same level follows, found from the end.
    let mut follows = [false; MAX_DEPTH + 1];
    let mut lines = Vec::with_capacity(components.len());
    for component in components.iter().rev() {
        let level = depth(component);
        let mut line = String::new();
        let between = follows.iter().take(level).skip(1);
        line.extend(between.map(|follows| if *follows { "│  " } else { "   " }));
        if level > 0 {
            line.push_str(if follows[level] { "├─ " } else { "└─ " });
        }
        lines.push(line);
        follows[level] = true;
        follows[level + 1..].fill(false);
    }
    lines.reverse();
    lines
}

fn bar(component: &Component, total: f64, columns: usize) -> String {
    if columns == 0 {
        return String::new();
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a few dozen columns"
    )]
    let column = |at: f64| ((at / total.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0) * columns as f64).round() as usize;
    let first = column(component.start_ms).min(columns - 1);
    let length = column(component.start_ms + component.duration_ms).saturating_sub(first).max(1);
    let full = if component.has_ended { "█" } else { "▒" };
    format!("{}{}{}", "·".repeat(first), full.repeat(length), "·".repeat(columns - first - length))
}

fn note(component: &Component, currency: &str) -> String {
    let status = match component.status {
        ComponentStatus::Completed => "ok",
        other => other.as_str(),
    };
    let mut note = status.to_owned();
    if let (Some(input), Some(output)) = (component.input_tokens, component.output_tokens) {
        note.push_str(&format!("  {input} → {output} tokens"));
    }
    if let Some(cost) = component.cost {
        note.push_str(&format!("  {}", money(cost, currency)));
    }
    note
}

fn money(amount: f64, currency: &str) -> String {
    format!("{amount:.6} {}", terminal::printable(currency))
}

/// Whether what went wrong began here: nothing directly below ended the same way.
fn is_cause(components: &[Component], index: usize) -> bool {
    let component = &components[index];
    let ended_so = |status| matches!(status, ComponentStatus::Failed | ComponentStatus::Canceled);
    let mut below = components[index + 1..].iter().take_while(|below| below.depth > component.depth);
    ended_so(component.status) && !below.any(|below| ended_so(below.status))
}

const fn color_of(status: ComponentStatus) -> Color {
    match status {
        ComponentStatus::Pending | ComponentStatus::Running => Color::Running,
        ComponentStatus::Completed => Color::Good,
        ComponentStatus::Failed => Color::Bad,
        ComponentStatus::Canceled => Color::Warning,
    }
}
