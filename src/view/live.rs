//! Lines for people, as the events come.

use std::{fmt, mem};

use uuid::Uuid;

use super::text::{one_line, printable};
use crate::event::{Event, EventScope, EventType};

/// The most characters of one line that is no model's answer.
const MAX_LINE_CHARS: usize = 400;

/// Text to be printed while events come: what begins, how far it is, what models say, how it ends.
///
/// A model's answer is on one line as its pieces come. While one answer has the line, the pieces of others wait and are
/// printed together: when the line is free, at the latest when their own request ends. Control characters are replaced, so that
/// an answer cannot steer the terminal.
///
/// ```
/// use agent_runtime::{prelude::*, view::Live};
///
/// let mut live = Live::new();
/// live.extend(&[
///     Event::llm_progress("writer:llm:0", None, None, None, EventData::chunk("Hello ")),
///     Event::llm_progress("editor:llm:0", None, None, None, EventData::chunk("Not ")),
///     Event::llm_progress("writer:llm:0", None, None, None, EventData::chunk("there")),
///     Event::llm_progress("editor:llm:0", None, None, None, EventData::chunk("bad")),
/// ]);
/// assert_eq!(live.take(), "      writer says: Hello there");
///
/// live.observe(&Event::llm_failed("writer:llm:0", "timeout", None, None, json!({})));
/// live.observe(&Event::llm_progress("editor:llm:0", None, None, None, EventData::chunk(".")));
/// assert_eq!(live.take(), "\n      writer:llm:0 failed: timeout\n      editor says: Not bad.");
/// ```
#[derive(Debug, Default)]
pub struct Live {
    text: String,
    /// The request whose answer has the line.
    speaker: Option<RequestKey>,
    /// Whether the line is open, for more of the speaker's answer.
    is_line_open: bool,
    /// What others have said meanwhile, oldest first.
    waiting: Vec<(RequestKey, String)>,
    dropped_bytes: u64,
}

/// A request by its ids and, if its events name it, the id of its start.
type RequestKey = (Option<String>, String, Option<Uuid>);

impl Live {
    /// The most bytes of text that are kept until they are taken. Then the older half goes.
    pub const MAX_BYTES: usize = 1 << 20;

    /// The most bytes of an answer that waits for the line. What is beyond is not printed.
    pub const MAX_WAITING_BYTES: usize = 1 << 16;

    /// The most answers that wait for the line. When one more begins, the oldest goes.
    pub const MAX_WAITING: usize = 64;

    /// Makes a view that has nothing to print yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the next event.
    pub fn observe(&mut self, event: &Event) {
        if (event.scope, event.event_type) == (EventScope::LlmRequest, EventType::Progress) {
            self.speak(event);
        } else {
            if event.event_type.is_terminal() {
                self.finish(event);
            }
            if let Some(line) = line(event) {
                self.add_line(&line);
            }
        }
        self.bound();
    }

    /// Adds a line that is no event's, such as that a subscription lagged.
    pub fn add_line(&mut self, line: &str) {
        self.break_line();
        self.text.push_str(&one_line(line, MAX_LINE_CHARS));
        self.text.push('\n');
        self.bound();
    }

    /// Takes out what there is to print. It ends within a line if an answer is still coming.
    #[must_use]
    pub fn take(&mut self) -> String {
        mem::take(&mut self.text)
    }

    /// How many bytes were dropped because they were not taken in time, or waited too long for the line.
    #[must_use]
    pub const fn dropped_bytes(&self) -> u64 {
        self.dropped_bytes
    }

    fn speak(&mut self, event: &Event) {
        let piece = printable(event.data.chunk_text().unwrap_or_default());
        let key = key(event);
        if self.speaker.as_ref().is_some_and(|speaker| *speaker != key) {
            self.wait(key, &piece);
            return;
        }
        let waited = self.take_waiting(&key).unwrap_or_default();
        if !self.is_line_open {
            self.text.push_str(indent(event.scope));
            self.text.push_str(&one_line(event.component_name(), MAX_LINE_CHARS));
            self.text.push_str(" says: ");
            self.is_line_open = true;
        }
        self.text.push_str(&waited);
        self.text.push_str(&piece);
        self.speaker = Some(key);
    }

    /// Prints what waited of a request that is over, and frees the line of the speaker that is over.
    fn finish(&mut self, event: &Event) {
        let key = key(event);
        let is_over = |speaker: &RequestKey| match event.scope {
            EventScope::LlmRequest => *speaker == key,
            EventScope::Workflow => speaker.0.is_some() && speaker.0 == key.0,
            EventScope::WorkflowStep | EventScope::Agent | EventScope::Tool | EventScope::System => false,
        };
        if self.speaker.as_ref().is_some_and(is_over) {
            self.break_line();
            self.speaker = None;
        }
        if event.scope == EventScope::LlmRequest
            && let Some(waited) = self.take_waiting(&key)
        {
            self.break_line();
            let name = one_line(event.component_name(), MAX_LINE_CHARS);
            self.text.push_str(&format!("{}{name} says: {waited}\n", indent(event.scope)));
        }
    }

    fn wait(&mut self, key: RequestKey, piece: &str) {
        let place = self.waiting.iter().position(|(waiting, _)| *waiting == key).unwrap_or_else(|| {
            if self.waiting.len() == Self::MAX_WAITING {
                self.dropped_bytes += self.waiting.remove(0).1.len() as u64;
            }
            self.waiting.push((key, String::new()));
            self.waiting.len() - 1
        });
        let (_, text) = &mut self.waiting[place];
        let room = Self::MAX_WAITING_BYTES - text.len();
        let fits = piece.floor_char_boundary(room);
        text.push_str(&piece[..fits]);
        self.dropped_bytes += (piece.len() - fits) as u64;
    }

    fn take_waiting(&mut self, key: &RequestKey) -> Option<String> {
        let place = self.waiting.iter().position(|(waiting, _)| waiting == key)?;
        Some(self.waiting.remove(place).1)
    }

    fn break_line(&mut self) {
        if mem::take(&mut self.is_line_open) {
            self.text.push('\n');
        }
    }

    fn bound(&mut self) {
        if self.text.len() > Self::MAX_BYTES {
            let dropped = self.text.ceil_char_boundary(self.text.len() - Self::MAX_BYTES / 2);
            self.text.drain(..dropped);
            self.dropped_bytes += dropped as u64;
        }
    }
}

fn key(event: &Event) -> RequestKey {
    (event.workflow_id.clone(), event.component_id.clone(), event.start_id)
}

const fn indent(scope: EventScope) -> &'static str {
    match scope {
        EventScope::Workflow => "",
        EventScope::WorkflowStep => "  ",
        EventScope::Agent | EventScope::System => "    ",
        EventScope::LlmRequest | EventScope::Tool => "      ",
    }
}

/// What there is to say of an event besides a model's words.
fn line(event: &Event) -> Option<String> {
    let Event { scope, event_type, component_id: id, data, .. } = event;
    let message = event.message.as_deref().unwrap_or_default();
    let said = match (scope, event_type) {
        (EventScope::LlmRequest, EventType::Completed) => {
            format!("{id} done, {} tokens", data.usage().unwrap_or_default().total_tokens)
        }
        (EventScope::Tool, EventType::Started) => match data.arguments() {
            Some(arguments) => format!("{id} {arguments}"),
            None => id.clone(),
        },
        (EventScope::Tool, EventType::Completed) => match data.result() {
            Some(result) => format!("{id} = {result}"),
            None => format!("{id} done"),
        },
        (_, EventType::Progress) => format!("{id}: {message}"),
        (_, EventType::Failed | EventType::Canceled) => format!("{id} {event_type}: {message}"),
        (_, EventType::Started) => format!("{scope} {id} started"),
        (EventScope::Workflow, EventType::Completed) => format!("{scope} {id} done"),
        (_, EventType::Completed) => return None,
    };
    Some(format!("{}{said}", indent(*scope)))
}

impl<'a> Extend<&'a Event> for Live {
    fn extend<I: IntoIterator<Item = &'a Event>>(&mut self, events: I) {
        events.into_iter().for_each(|event| self.observe(event));
    }
}

impl fmt::Display for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
