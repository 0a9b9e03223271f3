//! What a server refuses of a request, found out once and remembered.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use serde_json::{Map, Value as JsonValue};

use super::provider_error::Said;

/// The names under which servers know the limit of tokens.
const TOKEN_LIMITS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

/// The fields without which there is no chat, or another one than was asked for.
const REQUIRED: [&str; 3] = ["model", "messages", "tools"];

/// The fields that are the client's own wish: to leave one out takes nothing from the application.
const OWN: [&str; 2] = ["stream", "stream_options"];

/// How servers say that they do not know a field, or not in this value.
const UNKNOWN: [&str; 19] = [
    "additional propert",
    "cannot find field",
    "deprecated",
    "does not exist",
    "extra field",
    "extra input",
    "extra_forbidden",
    "invalid argument",
    "invalid parameter",
    "not a valid field",
    "not allowed",
    "not permitted",
    "not support",
    "not implemented",
    "unexpected",
    "unknown",
    "unrecognised",
    "unrecognized",
    "unsupported",
];

/// How a server wants to be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Dialect {
    left_out: BTreeSet<String>,
    token_limit: Option<&'static str>,
}

/// The dialect that the clones of a client have found out.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Dialect>);

impl Known {
    pub(super) fn get(&self) -> Dialect {
        self.0.lock().clone()
    }

    /// Remembers a dialect in which the server has answered.
    pub(super) fn set(&self, dialect: Dialect) {
        *self.0.lock() = dialect;
    }
}

impl Dialect {
    /// A dialect without these fields.
    pub(super) fn without(fields: impl IntoIterator<Item = String>) -> Self {
        Self { left_out: fields.into_iter().collect(), token_limit: None }
    }

    pub(super) fn has(&self, field: &str) -> bool {
        !self.left_out.contains(field)
    }

    /// Brings a request's body into the dialect.
    pub(super) fn apply(&self, body: &mut Map<String, JsonValue>) {
        if let Some(name) = self.token_limit {
            for other in TOKEN_LIMITS {
                if let Some(limit) = body.remove(other) {
                    body.insert(name.to_owned(), limit);
                }
            }
        }
        body.retain(|name, _| self.has(name) || REQUIRED.contains(&&**name));
        if !body.contains_key("stream") {
            // A server that does not stream refuses the options of a stream, too.
            body.remove("stream_options");
        }
        for message in body.get_mut("messages").and_then(JsonValue::as_array_mut).into_iter().flatten() {
            if let Some(message) = message.as_object_mut() {
                message.retain(|name, _| is_of_chat(name) || self.has(name));
            }
        }
    }

    /// Returns the dialect in which the request may pass, after the server refused this body; `None` if the refusal names
    /// none of its optional fields.
    pub(super) fn after(&self, said: &Said, body: &Map<String, JsonValue>) -> Option<Self> {
        let message = said.message.as_deref().unwrap_or_default();
        let code = said.code.as_deref().unwrap_or_default();
        let sentence = format!("{message} {code}").to_ascii_lowercase();
        let is_unknown = UNKNOWN.iter().any(|words| sentence.contains(words));
        let of_messages = body.get("messages").and_then(JsonValue::as_array).into_iter().flatten();
        let of_messages =
            of_messages.filter_map(JsonValue::as_object).flat_map(Map::keys).filter(|name| !is_of_chat(name));
        let mut fields: Vec<_> = body.keys().chain(of_messages).filter(|name| !REQUIRED.contains(&&***name)).collect();
        // The longest name that fits is meant: `stream_options` rather than `stream`.
        fields.sort_by_key(|name| std::cmp::Reverse(name.len()));
        let is_meant = |name: &str| {
            (is_unknown || OWN.contains(&name))
                && (said.field.as_deref().is_some_and(|field| field == name) || is_named(message, name))
        };
        let refused = fields.into_iter().find(|name| is_meant(name))?;
        let mut next = self.clone();
        let other = TOKEN_LIMITS.into_iter().find(|name| *name != refused);
        if TOKEN_LIMITS.contains(&&**refused) && self.token_limit.is_none() {
            next.token_limit = other;
        } else {
            next.left_out.insert(refused.clone());
        }
        Some(next)
    }
}

/// Whether a field of a message belongs to the chat itself.
fn is_of_chat(name: &str) -> bool {
    matches!(name, "role" | "content" | "name" | "tool_calls" | "tool_call_id")
}

/// Whether a sentence names a field. A name that is also a plain word counts if it is marked as a name.
fn is_named(sentence: &str, field: &str) -> bool {
    let is_part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    sentence.match_indices(field).any(|(at, _)| {
        let (before, after) = (&sentence[..at], &sentence[at + field.len()..]);
        let is_whole = !before.ends_with(is_part_of_name) && !after.starts_with(is_part_of_name);
        let is_marked = before.ends_with(['\'', '"', '`', '$', '.', '[', '\u{2018}', '\u{201c}'])
            || after.starts_with(['\'', '"', '`', '=', '\u{2019}', '\u{201d}'])
            || [
                "parameter",
                "parameter:",
                "param",
                "field",
                "field:",
                "argument",
                "argument:",
                "supplied:",
                "key",
                "property",
            ]
            .iter()
            .any(|word| before.trim_end().ends_with(word));
        is_whole && (is_marked || field.contains('_'))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_names_the_field_that_is_left_out() {
        let body = json!({
            "model": "m", "messages": [{"role": "assistant", "content": "", "reasoning_content": "hm"}], "stream": true,
            "stream_options": {}, "temperature": 1.0, "max_tokens": 5, "tools": [], "extra_1": 1,
        });
        let body = body.as_object().unwrap();
        let check = |said: Said, expected: Option<&str>| {
            let mut next = body.clone();
            let dialect = Dialect::default().after(&said, body);
            dialect.clone().unwrap_or_default().apply(&mut next);
            let gone = body.keys().find(|name| !next.contains_key(*name));
            let is_changed = next != *body;
            let gone = gone.map(String::as_str).or(is_changed.then_some("of a message"));
            assert_eq!((gone, dialect.is_some()), (expected, expected.is_some()), "{said:?}");
        };
        let message = |message: &str| Said { message: Some(message.to_owned()), ..Said::default() };
        for (sentence, expected) in [
            ("Extra inputs are not permitted, field: 'stream_options'", Some("stream_options")),
            ("Unrecognized request argument supplied: stream_options", Some("stream_options")),
            (
                "Invalid JSON payload received. Unknown name \"stream_options\": Cannot find field.",
                Some("stream_options"),
            ),
            ("stream_options is no good", Some("stream_options")),
            ("Unsupported value: 'temperature' does not support 1.0 with this model.", Some("temperature")),
            ("property 'extra_1' is unsupported", Some("extra_1")),
            ("'messages.0' : property 'reasoning_content' is unsupported", Some("of a message")),
            (
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
                Some("max_tokens"),
            ),
            ("temperature must be less than 0.9: 'temperature'", None),
            ("max_tokens is too large: 5", None),
            ("the request exceeds the available context size", None),
            ("the upstream stream was interrupted, an unexpected end", None),
            ("this model does not support tools", None),
            ("Unknown model", None),
            ("", None),
        ] {
            check(message(sentence), expected);
        }
        let of_field =
            |code: &str| Said { field: Some("stream".to_owned()), code: Some(code.to_owned()), ..Said::default() };
        check(of_field("unsupported_value"), Some("stream"));
    }

    #[test]
    fn the_limit_of_tokens_is_renamed_before_it_is_left_out() {
        let mut body = Map::from_iter([("max_tokens".to_owned(), json!(5))]);
        let refusal = |name: &str| Said { message: Some(format!("Unknown parameter: '{name}'")), ..Said::default() };
        let renamed = Dialect::default().after(&refusal("max_tokens"), &body).unwrap();
        renamed.apply(&mut body);
        assert_eq!(body, Map::from_iter([("max_completion_tokens".to_owned(), json!(5))]));
        let without = renamed.after(&refusal("max_completion_tokens"), &body).unwrap();
        without.apply(&mut body);
        assert_eq!(body, Map::new());
        assert_eq!(without.after(&refusal("max_completion_tokens"), &body), None);
    }
}
