//! Attributes on their way out: each text by what it is, through the one policy.

use std::{borrow::Cow, sync::Arc};

use opentelemetry::{Array, KeyValue, StringValue, Value};
use serde_json::Value as JsonValue;

use super::{ContentPolicy, content, names};
use crate::event::{EventData, is_measure};

/// The longest `error_code`, or name of a field, that is taken for a word.
const MAX_WORD_BYTES: usize = 64;

/// How many numbers and booleans of a report's data become attributes.
const MAX_DATA_ATTRIBUTES: usize = 16;

/// Whether a text can be one of few words, and is no sentence.
pub(super) fn is_word(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    !text.is_empty() && text.len() <= MAX_WORD_BYTES && text.chars().all(is_plain)
}

/// Collects attributes, leaving out what is not known and what may not leave the process.
pub(super) struct Attributes<'a> {
    list: Vec<KeyValue>,
    content: &'a ContentPolicy,
}

impl<'a> Attributes<'a> {
    pub(super) fn new(content: &'a ContentPolicy) -> Self {
        Self::with_capacity(0, content)
    }

    pub(super) fn with_capacity(attributes: usize, content: &'a ContentPolicy) -> Self {
        Self { list: Vec::with_capacity(attributes), content }
    }

    pub(super) fn into_list(self) -> Vec<KeyValue> {
        self.list
    }

    pub(super) fn extend(&mut self, attributes: impl IntoIterator<Item = KeyValue>) {
        self.list.extend(attributes);
    }

    /// Adds what is only ever said if it is so.
    pub(super) fn flag(&mut self, key: &'static str) {
        self.list.push(KeyValue::new(key, true));
    }

    /// Adds a word of the bridge's own.
    pub(super) fn word(&mut self, key: &'static str, word: &'static str) {
        self.list.push(KeyValue::new(key, word));
    }

    /// Adds a name, an id or a description of the application's.
    pub(super) fn text(&mut self, key: &'static str, value: Option<&str>) {
        self.list.extend(value.map(|value| KeyValue::new(key, self.content.text(value).into_owned())));
    }

    /// Adds a list of names of the application's.
    pub(super) fn texts(&mut self, key: &'static str, values: Option<Vec<&str>>) {
        let Some(values) = values else { return };
        let texts = values.into_iter().map(|value| StringValue::from(self.content.text(value).into_owned()));
        self.list.push(KeyValue::new(key, Value::Array(Array::String(texts.collect()))));
    }

    /// Adds a text that others keep too, as it is if the policy leaves it so.
    pub(super) fn shared(&mut self, key: &'static str, value: Option<&Arc<str>>) {
        let text = |value: &Arc<str>| match self.content.text(value) {
            Cow::Borrowed(same) if same.len() == value.len() => StringValue::from(Arc::clone(value)),
            changed => StringValue::from(changed.into_owned()),
        };
        self.list.extend(value.map(|value| KeyValue::new(key, text(value))));
    }

    /// Adds a sentence of the application's.
    pub(super) fn sentence(&mut self, key: &'static str, value: Option<&str>) {
        self.list.extend(value.map(|value| KeyValue::new(key, self.content.sentence(value).into_owned())));
    }

    /// Adds a provider's name for something.
    pub(super) fn identifier(&mut self, key: &'static str, value: Option<&str>) {
        let identifier = value.and_then(|value| self.content.identifier(value));
        self.list.extend(identifier.map(|identifier| KeyValue::new(key, identifier.into_owned())));
    }

    pub(super) fn span_name(&self, operation: &str, of: Option<&str>) -> String {
        of.map_or_else(|| operation.to_owned(), |name| [operation, " ", &self.content.text(name)].concat())
    }

    pub(super) fn int(&mut self, key: &'static str, value: Option<u64>) {
        self.list.extend(value.map(|value| KeyValue::new(key, i64::try_from(value).unwrap_or(i64::MAX))));
    }

    pub(super) fn double(&mut self, key: &'static str, value: Option<f64>) {
        self.list.extend(value.map(|value| KeyValue::new(key, value)));
    }

    pub(super) fn finish_reason(&mut self, reason: Option<&str>) {
        let list = |reason: &str| {
            let reason = self.content.finish_reason(content::finish_reason(reason)).into_owned();
            Value::Array(Array::String(vec![StringValue::from(reason)]))
        };
        self.list.extend(reason.map(|reason| KeyValue::new(names::RESPONSE_FINISH_REASONS, list(reason))));
    }

    /// The numbers and booleans of an event's data. The application's may be what was asked or answered, such as an amount or
    /// a birthday, so without content on spans only the measures of this crate leave.
    pub(super) fn data(&mut self, data: &EventData) {
        let content = self.content;
        let fields = data.as_object().into_iter().flatten();
        let leaves = |field: &str| is_word(field) && (content.capture().is_on_spans() || is_measure(field));
        let measures = fields.filter(|(field, _)| leaves(field)).filter_map(|(field, value)| {
            let value = match value {
                JsonValue::Bool(value) => Value::from(*value),
                JsonValue::Number(value) => match content.redacted_number(field, value) {
                    Some(redacted) => Value::from(redacted),
                    None => value.as_i64().map(Value::from).or(value.as_f64().map(Value::from))?,
                },
                JsonValue::Null | JsonValue::String(_) | JsonValue::Array(_) | JsonValue::Object(_) => return None,
            };
            Some(KeyValue::new([names::DATA_PREFIX, &content.text(field)].concat(), value))
        });
        for measure in measures.take(MAX_DATA_ATTRIBUTES) {
            // Two names may be redacted to one.
            if self.list.iter().all(|attribute| attribute.key != measure.key) {
                self.list.push(measure);
            }
        }
    }
}
