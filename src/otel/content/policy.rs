//! The choice of what leaves the process, applied to one text or one JSON value.

use std::{borrow::Cow, fmt, sync::Arc};

use opentelemetry::{Key, KeyValue, logs::AnyValue};
use serde_json::Value as JsonValue;

use super::{
    ContentCapture, Redactor,
    any_value::{of_attribute, structured},
    fields::{Field, Fields},
    quotes,
    redact::contained,
    scrub::Scrub,
    truncate,
};
use crate::otel::names;

/// How long the JSON of one attribute with content may be by default, in bytes.
pub const DEFAULT_MAX_CONTENT_BYTES: usize = 16 * 1024;

/// The least that an attribute with content may be limited to, in bytes.
pub const MIN_CONTENT_BYTES: usize = 512;

/// How long a text that is no content may be, such as an error or progress message; a longer one is cut, with a marker.
pub const MAX_TEXT_BYTES: usize = 8 * 1024;

/// What of an event's content and free text may leave the process, and how.
///
/// By default no content, attributes of up to [`DEFAULT_MAX_CONTENT_BYTES`], and no redaction.
#[derive(Clone)]
#[must_use]
pub struct ContentPolicy {
    capture: ContentCapture,
    max_bytes: usize,
    redactor: Option<Arc<dyn Redactor>>,
}

impl ContentPolicy {
    /// Sets where content goes. By default, nowhere.
    pub const fn with_capture(mut self, capture: ContentCapture) -> Self {
        self.capture = capture;
        self
    }

    /// Sets how long the JSON of one attribute may be, in bytes; at least [`MIN_CONTENT_BYTES`]. By default,
    /// [`DEFAULT_MAX_CONTENT_BYTES`].
    ///
    /// What is longer is cut, the longest texts first, to JSON that is valid and follows the same schema.
    pub fn with_max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes.max(MIN_CONTENT_BYTES);
        self
    }

    /// Sets what every text passes before it leaves the process. By default, nothing is redacted.
    pub fn with_redactor(mut self, redactor: impl Redactor + 'static) -> Self {
        self.redactor = Some(Arc::new(redactor));
        self
    }

    /// Where content goes.
    #[must_use]
    pub const fn capture(&self) -> ContentCapture {
        self.capture
    }

    /// How long the JSON of one attribute may be, in bytes.
    #[must_use]
    pub const fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// A text that is no content, as it may leave the process.
    pub(in crate::otel) fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.redactor.is_none() && text.len() <= MAX_TEXT_BYTES {
            return Cow::Borrowed(text);
        }
        let start = truncate::before_redaction(text, MAX_TEXT_BYTES);
        let redacted = match &self.redactor {
            Some(redactor) => contained(&**redactor, None, start),
            None => Cow::Borrowed(start),
        };
        if start.len() == text.len() && redacted.len() <= MAX_TEXT_BYTES {
            redacted
        } else {
            truncate::cut_text(&redacted, MAX_TEXT_BYTES).into()
        }
    }

    /// An error's message, as a span may carry it: one without content also goes without what the error quotes.
    pub(in crate::otel) fn error_on_span(&self, message: &str) -> String {
        let message = if self.capture.is_on_spans() { Cow::Borrowed(message) } else { quotes::elide(message) };
        self.text(&message).into_owned()
    }

    /// A number of an event's data under its name, as it may leave the process: the text in place of it, if the number
    /// itself may not.
    pub(in crate::otel) fn redacted_number(&self, field: &str, number: &serde_json::Number) -> Option<String> {
        let redactor = self.redactor.as_deref()?;
        let digits = number.to_string();
        Some(contained(redactor, Some(field), &digits)).filter(|text| *text != digits).map(Cow::into_owned)
    }

    /// How much of an answer's pieces is worth keeping.
    pub(in crate::otel) const fn max_partial_bytes(&self) -> usize {
        truncate::kept_before_redaction(self.max_bytes)
    }

    /// Content as attributes of a span.
    pub(in crate::otel) fn span_attributes(&self, fields: Fields) -> impl Iterator<Item = KeyValue> {
        let Prepared { content, cut } = self.prepare(fields);
        content.into_iter().map(|(name, value)| KeyValue::new(name, value.to_string())).chain(cut)
    }

    /// Content as attributes of a log event.
    pub(in crate::otel) fn log_attributes(&self, fields: Fields) -> impl Iterator<Item = (Key, AnyValue)> {
        let Prepared { content, cut } = self.prepare(fields);
        let content = content.into_iter().map(|(name, value)| (Key::from(name), structured(&value)));
        content.chain(cut.into_iter().map(of_attribute))
    }

    fn prepare(&self, fields: Fields) -> Prepared {
        let mut is_cut = false;
        let prepare = |Field { name, shape, mut value }| {
            let mut scrub = Scrub::new(self.redactor.as_deref(), self.max_bytes);
            scrub.value(&mut value, shape);
            is_cut |= truncate::to_fit(&mut value, shape, self.max_bytes) || scrub.has_cut();
            (name, value)
        };
        let content = fields.list.into_iter().map(prepare).collect();
        let mut cut = Vec::new();
        if is_cut {
            cut.push(KeyValue::new(names::CONTENT_TRUNCATED, true));
            let offset = fields.offset.and_then(|offset| i64::try_from(offset).ok());
            cut.extend(offset.map(|offset| KeyValue::new(fields.offset_name, offset)));
        }
        Prepared { content, cut }
    }
}

/// Content that may leave the process, and the attributes that say that it is not the whole.
struct Prepared {
    content: Vec<(&'static str, JsonValue)>,
    cut: Vec<KeyValue>,
}

impl Default for ContentPolicy {
    fn default() -> Self {
        Self { capture: ContentCapture::default(), max_bytes: DEFAULT_MAX_CONTENT_BYTES, redactor: None }
    }
}

impl fmt::Debug for ContentPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContentPolicy")
            .field("capture", &self.capture)
            .field("max_bytes", &self.max_bytes)
            .field("has_redactor", &self.redactor.is_some())
            .finish()
    }
}
