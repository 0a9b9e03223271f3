//! What a JSON value is in the conventions' schema, since what is ours in it must survive redaction and cuts.

use serde_json::{Value as JsonValue, json};

/// Stands where something was cut off.
pub(super) const MARKER: &str = "… [truncated]";

/// The place of a value in the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A list of messages of any number.
    Chat,
    /// A list with one message, which has a finish reason.
    Answer,
    Message,
    Parts,
    Part,
    Definitions,
    Definition,
    /// An object that is all content: arguments, a result.
    Object,
    /// Content.
    Free,
    /// One of few words.
    Word,
}

impl Shape {
    /// The shape of the elements of a list.
    pub(super) const fn of_elements(self) -> Self {
        match self {
            Self::Chat | Self::Answer => Self::Message,
            Self::Parts => Self::Part,
            Self::Definitions => Self::Definition,
            Self::Message | Self::Part | Self::Definition | Self::Object | Self::Free | Self::Word => Self::Free,
        }
    }

    /// The shape of a field of an object.
    pub(super) fn of_field(self, field: &str) -> Self {
        match (self, field) {
            (Self::Message, "parts") => Self::Parts,
            (Self::Message, "role" | "finish_reason") | (Self::Part | Self::Definition, "type") => Self::Word,
            (Self::Part, "modality") => Self::Word,
            _ => Self::Free,
        }
    }

    /// Whether the names of an object's fields are ours.
    pub(super) const fn has_fixed_fields(self) -> bool {
        matches!(self, Self::Message | Self::Part | Self::Definition)
    }

    /// The element that stands for those that were dropped from a list of this shape.
    pub(super) fn marker_element(self) -> JsonValue {
        match self {
            Self::Chat | Self::Answer => json!({"role": "system", "parts": [Self::Parts.marker_element()]}),
            Self::Parts => json!({"type": "text", "content": MARKER}),
            Self::Definitions => json!({"type": "function", "name": MARKER}),
            Self::Message | Self::Part | Self::Definition | Self::Object | Self::Free | Self::Word => json!(MARKER),
        }
    }

    /// What stands for a whole value of this shape that cannot be made to fit.
    pub(super) fn marker_for(self, value: &JsonValue) -> JsonValue {
        match self {
            Self::Answer => {
                let mut message = json!({"role": "assistant", "parts": [Self::Parts.marker_element()]});
                if let Some(reason) = value.pointer("/0/finish_reason") {
                    message["finish_reason"] = reason.clone();
                }
                json!([message])
            }
            Self::Chat | Self::Parts | Self::Definitions => json!([self.marker_element()]),
            Self::Object => json!({MARKER: MARKER}),
            Self::Message | Self::Part | Self::Definition | Self::Free | Self::Word => json!(MARKER),
        }
    }
}
