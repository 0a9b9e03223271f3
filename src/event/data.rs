//! The `data` of an event: JSON to its readers, cheap to make and to clone.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, OnceLock},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value as JsonValue, json};

use super::field;

/// What a component has to say, read as a [`serde_json::Value`].
///
/// It dereferences to the JSON value, so `event.data["usage"]["total_tokens"]` works. A clone shares the value. The
/// chunk of a streamed answer is kept as bare text, and its JSON object is only built when somebody looks.
///
/// ```
/// use agent_runtime::prelude::*;
///
/// let event = Event::llm_progress("writer:llm:0", Some("Hi".into()), None, None, EventData::chunk("Hi"));
/// assert_eq!(event.data["chunk"].as_str(), Some("Hi"));
/// ```
#[derive(Clone)]
pub struct EventData(Arc<Form>);

enum Form {
    Json(JsonValue),
    Chunk { text: Box<str>, json: OnceLock<JsonValue> },
}

impl EventData {
    /// The data of a streamed piece of text: `{"chunk": text}`.
    #[must_use]
    pub fn chunk(text: impl Into<Box<str>>) -> Self {
        Self(Arc::new(Form::Chunk { text: text.into(), json: OnceLock::new() }))
    }

    /// The JSON value, built now if it was not yet.
    #[must_use]
    pub fn as_json(&self) -> &JsonValue {
        match &*self.0 {
            Form::Json(value) => value,
            Form::Chunk { text, json } => json.get_or_init(|| json!({ field::CHUNK: text })),
        }
    }

    /// The text of a chunk, without building the JSON object.
    #[must_use]
    pub fn chunk_text(&self) -> Option<&str> {
        match &*self.0 {
            Form::Json(value) => value.get(field::CHUNK)?.as_str(),
            Form::Chunk { text, .. } => Some(text),
        }
    }

    /// Whether there is the text of a chunk and nothing else.
    pub(super) fn is_bare_chunk(&self) -> bool {
        match &*self.0 {
            Form::Json(value) => {
                self.chunk_text().is_some() && value.as_object().is_some_and(|fields| fields.len() == 1)
            }
            Form::Chunk { .. } => true,
        }
    }
}

impl Deref for EventData {
    type Target = JsonValue;

    fn deref(&self) -> &JsonValue {
        self.as_json()
    }
}

impl Default for EventData {
    /// No data: JSON `null`.
    fn default() -> Self {
        Self::from(JsonValue::Null)
    }
}

impl From<JsonValue> for EventData {
    fn from(value: JsonValue) -> Self {
        Self(Arc::new(Form::Json(value)))
    }
}

impl From<EventData> for JsonValue {
    fn from(data: EventData) -> Self {
        data.as_json().clone()
    }
}

impl PartialEq for EventData {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.as_json() == other.as_json()
    }
}

impl PartialEq<JsonValue> for EventData {
    fn eq(&self, other: &JsonValue) -> bool {
        self.as_json() == other
    }
}

impl fmt::Debug for EventData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_json(), f)
    }
}

impl fmt::Display for EventData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_json(), f)
    }
}

impl Serialize for EventData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for EventData {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        JsonValue::deserialize(deserializer).map(Self::from)
    }
}
