//! The `data` of an event: JSON to its readers, cheap to make and to clone.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, LazyLock, OnceLock},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value as JsonValue, json};

use super::{
    field,
    field_value::{FieldValue, heap_of, object_bytes},
};

/// The `error_code` of a call of a tool that the agent does not have.
pub(crate) const UNKNOWN_TOOL: &str = "unknown_tool";

/// What a component has to say, read as a [`serde_json::Value`].
///
/// It dereferences to the JSON value, so `event.data["usage"]["total_tokens"]` works. A clone shares the value. The
/// chunk of a streamed answer is kept as bare text and a payload as it is; their JSON is only built when somebody looks.
///
/// ```
/// use agent_runtime::prelude::*;
///
/// let event = Event::llm_progress("writer:llm:0", Some("Hi".into()), None, None, EventData::chunk("Hi"));
/// assert_eq!(event.data["chunk"].as_str(), Some("Hi"));
/// ```
#[derive(Clone)]
pub struct EventData(Arc<dyn Form>);

/// What the data are kept as.
trait Form: Send + Sync {
    /// The JSON value, built now if it was not yet.
    fn json(&self) -> &JsonValue;

    fn field(&self, name: &str) -> Option<FieldValue<'_>>;

    /// The text of a chunk, where there is nothing else.
    fn bare_chunk(&self) -> Option<&str>;

    /// The bytes in memory, about, the JSON that may yet be built included.
    fn size(&self) -> usize;

    /// Whether fields can be added: it is an object, or nothing yet.
    fn takes_fields(&self) -> bool {
        true
    }
}

/// A payload's fields, by their names in JSON.
pub(super) trait Payload: Serialize + Send + Sync + 'static {
    /// How many fields there are at the most.
    const FIELDS: usize;

    fn field(&self, name: &str) -> Option<FieldValue<'_>>;

    /// The bytes that the fields have on the heap, here and in the JSON that may be built of them.
    fn heap(&self) -> usize;
}

struct Chunk {
    text: Box<str>,
    json: OnceLock<JsonValue>,
}

struct Typed<P> {
    payload: P,
    json: OnceLock<JsonValue>,
}

/// Data with a field that all events of a run share.
struct Extended {
    data: EventData,
    name: &'static str,
    value: Arc<JsonValue>,
    json: OnceLock<JsonValue>,
}

impl EventData {
    /// The data of a streamed piece of text: `{"chunk": text}`.
    #[must_use]
    pub fn chunk(text: impl Into<Box<str>>) -> Self {
        Self(Arc::new(Chunk { text: text.into(), json: OnceLock::new() }))
    }

    pub(super) fn typed(payload: impl Payload) -> Self {
        Self(Arc::new(Typed { payload, json: OnceLock::new() }))
    }

    /// The data with one more field, whose value others share. Data that has the field keeps its own, and data that is no
    /// object stays as it is.
    pub(super) fn with_field(self, name: &'static str, value: Arc<JsonValue>) -> Self {
        if !self.0.takes_fields() {
            return self;
        }
        Self(Arc::new(Extended { data: self, name, value, json: OnceLock::new() }))
    }

    /// The data of a streamed piece of a model's reasoning: `{"reasoning": text}`.
    #[must_use]
    pub fn reasoning(text: impl Into<String>) -> Self {
        json!({ field::REASONING: text.into() }).into()
    }

    /// The JSON value, built now if it was not yet.
    #[must_use]
    pub fn as_json(&self) -> &JsonValue {
        self.0.json()
    }

    /// The text of a chunk, without building the JSON object.
    #[must_use]
    pub fn chunk_text(&self) -> Option<&str> {
        self.0.bare_chunk().or_else(|| self.field(field::CHUNK)?.text())
    }

    /// Whether the tool is one that its agent does not have, so that the model made its name up.
    #[must_use]
    pub fn names_unknown_tool(&self) -> bool {
        let is_marked = self.field(field::UNKNOWN).and_then(FieldValue::flag) == Some(true);
        is_marked || self.error_code() == Some(UNKNOWN_TOOL)
    }

    /// Whether there is the text of a chunk and nothing else.
    pub(super) fn is_bare_chunk(&self) -> bool {
        self.0.bare_chunk().is_some()
    }

    /// A field, without building the JSON where its type has a form of its own.
    pub(super) fn field(&self, name: &str) -> Option<FieldValue<'_>> {
        match self.0.field(name)? {
            FieldValue::AsJson => self.as_json().get(name).map(FieldValue::Json),
            value => Some(value),
        }
    }

    /// The bytes in memory, about, the JSON that may yet be built included.
    pub(super) fn size(&self) -> usize {
        self.0.size()
    }
}

impl Form for JsonValue {
    fn json(&self) -> &JsonValue {
        self
    }

    fn field(&self, name: &str) -> Option<FieldValue<'_>> {
        self.get(name).map(FieldValue::Json)
    }

    fn bare_chunk(&self) -> Option<&str> {
        self.as_object().filter(|fields| fields.len() == 1)?.get(field::CHUNK)?.as_str()
    }

    fn size(&self) -> usize {
        size_of::<Self>() + heap_of(self)
    }

    fn takes_fields(&self) -> bool {
        self.is_object() || self.is_null()
    }
}

impl Form for Chunk {
    fn json(&self) -> &JsonValue {
        self.json.get_or_init(|| json!({ field::CHUNK: self.text }))
    }

    fn field(&self, name: &str) -> Option<FieldValue<'_>> {
        (name == field::CHUNK).then_some(FieldValue::Text(&self.text))
    }

    fn bare_chunk(&self) -> Option<&str> {
        Some(&self.text)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + 2 * self.text.len() + object_bytes(1)
    }
}

impl<P: Payload> Form for Typed<P> {
    fn json(&self) -> &JsonValue {
        // The payloads are plain structs with string keys, which always have a JSON form.
        self.json.get_or_init(|| serde_json::to_value(&self.payload).unwrap_or_default())
    }

    fn field(&self, name: &str) -> Option<FieldValue<'_>> {
        self.payload.field(name)
    }

    fn bare_chunk(&self) -> Option<&str> {
        None
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.payload.heap() + object_bytes(P::FIELDS)
    }
}

impl Form for Extended {
    fn json(&self) -> &JsonValue {
        self.json.get_or_init(|| {
            let mut fields = self.data.as_object().cloned().unwrap_or_default();
            fields.entry(self.name).or_insert_with(|| JsonValue::clone(&self.value));
            JsonValue::Object(fields)
        })
    }

    fn field(&self, name: &str) -> Option<FieldValue<'_>> {
        self.data.0.field(name).or_else(|| (name == self.name).then_some(FieldValue::Json(&self.value)))
    }

    fn bare_chunk(&self) -> Option<&str> {
        self.data.0.bare_chunk()
    }

    fn size(&self) -> usize {
        // The data are kept beside the JSON that may be built of them.
        size_of::<Self>() + 2 * (self.data.size() + heap_of(&self.value)) + object_bytes(1)
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
        static NULL: LazyLock<Arc<JsonValue>> = LazyLock::new(Arc::default);
        Self(NULL.clone())
    }
}

impl From<JsonValue> for EventData {
    fn from(value: JsonValue) -> Self {
        Self(Arc::new(value))
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
