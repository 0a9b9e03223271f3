//! The chat as it goes back to the model: in a form that the strictest server takes.

use std::collections::HashSet;

use serde_json::Value as JsonValue;

use crate::{
    event::ToolCall,
    llm::{ChatMessage, ChatResponse},
    runtime::tool::{self, UNNAMED_TOOL},
};

/// The longest name of a tool that servers take.
const MAX_NAME_BYTES: usize = 64;

/// What a model reads where a tool's result is an empty text, which some servers refuse.
const EMPTY_RESULT: &str = "(empty)";

/// The chat so far. Each call in it has a name, an id of its own and arguments that are a JSON object, each tool's message
/// has the id of its call, and no text of the model or of a tool is empty.
pub(super) struct History {
    messages: Vec<ChatMessage>,
    ids: HashSet<String>,
    made_up: usize,
}

impl History {
    pub(super) fn new(system_prompt: Option<&str>, input: &JsonValue) -> Self {
        let prompt = system_prompt.filter(|prompt| !prompt.trim().is_empty());
        let messages = prompt.map(ChatMessage::system).into_iter().chain([ChatMessage::user(as_text(input))]);
        Self { messages: messages.collect(), ids: HashSet::new(), made_up: 0 }
    }

    pub(super) fn messages(&self) -> &[ChatMessage] {
        &self.messages
    }

    /// Assigns each call of an answer an id that no other call of the chat has.
    pub(super) fn identify(&mut self, calls: &mut [ToolCall]) {
        for call in calls {
            while call.id.trim().is_empty() || !self.ids.insert(call.id.clone()) {
                call.id = format!("call_{}", self.made_up);
                self.made_up += 1;
            }
        }
    }

    /// Adds an answer with calls, and their results in the order of the calls, in at most so many bytes.
    pub(super) fn push(&mut self, response: ChatResponse, results: &[JsonValue], max_result_bytes: usize) {
        let results: Vec<_> = results.iter().map(as_text).collect();
        let share = share(results.iter().map(String::len), max_result_bytes);
        let results = response.tool_calls.iter().zip(results);
        let answers: Vec<_> = results.map(|(call, result)| ChatMessage::tool(cut(result, share), &*call.id)).collect();
        let calls = response.tool_calls.into_iter().map(|call| ToolCall {
            name: valid_name(&call.name),
            arguments: tool::object_text(&call.arguments).into_owned(),
            ..call
        });
        self.messages.push(ChatMessage::assistant(response.text, calls.collect()).with_extra(response.extra));
        self.messages.extend(answers);
    }
}

/// A JSON value as a model reads it: a string bare, everything else as JSON.
fn as_text(value: &JsonValue) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The most bytes of one result, so that all of them are within the limit and only the longest are cut.
fn share(lengths: impl Iterator<Item = usize>, limit: usize) -> usize {
    let mut lengths: Vec<_> = lengths.collect();
    lengths.sort_unstable();
    let (mut room, mut left) = (limit, lengths.len());
    for length in lengths {
        if length.saturating_mul(left) > room {
            return room / left;
        }
        room -= length;
        left -= 1;
    }
    limit
}

fn cut(mut text: String, max_bytes: usize) -> String {
    if text.trim().is_empty() {
        return EMPTY_RESULT.to_owned();
    }
    if text.len() > max_bytes {
        let marker = format!("… [cut: the result has {} bytes]", text.len());
        text.truncate(text.floor_char_boundary(max_bytes.saturating_sub(marker.len())));
        text += &marker;
    }
    text
}

/// A name of letters of ASCII, digits, `_` and `-`, from what a model made up.
fn valid_name(name: &str) -> String {
    let is_valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let name: String = name.chars().take(MAX_NAME_BYTES).map(|c| if is_valid(c) { c } else { '_' }).collect();
    if name.is_empty() { UNNAMED_TOOL.to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_unique_over_the_chat_and_kept_where_they_are() {
        let mut history = History::new(None, &json!("go"));
        let mut identify = |ids: &[&str]| {
            let mut calls: Vec<_> = ids.iter().map(|id| ToolCall::new(*id, "look", "{}")).collect();
            history.identify(&mut calls);
            calls.into_iter().map(|call| call.id).collect::<Vec<_>>()
        };
        assert_eq!(identify(&["a", "", "a", "call_2"]), ["a", "call_0", "call_1", "call_2"]);
        assert_eq!(identify(&["b", "a", " "]), ["b", "call_3", "call_4"]);
    }

    #[test]
    fn what_goes_back_is_what_the_strictest_server_takes() {
        let check = |call: ToolCall, name: &str, arguments: &str| {
            let mut history = History::new(Some(" "), &json!({"a": 1}));
            let mut response = ChatResponse::default();
            response.tool_calls.push(call);
            history.push(response, &[json!("")], 100);
            let [input, assistant, answer] = history.messages() else { panic!("not three messages") };
            assert_eq!(input, &ChatMessage::user("{\"a\":1}"));
            let call = &assistant.tool_calls[0];
            assert_eq!((&*call.name, &*call.arguments, &*answer.content), (name, arguments, EMPTY_RESULT));
            assert_eq!(assistant.to_json()["content"], JsonValue::Null);
        };
        check(ToolCall::new("a", "files.read ü", "{\"é\": 1}"), "files_read__", "{\"é\": 1}");
        check(ToolCall::new("a", "", ""), UNNAMED_TOOL, "{}");
        check(ToolCall::new("a", &*"n".repeat(99), "[1]"), &"n".repeat(64), "{}");
    }

    #[test]
    fn results_share_the_room_and_say_that_they_are_cut() {
        assert_eq!(share([3, 5].into_iter(), 10), 10);
        assert_eq!(share([1, 100, 100].into_iter(), 11), 5);
        assert_eq!(share([100, 100].into_iter(), 10), 5);
        assert_eq!(share(std::iter::empty(), 10), 10);
        assert_eq!(cut("馬".repeat(30), 60), "馬馬馬馬馬馬馬馬… [cut: the result has 90 bytes]");
        assert_eq!(cut("short".to_owned(), 5), "short");
    }
}
