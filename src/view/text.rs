//! The words of events, made fit for a screen.

use crate::event::{Event, EventScope};

/// The most characters that a view keeps of a title or a message.
pub(super) const MAX_CHARS: usize = 200;

/// A text as one line of at most `max_chars` characters.
pub(super) fn one_line(text: &str, max_chars: usize) -> String {
    let mut chars = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = chars.by_ref().take(max_chars).collect();
    if chars.next().is_some() {
        line.pop();
        line.push('…');
    }
    line
}

/// A text that keeps its line breaks and cannot steer a terminal.
pub(super) fn printable(text: &str) -> String {
    let is_harmless = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    text.chars().map(|c| if is_harmless(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// What a component is called: the name that its span has.
pub(super) fn title(event: &Event) -> String {
    let data = &event.data;
    let (operation, name) = match event.scope {
        EventScope::Workflow => ("invoke_workflow", workflow_name(event)),
        EventScope::WorkflowStep => ("workflow_step", data.step_name()),
        EventScope::Agent => ("invoke_agent", Some(event.component_name())),
        EventScope::LlmRequest => ("chat", data.model()),
        EventScope::Tool => ("execute_tool", Some(data.tool_name().unwrap_or_else(|| event.component_name()))),
        EventScope::System => ("system", Some(event.component_name())),
    };
    one_line(&name.map_or_else(|| operation.to_owned(), |name| format!("{operation} {name}")), MAX_CHARS)
}

/// The workflow's name, unless it is a generated id.
fn workflow_name(event: &Event) -> Option<&str> {
    let is_generated = Some(&event.component_id) == event.workflow_id.as_ref() || event.component_id.starts_with("wf_");
    Some(event.component_id.as_str()).filter(|_| !is_generated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_one_short_line_or_keep_their_breaks_without_steering_a_terminal() {
        for (text, line) in
            [("a\r\nb\tc", "a  b c"), ("", ""), ("12345", "12345"), ("123456", "1234…"), ("äöüßé!", "äöüß…")]
        {
            assert_eq!(one_line(text, if text.starts_with("a\r") { 10 } else { 5 }), line);
        }
        assert_eq!(printable("red \u{1b}[31m\nnext\tcell\r\u{9b}"), "red \u{fffd}[31m\nnext\tcell\u{fffd}\u{fffd}");
    }
}
