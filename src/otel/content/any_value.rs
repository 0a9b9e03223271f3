//! JSON and span attributes as the structured values of a log event.

use opentelemetry::{Array, Key, KeyValue, Value, logs::AnyValue};
use serde_json::Value as JsonValue;

/// The same value. The API has no null: a field that is null is left out, an element is the text `null`.
pub(super) fn structured(value: &JsonValue) -> AnyValue {
    match value {
        JsonValue::Null => AnyValue::from("null"),
        JsonValue::Bool(value) => AnyValue::from(*value),
        JsonValue::Number(number) => {
            let double = || AnyValue::from(number.as_f64().unwrap_or(f64::NAN));
            number.as_i64().map_or_else(double, AnyValue::from)
        }
        JsonValue::String(text) => AnyValue::from(text.clone()),
        JsonValue::Array(values) => values.iter().map(structured).collect(),
        JsonValue::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            fields.map(|(key, value)| (Key::from(key.clone()), structured(value))).collect()
        }
    }
}

/// An attribute of a span as one of a log event.
pub(in crate::otel) fn of_attribute(attribute: KeyValue) -> (Key, AnyValue) {
    let value = match attribute.value {
        Value::Bool(value) => value.into(),
        Value::I64(value) => value.into(),
        Value::F64(value) => value.into(),
        Value::String(value) => value.into(),
        Value::Array(Array::Bool(values)) => values.into_iter().collect(),
        Value::Array(Array::I64(values)) => values.into_iter().collect(),
        Value::Array(Array::F64(values)) => values.into_iter().collect(),
        Value::Array(Array::String(values)) => values.into_iter().collect(),
        other => other.as_str().into_owned().into(),
    };
    (attribute.key, value)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::json;

    use super::*;

    #[test]
    fn json_keeps_its_structure() {
        let value = json!({"a": [1, 2.5, true, "x", null, {"b": "y"}], "gone": null, "big": u64::MAX});
        let inner = AnyValue::Map(Box::new(HashMap::from([(Key::from("b"), AnyValue::from("y"))])));
        let list: Vec<AnyValue> = vec![1.into(), 2.5.into(), true.into(), "x".into(), "null".into(), inner];
        let expected = HashMap::from([
            (Key::from("a"), AnyValue::ListAny(Box::new(list))),
            (Key::from("big"), AnyValue::from(u64::MAX as f64)),
        ]);
        assert_eq!(structured(&value), AnyValue::Map(Box::new(expected)));
    }
}
