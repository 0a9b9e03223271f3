//! What comes back from a model: the pieces, and the whole that they make.

use serde_json::{Map, Value as JsonValue};

use crate::event::{ToolCall, Usage};

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ChatDelta {
    /// The next piece of the text.
    Text(String),
    /// The next piece of the model's reasoning, which precedes its text.
    Reasoning(String),
    /// The next piece of the sentence by which the model refuses to answer.
    Refusal(String),
    /// The next piece of a tool call.
    ToolCall(ToolCallDelta),
    /// The next piece of a field beside text and calls, by its name, which the provider may want back.
    Extra(String, JsonValue),
    /// The provider's id for the answer.
    Id(String),
    /// The model that answers, as the provider names it.
    Model(String),
    /// Why the model stopped, in the provider's word.
    Finish(String),
    /// The tokens of the request and its answer so far; the last one counts.
    Usage(Usage),
}

/// A piece of a tool call.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ToolCallDelta {
    /// Which of the answer's calls, from 0; others may come between a call's pieces.
    pub index: usize,
    /// The provider's id for the call as known so far; most send it once, with the call's first piece.
    pub id: Option<String>,
    /// The tool's name as known so far; most send it once, with the call's first piece.
    pub name: Option<String>,
    /// The next piece of the arguments' JSON text.
    pub arguments: String,
    /// Fields beside these, by name, which the provider may want back with the call.
    pub extra: Map<String, JsonValue>,
}

/// An answer, gathered from its pieces.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ChatResponse {
    /// The text.
    pub text: String,
    /// The tools that the model wants to have run, in its order.
    pub tool_calls: Vec<ToolCall>,
    /// The model's reasoning, as far as the provider shows it.
    pub reasoning: String,
    /// The sentence by which the model refuses to answer; empty if it does not refuse.
    pub refusal: String,
    /// Fields beside text and calls, by name, which the provider may want back with the message.
    pub extra: Map<String, JsonValue>,
    /// Why the model stopped, in the provider's word; `None` if it did not say.
    pub finish_reason: Option<String>,
    /// The tokens of the request and its answer; `None` if the provider did not count them.
    pub usage: Option<Usage>,
    /// The provider's id for the answer.
    pub id: Option<String>,
    /// The model that answered, as the provider names it.
    pub model: Option<String>,
    /// How the pieces' indexes map onto `tool_calls`: providers may skip or reorder them.
    indexes: Vec<usize>,
}

impl ChatDelta {
    /// Makes the piece of a tool call that opens it: its place among the answer's calls, from 0, its id and its name.
    #[must_use]
    pub fn call(index: usize, id: impl Into<String>, name: impl Into<String>) -> Self {
        ToolCallDelta::new(index).with_id(id).with_name(name).into()
    }

    /// Makes the next piece of a tool call's arguments, by the call's place among the answer's calls, from 0.
    #[must_use]
    pub fn arguments(index: usize, arguments: impl Into<String>) -> Self {
        ToolCallDelta::new(index).with_arguments(arguments).into()
    }
}

impl ToolCallDelta {
    /// Makes an empty piece of a call, by its place among the answer's calls, from 0.
    #[must_use]
    pub fn new(index: usize) -> Self {
        Self { index, ..Self::default() }
    }

    /// Sets the provider's id for the call. By default, there is none.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets the tool's name. By default, there is none.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds a field that the provider may want back with the call. By default, there is none.
    #[must_use]
    pub fn with_extra(mut self, name: impl Into<String>, value: JsonValue) -> Self {
        self.extra.insert(name.into(), value);
        self
    }

    /// Sets the next piece of the arguments' JSON text. By default, it is empty.
    #[must_use]
    pub fn with_arguments(mut self, arguments: impl Into<String>) -> Self {
        self.arguments = arguments.into();
        self
    }
}

impl From<ToolCallDelta> for ChatDelta {
    fn from(piece: ToolCallDelta) -> Self {
        Self::ToolCall(piece)
    }
}

impl ChatResponse {
    /// Adds a piece.
    pub fn push(&mut self, delta: ChatDelta) {
        match delta {
            ChatDelta::Text(text) => self.text.push_str(&text),
            ChatDelta::Reasoning(text) => self.reasoning.push_str(&text),
            ChatDelta::Refusal(text) => self.refusal.push_str(&text),
            ChatDelta::Extra(name, value) => add_extra(&mut self.extra, name, value),
            ChatDelta::ToolCall(piece) => {
                let call = self.call_at(piece.index);
                if let Some(id) = piece.id {
                    call.id = id;
                }
                if let Some(name) = piece.name {
                    call.name = name;
                }
                call.arguments.push_str(&piece.arguments);
                for (name, value) in piece.extra {
                    add_extra(&mut call.extra, name, value);
                }
            }
            ChatDelta::Id(id) => self.id = Some(id),
            ChatDelta::Model(model) => self.model = Some(model),
            ChatDelta::Finish(reason) => self.finish_reason = Some(reason),
            ChatDelta::Usage(usage) => self.usage = Some(usage),
        }
    }

    fn call_at(&mut self, index: usize) -> &mut ToolCall {
        // From the end, where the call is that most pieces go on with.
        let place = self.indexes.iter().rposition(|known| *known == index).unwrap_or_else(|| {
            self.indexes.push(index);
            self.tool_calls.push(ToolCall::new("", "", ""));
            self.indexes.len() - 1
        });
        &mut self.tool_calls[place]
    }
}

/// Adds the next piece of a field: texts and lists grow, all else is replaced.
fn add_extra(extra: &mut Map<String, JsonValue>, name: String, piece: JsonValue) {
    match (extra.get_mut(&name), piece) {
        (Some(JsonValue::String(text)), JsonValue::String(piece)) => text.push_str(&piece),
        (Some(JsonValue::Array(list)), JsonValue::Array(piece)) => {
            piece.into_iter().for_each(|item| add_item(list, item));
        }
        (_, piece) => drop(extra.insert(name, piece)),
    }
}

/// Adds an item of a list, or the next piece of its last item: pieces of one item share their `type` and `index`.
fn add_item(list: &mut Vec<JsonValue>, item: JsonValue) {
    let is_piece_of = |last: &Map<String, JsonValue>| {
        last.contains_key("index") && ["index", "type"].iter().all(|name| last.get(*name) == item.get(*name))
    };
    match (list.last_mut().and_then(JsonValue::as_object_mut).filter(|last| is_piece_of(last)), item) {
        (Some(last), JsonValue::Object(piece)) => {
            for (name, value) in piece.into_iter().filter(|(_, value)| !value.is_null()) {
                if matches!(&*name, "text" | "summary" | "data") {
                    add_extra(last, name, value);
                } else {
                    last.insert(name, value);
                }
            }
        }
        (_, item) => list.push(item),
    }
}

impl Extend<ChatDelta> for ChatResponse {
    fn extend<I: IntoIterator<Item = ChatDelta>>(&mut self, deltas: I) {
        deltas.into_iter().for_each(|delta| self.push(delta));
    }
}

impl FromIterator<ChatDelta> for ChatResponse {
    fn from_iter<I: IntoIterator<Item = ChatDelta>>(deltas: I) -> Self {
        let mut response = Self::default();
        response.extend(deltas);
        response
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pieces_of_a_field_grow_together() {
        let check = |pieces: &[JsonValue], expected: JsonValue| {
            let deltas = pieces.iter().map(|piece| ChatDelta::Extra("field".to_owned(), piece.clone()));
            let response: ChatResponse = deltas.collect();
            assert_eq!(response.extra["field"], expected, "{pieces:?}");
        };
        check(&[json!("I must "), json!("look.")], json!("I must look."));
        check(&[json!([1]), json!([2])], json!([1, 2]));
        check(&[json!({"a": 1}), json!({"b": 2})], json!({"b": 2}));
        check(&[json!("text"), json!([1])], json!([1]));
        let detail = |index: u32, text: &str| json!([{"type": "reasoning.text", "index": index, "text": text}]);
        check(
            &[detail(0, "I "), detail(0, "must."), json!([{"type": "reasoning.text", "index": 0, "signature": "s"}])],
            json!([{"type": "reasoning.text", "index": 0, "text": "I must.", "signature": "s"}]),
        );
        check(&[detail(0, "a"), detail(1, "b")], json!([detail(0, "a")[0], detail(1, "b")[0]]));
    }
}
