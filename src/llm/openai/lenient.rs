//! Reading fields whose type servers do not keep to.

use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::Value as JsonValue;

/// The text, unless it says nothing.
pub(super) fn not_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// Reads a value of another type as if it were missing.
pub(super) fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(source: D) -> Result<Option<T>, D::Error> {
    Ok(T::deserialize(JsonValue::deserialize(source)?).ok())
}

/// Reads a number of tokens, also one written `12.0`.
pub(super) fn count<'de, D: Deserializer<'de>>(source: D) -> Result<Option<u64>, D::Error> {
    let value = JsonValue::deserialize(source)?;
    let whole = value.as_f64().filter(|count| *count >= 0.0 && count.fract() == 0.0).map(|count| count as u64);
    Ok(value.as_u64().or(whole))
}
