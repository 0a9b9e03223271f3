//! What a span has recorded so far.

use std::{
    error::Error,
    fmt::{self, Debug},
};

use serde_json::Value as JsonValue;
use tracing::field::{Field, Visit};

use super::names::{Declared, Name, Names, Operation};
use crate::stream::contain;

/// How much text is kept of one span, in bytes: 1 MiB. What is beyond is cut.
pub const MAX_BYTES: usize = 1024 * 1024;

/// Values by name, the last one of each.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    names: Names,
    operation: Option<Operation>,
    values: Vec<(Name, Value)>,
    bytes: usize,
}

/// Takes in what the fields of a span say.
pub(super) struct Recorder<'a> {
    facts: &'a mut Facts,
    declared: &'a Declared,
}

/// An error that was logged in a span.
#[derive(Debug, Default)]
pub(super) struct LoggedError {
    pub(super) message: Option<String>,
    pub(super) kind: Option<String>,
}

/// A recorded value.
#[derive(Clone, Debug)]
enum Value {
    Text(String),
    Int(i64),
    Float(f64),
    Flag(bool),
}

impl Facts {
    /// What takes in the fields of a kind of span.
    pub(super) const fn recorder<'a>(&'a mut self, declared: &'a Declared) -> Recorder<'a> {
        Recorder { facts: self, declared }
    }

    /// What the span is about, if it has said.
    pub(super) const fn operation(&self) -> Option<Operation> {
        self.operation
    }

    /// What is recorded.
    pub(super) const fn names(&self) -> Names {
        self.names
    }

    /// Takes in what was recorded later, which counts.
    pub(super) fn add(&mut self, later: Self) {
        if later.names.has(Name::Operation) {
            self.names.insert(Name::Operation);
            self.operation = later.operation;
        }
        later.values.into_iter().for_each(|(name, value)| self.set(name, value));
    }

    /// Takes in what another span says of the same, where this one says nothing.
    pub(super) fn fill(&mut self, other: Self) {
        for (name, value) in other.values {
            if !self.names.has(name) {
                self.set(name, value);
            }
        }
    }

    pub(super) fn text(&self, name: Name) -> Option<&str> {
        match self.get(name)? {
            Value::Text(text) => Some(text).filter(|text| !text.is_empty()).map(String::as_str),
            Value::Int(_) | Value::Float(_) | Value::Flag(_) => None,
        }
    }

    pub(super) fn int(&self, name: Name) -> Option<u64> {
        match self.get(name)? {
            Value::Int(number) => u64::try_from(*number).ok(),
            Value::Text(text) => text.parse().ok(),
            Value::Float(_) | Value::Flag(_) => None,
        }
    }

    pub(super) fn float(&self, name: Name) -> Option<f64> {
        match self.get(name)? {
            Value::Float(number) => Some(*number).filter(|number| number.is_finite()),
            Value::Text(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
            #[expect(clippy::cast_precision_loss, reason = "a setting of few digits")]
            Value::Int(number) => Some(*number as f64),
            Value::Flag(_) => None,
        }
    }

    pub(super) fn flag(&self, name: Name) -> Option<bool> {
        match self.get(name)? {
            Value::Flag(flag) => Some(*flag),
            Value::Text(text) => text.parse().ok(),
            Value::Int(_) | Value::Float(_) => None,
        }
    }

    /// The JSON in a text, or the text.
    pub(super) fn json(&self, name: Name) -> Option<JsonValue> {
        let text = self.text(name)?;
        Some(serde_json::from_str(text).unwrap_or_else(|_| text.into()))
    }

    fn set_text(&mut self, name: Name, text: String) {
        if name == Name::Operation { self.set_operation(&text) } else { self.set(name, Value::Text(text)) }
    }

    /// It is asked for again and again, so that its text is read once.
    fn set_operation(&mut self, text: &str) {
        self.names.insert(Name::Operation);
        self.operation = (!text.is_empty()).then(|| Operation::of(text));
    }

    fn get(&self, name: Name) -> Option<&Value> {
        self.values.iter().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    fn set(&mut self, name: Name, mut value: Value) {
        let is_known = self.names.has(name);
        let before = is_known.then(|| self.values.iter().position(|(own, _)| *own == name)).flatten();
        if let Some(before) = before {
            self.bytes -= self.values[before].1.bytes();
        }
        if let Value::Text(text) = &mut value {
            text.truncate(text.floor_char_boundary(MAX_BYTES - self.bytes));
        }
        self.bytes += value.bytes();
        match before {
            Some(before) => self.values[before].1 = value,
            None => {
                self.names.insert(name);
                self.values.push((name, value));
            }
        }
    }
}

impl Value {
    fn bytes(&self) -> usize {
        if let Self::Text(text) = self { text.len() } else { 0 }
    }
}

impl Visit for Recorder<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if let Some(name) = self.declared.name_of(field) {
            self.facts.set(name, Value::Float(value));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if let Some(name) = self.declared.name_of(field) {
            self.facts.set(name, Value::Int(value));
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.record_i64(field, i64::try_from(value).unwrap_or(i64::MAX));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if let Some(name) = self.declared.name_of(field) {
            self.facts.set(name, Value::Flag(value));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match self.declared.name_of(field) {
            Some(Name::Operation) => self.facts.set_operation(value),
            Some(name) => self.facts.set(name, Value::Text(bounded(value))),
            None => {}
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if let Some(name) = self.declared.name_of(field)
            && let Some(text) = formatted(value)
        {
            self.facts.set_text(name, text);
        }
    }
}

impl LoggedError {
    fn record(&mut self, field: &Field, text: impl FnOnce() -> Option<String>) {
        if field.name() == "message" {
            self.message = text();
        } else if Name::of(field.name()) == Some(Name::ErrorType) {
            self.kind = text().filter(|text| !text.is_empty());
        }
    }
}

impl Visit for LoggedError {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record(field, || Some(bounded(value)));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record(field, || formatted(value));
    }
}

/// No more of a text than there can be room for.
fn bounded(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_BYTES)].to_owned()
}

/// A value as its own code writes it, as far as there is room.
fn formatted(value: &dyn Debug) -> Option<String> {
    /// Takes no more than there is room for.
    struct Bounded(String);
    impl fmt::Write for Bounded {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let room = MAX_BYTES - self.0.len();
            self.0.push_str(&text[..text.floor_char_boundary(room)]);
            if text.len() > room { Err(fmt::Error) } else { Ok(()) }
        }
    }
    let mut text = Bounded(String::new());
    // It may panic, and may fail for want of room; what it wrote until then is what there is.
    contain(|| fmt::write(&mut text, format_args!("{value:?}")).unwrap_or_default())?;
    Some(text.0)
}
