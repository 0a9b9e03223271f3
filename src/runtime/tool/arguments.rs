//! The arguments of a call: a JSON object, or a reason that the model can read.

use std::borrow::Cow;

use serde_json::{Map, Value as JsonValue};

use crate::runtime::ToolError;

/// The text of an object without fields.
const EMPTY: &str = "{}";

/// Reads the arguments as the model wrote them.
///
/// Models leave them empty, or write `null`, for a tool without parameters, and some encode the object twice.
pub(in crate::runtime) fn parse_arguments(text: &str) -> Result<JsonValue, ToolError> {
    read(text).map(|(object, _)| object)
}

/// Returns the text of an object for arguments that go back to the model: the model's own, where it wrote one.
pub(in crate::runtime) fn object_text(text: &str) -> Cow<'_, str> {
    read(text).map_or(Cow::Borrowed(EMPTY), |(_, text)| text)
}

fn read(text: &str) -> Result<(JsonValue, Cow<'_, str>), ToolError> {
    let invalid = |reason: String| ToolError::InvalidArguments { reason };
    let empty = || (JsonValue::Object(Map::new()), Cow::Borrowed(EMPTY));
    if text.trim().is_empty() {
        return Ok(empty());
    }
    let expected = "expected a JSON object";
    match serde_json::from_str(text).map_err(|error| invalid(format!("{expected}, got what is not JSON: {error}")))? {
        JsonValue::Null => Ok(empty()),
        object @ JsonValue::Object(_) => Ok((object, Cow::Borrowed(text))),
        JsonValue::String(inner) if inner.trim().is_empty() => Ok(empty()),
        JsonValue::String(inner) => match serde_json::from_str(&inner) {
            Ok(object @ JsonValue::Object(_)) => Ok((object, Cow::Owned(inner))),
            _ => Err(invalid(format!("{expected}, got a text"))),
        },
        JsonValue::Array(_) => Err(invalid(format!("{expected}, got a list"))),
        value @ (JsonValue::Bool(_) | JsonValue::Number(_)) => Err(invalid(format!("{expected}, got {value}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_are_an_object_or_a_reason() {
        let check = |text: &str, object: JsonValue, back: &str| {
            assert_eq!(parse_arguments(text).unwrap(), object, "{text}");
            assert_eq!(object_text(text), back, "{text}");
        };
        check("{\"é\": 1}", json!({"é": 1}), "{\"é\": 1}");
        check("\"{\\\"n\\\": 2}\"", json!({"n": 2}), "{\"n\": 2}");
        for nothing in ["", " \n", "null", "\"\"", "{}"] {
            check(nothing, json!({}), "{}");
        }
        for invalid in ["[1]", "7", "true", "\"look\"", "\"[1]\"", "{\"a\":1}{\"b\":2}", "{\"a\":", "{\"a\":1e999}"] {
            let error = parse_arguments(invalid).unwrap_err();
            assert!(error.to_string().contains("expected a JSON object, got"), "{invalid}: {error}");
            assert_eq!(object_text(invalid), "{}", "{invalid}");
        }
    }
}
