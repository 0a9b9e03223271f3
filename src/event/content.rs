//! An event's data without content: what was asked and answered is left out, what else is known stays.
//!
//! A list of what stays, not of what goes: a field that this crate does not know may hold anything.

use serde_json::{Map, Value as JsonValue};

use super::{EventData, field};

/// Fields that stay if they are numbers or flags, beside those that [measure](field::is_measure).
const NUMBERS: [&str; 11] = [
    field::CHUNK_COUNT,
    field::ITERATIONS,
    field::LLM_CALLS,
    field::MAX_TOKENS,
    field::SERVER_PORT,
    field::STREAM,
    field::TEMPERATURE,
    field::TIME_TO_FIRST_CHUNK_MS,
    field::TOOL_CALLS,
    field::TOP_P,
    field::TOTAL_TOKENS,
];

/// Fields that stay if they are texts: the application's and the provider's names for things.
const NAMES: [&str; 15] = [
    field::AGENT,
    field::CONVERSATION_ID,
    field::DESCRIPTION,
    field::ERROR_CODE,
    field::ERROR_SUMMARY,
    field::FINISH_REASON,
    field::MODEL,
    field::PROVIDER,
    field::RESPONSE_ID,
    field::RESPONSE_MODEL,
    field::SERVER_ADDRESS,
    field::STEP_NAME,
    field::STEP_TYPE,
    field::TOOL_CALL_ID,
    field::TOOL_NAME,
];

/// Objects that stay with what are numbers in them.
const COUNTS: [&str; 2] = [field::MERGED, field::USAGE];

/// The pieces of an answer, which stay as empty texts, so that they can still be counted.
const PIECES: [&str; 2] = [field::CHUNK, field::REASONING];

impl EventData {
    /// The same without content.
    pub(crate) fn without_content(&self) -> Self {
        let Some(fields) = self.as_object() else { return Self::default() };
        let kept = fields.iter().filter_map(|(name, value)| Some((name.clone(), kept(name, value)?)));
        let mut kept: Map<String, JsonValue> = kept.collect();
        if let Some(tags) = self.tags() {
            kept.insert(field::TAGS.to_owned(), tags.into());
        }
        if let Some(links) = self.links().and_then(|links| serde_json::to_value(links).ok()) {
            kept.insert(field::LINKS.to_owned(), links);
        }
        JsonValue::Object(kept).into()
    }

    /// Without the text of a piece of an answer; `None` if it is no such piece.
    pub(crate) fn without_piece(&self) -> Option<Self> {
        let is_piece = PIECES.iter().any(|piece| self.field(piece).is_some());
        let mut fields = self.as_object().filter(|_| is_piece)?.clone();
        for piece in PIECES {
            if let Some(text) = fields.get_mut(piece) {
                *text = JsonValue::String(String::new());
            }
        }
        fields.remove(field::UPDATES);
        Some(JsonValue::Object(fields).into())
    }
}

/// What stays of a field.
fn kept(name: &str, value: &JsonValue) -> Option<JsonValue> {
    match value {
        JsonValue::Number(_) | JsonValue::Bool(_) if field::is_measure(name) || NUMBERS.contains(&name) => {
            Some(value.clone())
        }
        JsonValue::String(_) if NAMES.contains(&name) => Some(value.clone()),
        JsonValue::String(_) if PIECES.contains(&name) => Some(JsonValue::String(String::new())),
        JsonValue::Object(fields) if COUNTS.contains(&name) => {
            let numbers = fields.iter().filter(|(_, value)| value.is_number());
            Some(numbers.map(|(name, value)| (name.clone(), value.clone())).collect())
        }
        _ => None,
    }
}
