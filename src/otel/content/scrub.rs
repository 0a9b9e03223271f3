//! Content made fit to leave, before it is cut to size: redacted, and without what no reader could take.

use serde_json::{Map, Value as JsonValue};

use super::{
    Redactor,
    redact::contained,
    shape::{MARKER, Shape},
};
use crate::wording;

/// How deep content may be nested; parsers of JSON give up at 128.
const MAX_DEPTH: usize = 64;

/// Goes through a value and leaves in it what may leave the process.
pub(super) struct Scrub<'a> {
    redactor: Option<&'a dyn Redactor>,
    has_cut: bool,
}

impl<'a> Scrub<'a> {
    pub(super) const fn new(redactor: Option<&'a dyn Redactor>) -> Self {
        Self { redactor, has_cut: false }
    }

    /// Whether something was cut off.
    pub(super) const fn has_cut(&self) -> bool {
        self.has_cut
    }

    /// Scrubs a whole value.
    pub(super) fn value(&mut self, value: &mut JsonValue, shape: Shape) {
        self.visit(value, shape, None, 0);
    }

    fn visit(&mut self, value: &mut JsonValue, shape: Shape, field: Option<&str>, depth: usize) {
        match value {
            JsonValue::Null | JsonValue::Bool(_) => {}
            JsonValue::Number(number) => {
                let digits = self.redactor.map(|_| number.to_string());
                if let Some(redacted) = digits.and_then(|digits| self.changed(field, &digits)) {
                    *value = JsonValue::String(redacted);
                }
            }
            JsonValue::String(text) => {
                // The schema's own words are the bridge's; any other in their place is the producer's.
                if shape != Shape::Word || !wording::is_of_schema(text) {
                    self.text(text, field);
                }
            }
            JsonValue::Array(_) | JsonValue::Object(_) if depth == MAX_DEPTH => {
                self.has_cut = true;
                *value = JsonValue::String(MARKER.to_owned());
            }
            JsonValue::Array(elements) => {
                for element in elements {
                    self.visit(element, shape.of_elements(), field, depth + 1);
                }
            }
            JsonValue::Object(fields) => self.object(fields, shape, depth),
        }
    }

    fn object(&mut self, fields: &mut Map<String, JsonValue>, shape: Shape, depth: usize) {
        for (field, value) in fields.iter_mut() {
            self.visit(value, shape.of_field(field), Some(field), depth + 1);
        }
        if shape == Shape::Part {
            // A text may be made of a value; only now that its fields were seen by name may it become a text.
            if let Some(content) = fields.get_mut("content").filter(|content| !content.is_string()) {
                *content = JsonValue::String(content.to_string());
            }
        }
        if self.redactor.is_some() {
            let names = fields.keys().filter(|field| !(shape.has_fixed_fields() && wording::is_schema_field(field)));
            let renamed: Vec<_> = names.filter_map(|field| Some((field.clone(), self.changed(None, field)?))).collect();
            for (field, redacted) in renamed {
                let value = fields.remove(&field).unwrap_or_default();
                fields.insert(redacted, value);
            }
        }
    }

    fn text(&self, text: &mut String, field: Option<&str>) {
        if let Some(redacted) = self.changed(field, text) {
            *text = redacted;
        }
    }

    /// The text as redacted, if that is another.
    fn changed(&self, field: Option<&str>, text: &str) -> Option<String> {
        let redacted = contained(self.redactor?, field, text);
        (redacted != text).then(|| redacted.into_owned())
    }
}
