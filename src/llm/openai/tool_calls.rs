//! Which call a piece of a call belongs to.
//!
//! OpenAI numbers the calls, and names each once, with its id, in its first piece. Other servers leave the number out,
//! number all calls 0, send a call whole, repeat its id and name with each piece or make up a new id for each piece.

use serde::Deserialize;
use serde_json::Value as JsonValue;

use super::lenient::{lenient, not_empty};
use crate::llm::{ChatDelta, ToolCallDelta};

/// A piece of a tool call.
#[derive(Debug, Deserialize)]
pub(super) struct CallPiece {
    #[serde(default, deserialize_with = "lenient")]
    index: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    id: Option<String>,
    #[serde(default)]
    function: Option<Function>,
}

#[derive(Debug, Default, Deserialize)]
struct Function {
    #[serde(default, deserialize_with = "lenient")]
    name: Option<String>,
    /// JSON text; some servers send the object itself.
    #[serde(default)]
    arguments: JsonValue,
}

/// The calls of an answer so far, in the order in which they began.
#[derive(Debug, Default)]
pub(super) struct ToolCalls(Vec<KnownCall>);

#[derive(Debug)]
struct KnownCall {
    index: Option<u64>,
    id: Option<String>,
    is_named: bool,
}

impl ToolCalls {
    /// The piece as a delta; `None` if it says nothing new.
    pub(super) fn read(&mut self, piece: CallPiece) -> Option<ChatDelta> {
        let function = piece.function.unwrap_or_default();
        let (id, name) = (not_empty(piece.id), not_empty(function.name));
        let known = self.find(piece.index, id.as_deref(), name.is_some());
        let place = known.unwrap_or_else(|| {
            self.0.push(KnownCall { index: piece.index, id: None, is_named: false });
            self.0.len() - 1
        });
        let call = &mut self.0[place];
        let id = id.filter(|_| call.id.is_none());
        let name = name.filter(|_| !call.is_named);
        call.id = id.clone().or(call.id.take());
        call.is_named |= name.is_some();
        let arguments = match function.arguments {
            JsonValue::Null => String::new(),
            JsonValue::String(text) => text,
            value => value.to_string(),
        };
        let is_new = known.is_none() || id.is_some() || name.is_some() || !arguments.is_empty();
        is_new.then_some(ToolCallDelta { index: place, id, name, arguments }.into())
    }

    /// The call that a piece goes on with; `None` if it begins one.
    fn find(&self, index: Option<u64>, id: Option<&str>, has_name: bool) -> Option<usize> {
        let place_of_id = || id.and_then(|id| self.0.iter().position(|call| call.id.as_deref() == Some(id)));
        if index.is_none() {
            let last = self.0.len().checked_sub(1).filter(|_| !has_name);
            return place_of_id().or(last);
        }
        let place = self.0.iter().rposition(|call| call.index == index)?;
        // With a name and an id of its own it is another call, whatever its number; with only an id it is not.
        let is_another = has_name && id.is_some() && self.0[place].id.is_some() && self.0[place].id.as_deref() != id;
        if is_another { place_of_id() } else { Some(place) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::llm::ChatResponse;

    /// Each call as (id, name, arguments).
    fn check(pieces: &[JsonValue], expected: &[(&str, &str, &str)]) {
        let (mut calls, mut response) = (ToolCalls::default(), ChatResponse::default());
        for piece in pieces {
            if let Some(delta) = calls.read(serde_json::from_value(piece.clone()).unwrap()) {
                response.push(delta);
            }
        }
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
        check(&[piece(None, "", "add", "1"), piece(None, "", "sub", "2")], &[("", "add", "1"), ("", "sub", "2")]);
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
        check(&[piece(0, "a", "add", "{"), piece(0, "z", "", "}")], &[("a", "add", "{}")]);
        check(&[piece(0, "a", "", ""), piece(0, "", "add", "{}")], &[("a", "add", "{}")]);
    }

    #[test]
    fn arguments_of_any_shape_become_text() {
        check(&[piece(0, "a", "add", json!({"x": [1]}))], &[("a", "add", "{\"x\":[1]}")]);
        check(&[piece(7, "a", "now", JsonValue::Null)], &[("a", "now", "")]);
        check(&[json!({"id": "a", "function": {"name": "now"}})], &[("a", "now", "")]);
        check(&[json!({"id": "a", "index": "0"})], &[("a", "", "")]);
    }
}
