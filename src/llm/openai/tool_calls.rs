//! Which call a piece of a call belongs to, and what is new in it.
//!
//! OpenAI numbers the calls, and names each once, with its id, in its first piece. Other servers leave the number out,
//! number all calls 0, send a call whole, cut names and ids too, repeat them or the arguments with each piece, or make
//! up a new id for each piece.

use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Value as JsonValue};

use super::{
    json_span::JsonSpan,
    lenient::{lenient, not_empty},
    surrogates::replace_halves,
};
use crate::llm::{ChatDelta, ToolCallDelta};

/// The most bytes of a call's arguments that are kept to see whether the next piece repeats them: 64 KiB.
const MAX_KEPT_BYTES: usize = 64 * 1024;

/// What some servers send ahead of the arguments.
const NO_ARGUMENTS: &str = "{}";

/// A piece of a tool call.
#[derive(Debug, Deserialize)]
pub(super) struct CallPiece {
    #[serde(default, deserialize_with = "lenient")]
    index: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    id: Option<String>,
    #[serde(default)]
    function: Option<Function>,
    /// What the provider wants back with the call, such as the signature of a thought; unknown fields.
    #[serde(flatten)]
    extra: Map<String, JsonValue>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Function {
    #[serde(default, deserialize_with = "lenient")]
    name: Option<String>,
    /// JSON text; some servers send the object itself.
    #[serde(default)]
    arguments: JsonValue,
    #[serde(flatten)]
    extra: Map<String, JsonValue>,
}

/// The calls of an answer so far, in the order in which they began.
#[derive(Debug, Default)]
pub(super) struct ToolCalls {
    /// The names of the tools that the model was offered.
    tools: Vec<String>,
    calls: Vec<KnownCall>,
}

#[derive(Debug, Default)]
struct KnownCall {
    index: Option<u64>,
    id: Option<String>,
    name: String,
    /// The arguments, up to [`MAX_KEPT_BYTES`].
    kept: String,
    length: usize,
    span: JsonSpan,
    /// Whether the arguments are `{}` so far and have not been passed on: they may be a mere placeholder.
    is_placeholder: bool,
}

/// How a piece stands to a call.
enum Relation {
    Another,
    /// Goes on with the call, whose name is now this, if it has changed.
    Same(Option<String>),
}

impl CallPiece {
    /// A call in the form that came before `tool_calls`.
    pub(super) fn of_function(function: Function) -> Self {
        Self { index: None, id: None, function: Some(function), extra: Map::new() }
    }
}

impl ToolCalls {
    pub(super) fn new(tools: Vec<String>) -> Self {
        Self { tools, calls: Vec::new() }
    }

    /// Returns the piece as a delta; `None` if it says nothing new.
    pub(super) fn read(&mut self, piece: CallPiece) -> Option<ChatDelta> {
        let CallPiece { index, id, function, mut extra } = piece;
        let function = function.unwrap_or_default();
        let (id, name) = (not_empty(id), not_empty(function.name).unwrap_or_default());
        let mut arguments = function.arguments;
        replace_halves(&mut arguments);
        let arguments = match arguments {
            JsonValue::Null => String::new(),
            JsonValue::String(text) => text,
            value => value.to_string(),
        };
        extra.retain(|name, value| name != "type" && !value.is_null());
        if !function.extra.is_empty() {
            extra.insert("function".to_owned(), function.extra.into());
        }
        let (place, name) = match self.find(index, id.as_deref(), &name, &arguments) {
            Some((place, name)) => (place, name),
            None => {
                self.calls.push(KnownCall { index, ..KnownCall::default() });
                (self.calls.len() - 1, not_empty(Some(name)))
            }
        };
        let is_new = self.calls[place].id.is_none() && self.calls[place].name.is_empty();
        let call = &mut self.calls[place];
        let id = call.add_id(id, arguments.is_empty() && name.is_none());
        if let Some(name) = &name {
            call.name.clone_from(name);
        }
        let arguments = call.add_arguments(&arguments);
        let says_something = is_new || id.is_some() || name.is_some() || !arguments.is_empty() || !extra.is_empty();
        says_something.then_some(ToolCallDelta { index: place, id, name, arguments, extra }.into())
    }

    /// Returns what was held back and is whole now that the answer is.
    pub(super) fn finish(&mut self) -> impl Iterator<Item = ChatDelta> {
        let calls = self.calls.iter_mut().enumerate();
        let held = calls.filter_map(|(place, call)| std::mem::take(&mut call.is_placeholder).then_some(place));
        held.map(|place| ChatDelta::arguments(place, NO_ARGUMENTS))
    }

    /// The call that a piece goes on with, and its name if that has changed; `None` if the piece begins a call.
    fn find(
        &self,
        index: Option<u64>,
        id: Option<&str>,
        name: &str,
        arguments: &str,
    ) -> Option<(usize, Option<String>)> {
        let by_id = || id.and_then(|id| self.calls.iter().rposition(|call| call.id.as_deref() == Some(id)));
        let place = match index {
            Some(_) => self.calls.iter().rposition(|call| call.index == index)?,
            None => by_id().or_else(|| self.calls.len().checked_sub(1))?,
        };
        match self.relation(&self.calls[place], id, name, arguments) {
            Relation::Same(name) => Some((place, name)),
            // With a name and an id, both known, it is the call of that id, whatever its number.
            Relation::Another => by_id().map(|place| (place, None)),
        }
    }

    fn relation(&self, call: &KnownCall, id: Option<&str>, name: &str, arguments: &str) -> Relation {
        let known_id = call.id.as_deref();
        if name.is_empty() {
            return Relation::Same(None);
        }
        if call.name.is_empty() {
            return Relation::Same(Some(name.to_owned()));
        }
        if id.is_some() && known_id.is_some() {
            return if id == known_id { Relation::Same(None) } else { Relation::Another };
        }
        if call.name == name {
            let is_whole_again = arguments.trim().is_empty() || call.kept.trim() == arguments.trim();
            let is_another = call.span.is_complete() && !call.is_placeholder && !is_whole_again;
            return if is_another { Relation::Another } else { Relation::Same(None) };
        }
        let joined = format!("{}{name}", call.name);
        let is_tool = |name: &str| self.tools.iter().any(|tool| tool == name);
        if call.length > 0 {
            Relation::Another
        } else if is_tool(&joined) {
            Relation::Same(Some(joined))
        } else if is_tool(&call.name) {
            Relation::Another
        } else if name.starts_with(&call.name) {
            Relation::Same(Some(name.to_owned()))
        } else if is_tool(name) {
            Relation::Another
        } else {
            Relation::Same(Some(joined))
        }
    }
}

impl KnownCall {
    /// Returns the call's id if it is news. Servers that cut ids send the pieces by themselves.
    fn add_id(&mut self, id: Option<String>, is_alone: bool) -> Option<String> {
        let id = id.filter(|id| self.id.as_ref() != Some(id))?;
        let joined = match &self.id {
            None => id,
            Some(known) if is_alone && self.length == 0 => format!("{known}{id}"),
            Some(_) => return None,
        };
        self.id = Some(joined.clone());
        Some(joined)
    }

    /// Returns what is new in the next arguments.
    fn add_arguments(&mut self, arguments: &str) -> String {
        if self.is_placeholder && arguments.trim_start().starts_with('{') {
            (self.kept, self.length, self.span, self.is_placeholder) = <_>::default();
        }
        let is_kept_whole = self.length == self.kept.len();
        if self.span.is_complete() && is_kept_whole && arguments.trim() == self.kept.trim() {
            return String::new();
        }
        let repeats = is_kept_whole && self.length > 0 && arguments.starts_with(&*self.kept);
        let mut news = arguments;
        if repeats && !begins_json(&format!("{}{arguments}", self.kept)) {
            news = &arguments[self.length..];
        }
        let is_placeholder = self.length == 0 && news.trim() == NO_ARGUMENTS;
        self.length += news.len();
        self.span.read(news.as_bytes());
        if self.kept.len() + news.len() <= MAX_KEPT_BYTES {
            self.kept.push_str(news);
        }
        if is_placeholder {
            self.is_placeholder = true;
            return String::new();
        }
        let held = if std::mem::take(&mut self.is_placeholder) { NO_ARGUMENTS } else { "" };
        format!("{held}{news}")
    }
}

/// Whether a text is JSON or may become it.
fn begins_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).map_or_else(|error| error.is_eof(), |_| true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::llm::ChatResponse;

    /// Each call as (id, name, arguments); the model was offered `add`, `sub`, `read_file` and `now`.
    fn check(pieces: &[JsonValue], expected: &[(&str, &str, &str)]) {
        let tools = ["add", "sub", "read_file", "now"].map(str::to_owned).to_vec();
        let (mut calls, mut response) = (ToolCalls::new(tools), ChatResponse::default());
        for piece in pieces {
            response.extend(calls.read(serde_json::from_value(piece.clone()).unwrap()));
        }
        response.extend(calls.finish());
        let calls: Vec<_> = response.tool_calls.iter().map(|call| (&*call.id, &*call.name, &*call.arguments)).collect();
        assert_eq!(calls, expected, "{pieces:?}");
    }

    fn piece(index: impl Into<Option<u64>>, id: &str, name: &str, arguments: impl Into<JsonValue>) -> JsonValue {
        json!({"index": index.into(), "id": id, "function": {"name": name, "arguments": arguments.into()}})
    }

    #[test]
    fn numbered_pieces_of_parallel_calls_may_be_interleaved() {
        check(
            &[
                piece(0, "a", "add", ""),
                piece(1, "b", "sub", ""),
                json!({"index": 1, "function": {"arguments": "{\"x\""}}),
                json!({"index": 0, "function": {"arguments": "{\"y\""}}),
                json!({"index": 1, "function": {"arguments": ":1}"}}),
                json!({"index": 0, "function": {"arguments": ":2}"}}),
            ],
            &[("a", "add", "{\"y\":2}"), ("b", "sub", "{\"x\":1}")],
        );
    }

    #[test]
    fn whole_calls_without_numbers_or_all_numbered_0_stay_apart() {
        let expected = [("a", "add", "{}"), ("b", "add", "{}")];
        check(&[piece(None, "a", "add", "{}"), piece(None, "b", "add", "{}")], &expected);
        check(&[piece(0, "a", "add", "{}"), piece(0, "b", "add", "{}")], &expected);
        for number in [None, Some(0)] {
            let expected = [("", "add", "{\"a\":1}"), ("", "sub", "{\"b\":2}")];
            check(&[piece(number, "", "add", "{\"a\":1}"), piece(number, "", "sub", "{\"b\":2}")], &expected);
            let expected = [("", "add", "{\"a\":1}"), ("", "add", "{\"a\":2}")];
            check(&[piece(number, "", "add", "{\"a\":1}"), piece(number, "", "add", "{\"a\":2}")], &expected);
            check(
                &[piece(number, "", "now", ""), piece(number, "", "sub", "{}")],
                &[("", "now", ""), ("", "sub", "{}")],
            );
            check(
                &[piece(number, "", "sub", "1"), piece(number, "", "add", "2")],
                &[("", "sub", "1"), ("", "add", "2")],
            );
        }
    }

    #[test]
    fn pieces_without_numbers_go_on_with_the_call_of_their_id_or_the_last() {
        check(
            &[
                piece(None, "a", "add", "{"),
                piece(None, "", "", "1"),
                piece(None, "b", "sub", "["),
                piece(None, "a", "", "}"),
                piece(None, "b", "sub", "]"),
                piece(None, "", "", "!"),
            ],
            &[("a", "add", "{1}"), ("b", "sub", "[]!")],
        );
    }

    #[test]
    fn an_id_and_a_name_that_come_with_each_piece_count_once() {
        check(&[piece(0, "a", "add", "{"), piece(0, "a", "add", "}")], &[("a", "add", "{}")]);
        check(&[piece(0, "", "add", "{"), piece(0, "", "add", "}")], &[("", "add", "{}")]);
        check(&[piece(None, "", "add", "{"), piece(None, "", "add", "}")], &[("", "add", "{}")]);
        check(&[piece(0, "a", "add", "{"), piece(0, "z", "", "}")], &[("a", "add", "{}")]);
        check(&[piece(0, "a", "", ""), piece(0, "", "add", "{}")], &[("a", "add", "{}")]);
    }

    #[test]
    fn names_and_ids_may_come_in_pieces() {
        let whole = [("call_1", "read_file", "{\"path\":1}")];
        let rest = || piece(0, "", "", "{\"path\":1}");
        check(&[piece(0, "call_1", "read", ""), piece(0, "", "_file", ""), rest()], &whole);
        check(&[piece(0, "call_1", "read", ""), piece(0, "", "read_file", ""), rest()], &whole);
        check(&[piece(0, "call", "read", ""), piece(0, "_1", "", ""), piece(0, "", "_file", ""), rest()], &whole);
        // A model that calls a tool which it was not offered.
        check(&[piece(0, "a", "un", ""), piece(0, "", "known", "{}")], &[("a", "unknown", "{}")]);
    }

    #[test]
    fn arguments_that_come_again_with_each_piece_count_once() {
        let whole = [("a", "add", "{\"a\":\"{\\\"a\"}")];
        let parts = ["{\"a\":\"", "{\"a\":\"{\\\"a", "{\"a\":\"{\\\"a\"}", "{\"a\":\"{\\\"a\"}"];
        check(&parts.map(|part| piece(0, "a", "add", part)), &whole);
        check(&parts.map(|part| piece(0, "", "add", part)), &[("", whole[0].1, whole[0].2)]);
        check(&[piece(0, "a", "add", "{}"), piece(0, "a", "add", "{}")], &[("a", "add", "{}")]);
        // A placeholder ahead of the arguments.
        check(
            &[piece(0, "a", "add", "{}"), piece(0, "", "", "{\"a\""), piece(0, "", "", ":1}")],
            &[("a", "add", "{\"a\":1}")],
        );
        // A repetition that belongs to the arguments.
        let nested = [piece(0, "a", "add", "{\"a\":"), piece(0, "", "", "{\"a\":"), piece(0, "", "", "1}}")];
        check(&nested, &[("a", "add", "{\"a\":{\"a\":1}}")]);
    }

    #[test]
    fn arguments_of_any_shape_become_text() {
        check(&[piece(0, "a", "add", json!({"x": [1]}))], &[("a", "add", "{\"x\":[1]}")]);
        check(&[piece(7, "a", "now", JsonValue::Null)], &[("a", "now", "")]);
        check(&[json!({"id": "a", "function": {"name": "now"}})], &[("a", "now", "")]);
        check(&[json!({"id": "a", "index": "0"})], &[("a", "", "")]);
    }
}
