//! The fields of a payload, read without their JSON.

use serde_json::Value as JsonValue;

use super::TraceContext;

/// The least that a JSON object takes in memory, however few its fields: a node of its tree.
const OBJECT_BYTES: usize = 640;

/// What one field of an object takes in its tree, at the least filling of a node.
const ENTRY_BYTES: usize = 128;

/// A field as its payload holds it, or as JSON has it.
#[derive(Clone, Copy, Debug)]
pub(super) enum FieldValue<'a> {
    Text(&'a str),
    Number(u64),
    Flag(bool),
    Real(f64),
    List(&'a Vec<JsonValue>),
    Json(&'a JsonValue),
    /// Of a type that is only read as JSON.
    AsJson,
}

impl<'a> FieldValue<'a> {
    pub(super) fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Json(value) => value.as_str(),
            Self::Number(_) | Self::Flag(_) | Self::Real(_) | Self::List(_) | Self::AsJson => None,
        }
    }

    pub(super) fn number(self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Json(value) => value.as_u64(),
            Self::Text(_) | Self::Flag(_) | Self::Real(_) | Self::List(_) | Self::AsJson => None,
        }
    }

    pub(super) fn flag(self) -> Option<bool> {
        match self {
            Self::Flag(flag) => Some(flag),
            Self::Json(value) => value.as_bool(),
            Self::Text(_) | Self::Number(_) | Self::Real(_) | Self::List(_) | Self::AsJson => None,
        }
    }

    pub(super) fn real(self) -> Option<f64> {
        match self {
            Self::Real(real) => Some(real),
            Self::Json(value) => value.as_f64(),
            Self::Text(_) | Self::Number(_) | Self::Flag(_) | Self::List(_) | Self::AsJson => None,
        }
    }

    pub(super) const fn json(self) -> Option<&'a JsonValue> {
        match self {
            Self::Json(value) => Some(value),
            Self::Text(_) | Self::Number(_) | Self::Flag(_) | Self::Real(_) | Self::List(_) | Self::AsJson => None,
        }
    }

    pub(super) fn list(self) -> Option<&'a Vec<JsonValue>> {
        match self {
            Self::List(list) => Some(list),
            Self::Json(value) => value.as_array(),
            Self::Text(_) | Self::Number(_) | Self::Flag(_) | Self::Real(_) | Self::AsJson => None,
        }
    }
}

/// The type of a payload's field.
pub(super) trait Field {
    /// The field, unless its JSON leaves it out.
    fn value(&self) -> Option<FieldValue<'_>>;

    /// The bytes that the field has on the heap, here and in the JSON that may be built of it.
    fn heap(&self) -> usize {
        0
    }
}

impl Field for String {
    fn value(&self) -> Option<FieldValue<'_>> {
        Some(FieldValue::Text(self))
    }

    fn heap(&self) -> usize {
        2 * self.len()
    }
}

impl Field for JsonValue {
    fn value(&self) -> Option<FieldValue<'_>> {
        Some(FieldValue::Json(self))
    }

    fn heap(&self) -> usize {
        2 * heap_of(self)
    }
}

impl Field for Vec<JsonValue> {
    fn value(&self) -> Option<FieldValue<'_>> {
        (!self.is_empty()).then_some(FieldValue::List(self))
    }

    fn heap(&self) -> usize {
        2 * heap_of_list(self)
    }
}

impl Field for Vec<TraceContext> {
    fn value(&self) -> Option<FieldValue<'_>> {
        (!self.is_empty()).then_some(FieldValue::AsJson)
    }

    fn heap(&self) -> usize {
        self.len() * (size_of::<TraceContext>() + object_bytes(4))
    }
}

impl Field for u64 {
    fn value(&self) -> Option<FieldValue<'_>> {
        Some(FieldValue::Number(*self))
    }
}

impl Field for u32 {
    fn value(&self) -> Option<FieldValue<'_>> {
        Some(FieldValue::Number(u64::from(*self)))
    }
}

impl Field for u16 {
    fn value(&self) -> Option<FieldValue<'_>> {
        Some(FieldValue::Number(u64::from(*self)))
    }
}

impl Field for bool {
    fn value(&self) -> Option<FieldValue<'_>> {
        Some(FieldValue::Flag(*self))
    }
}

impl Field for f64 {
    fn value(&self) -> Option<FieldValue<'_>> {
        Some(FieldValue::Real(*self))
    }
}

impl<T: Field> Field for Option<T> {
    fn value(&self) -> Option<FieldValue<'_>> {
        self.as_ref()?.value()
    }

    fn heap(&self) -> usize {
        self.as_ref().map_or(0, Field::heap)
    }
}

/// The bytes that the object of so many fields takes in memory, apart from what the fields hold.
pub(super) const fn object_bytes(fields: usize) -> usize {
    OBJECT_BYTES + fields * ENTRY_BYTES
}

/// The bytes that a value has on the heap, about; never much less.
pub(super) fn heap_of(value: &JsonValue) -> usize {
    match value {
        JsonValue::Null | JsonValue::Bool(_) | JsonValue::Number(_) => 0,
        JsonValue::String(text) => text.len(),
        JsonValue::Array(list) => heap_of_list(list),
        JsonValue::Object(fields) if fields.is_empty() => 0,
        JsonValue::Object(fields) => {
            let inside = fields.iter().map(|(name, value)| name.len() + heap_of(value));
            object_bytes(fields.len()) + inside.sum::<usize>()
        }
    }
}

fn heap_of_list(list: &[JsonValue]) -> usize {
    size_of_val(list) + list.iter().map(heap_of).sum::<usize>()
}
