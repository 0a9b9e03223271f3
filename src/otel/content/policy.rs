//! The choice of what leaves the process, applied to one text or one JSON value.

use std::{borrow::Cow, fmt, sync::Arc};

use opentelemetry::{Key, KeyValue, logs::AnyValue};
use serde_json::Value as JsonValue;

use super::{
    ContentCapture, Redactor,
    any_value::{of_attribute, structured},
    fields::{Field, Fields},
    open_inference,
    redact::contained,
    scrub::Scrub,
    truncate,
};
use crate::{otel::names, wording};

/// What stands for a value outside a list of few; the conventions' word for it.
pub(in crate::otel) const OTHER: &str = "_OTHER";

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
    open_inference: bool,
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

    /// Sets whether spans also carry OpenInference's `openinference.span.kind`, of workflows and steps, and, where content
    /// is captured on spans, `input.value` and `output.value`, of all but requests.
    ///
    /// By default, they do not: the names are one vendor's, and they double the content of these spans. Arize Phoenix and
    /// MLflow show kinds, inputs and outputs by them.
    pub const fn with_open_inference(mut self, enabled: bool) -> Self {
        self.open_inference = enabled;
        self
    }

    /// Whether spans carry OpenInference's attributes.
    pub(in crate::otel) const fn is_open_inference(&self) -> bool {
        self.open_inference
    }

    /// Whether spans get neither content nor redacted texts, so that to write on one takes next to no time.
    pub(in crate::otel) const fn takes_no_time(&self) -> bool {
        self.redactor.is_none() && !self.capture.is_on_spans()
    }

    /// The policy for what is said in log events by the rules of spans.
    pub(in crate::otel) fn for_log_events(&self) -> Self {
        let capture =
            if self.capture.is_in_events() { ContentCapture::SpanAndEvent } else { ContentCapture::NoContent };
        self.clone().with_capture(capture)
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

    /// A name, an id or a description of the application, as it may leave the process.
    pub(in crate::otel) fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.redactor.is_none() && text.len() <= MAX_TEXT_BYTES {
            return Cow::Borrowed(text);
        }
        self.pass(text, Cow::Borrowed)
    }

    /// The same, cut to what there is room for.
    pub(in crate::otel) fn text_within<'a>(&self, text: &'a str, max_bytes: usize) -> Cow<'a, str> {
        let text = self.text(text);
        if text.len() <= max_bytes { text } else { truncate::cut_text(&text, max_bytes).into() }
    }

    /// A sentence of the application's, on a span: without content it goes without what it quotes, which may be anybody's.
    pub(in crate::otel) fn sentence<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.capture.is_on_spans() { self.text(text) } else { self.pass(text, wording::without_quotations) }
    }

    /// A sentence of a model, a provider or a library, on a span: without content only the words of a list stay of it.
    pub(in crate::otel) fn foreign_sentence<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let known = |text: &'a str| Cow::Owned(wording::known_words(text));
        if self.capture.is_on_spans() { self.text(text) } else { self.pass(text, known) }
    }

    /// A provider's name for a model, an answer or a call, if it has the form of one.
    pub(in crate::otel) fn identifier<'a>(&self, text: &'a str) -> Option<Cow<'a, str>> {
        (self.capture.is_on_spans() || wording::is_identifier(text)).then(|| self.text(text))
    }

    /// A provider's word for why a model stopped, if it is a known one.
    pub(in crate::otel) fn finish_reason<'a>(&self, reason: &'a str) -> Cow<'a, str> {
        let stays = self.capture.is_on_spans() || wording::is_finish_reason(reason);
        if stays { self.text(reason) } else { Cow::Borrowed(OTHER) }
    }

    fn pass<'a>(&self, text: &'a str, select: impl FnOnce(&'a str) -> Cow<'a, str>) -> Cow<'a, str> {
        let start = truncate::before_redaction(text, MAX_TEXT_BYTES);
        let is_whole = start.len() == text.len();
        let passed = match (&self.redactor, select(start)) {
            (None, selected) => selected,
            (Some(redactor), Cow::Borrowed(selected)) => contained(&**redactor, None, selected),
            (Some(redactor), Cow::Owned(selected)) => contained(&**redactor, None, &selected).into_owned().into(),
        };
        if is_whole && passed.len() <= MAX_TEXT_BYTES {
            passed
        } else {
            truncate::cut_text(&passed, MAX_TEXT_BYTES).into()
        }
    }

    /// A number of an event's data under its name, as it may leave the process: the text in place of it, if the number
    /// itself may not.
    pub(in crate::otel) fn redacted_number(&self, field: &str, number: &serde_json::Number) -> Option<String> {
        let redactor = self.redactor.as_deref()?;
        let digits = number.to_string();
        Some(contained(redactor, Some(field), &digits)).filter(|text| *text != digits).map(Cow::into_owned)
    }

    /// The redactor, if there is one.
    pub(super) fn redactor(&self) -> Option<&dyn Redactor> {
        self.redactor.as_deref()
    }

    /// How much of an answer's pieces is worth keeping.
    pub(in crate::otel) const fn max_partial_bytes(&self) -> usize {
        truncate::kept_before_redaction(self.max_bytes)
    }

    /// Content as attributes of a span.
    pub(in crate::otel) fn span_attributes(&self, fields: Fields) -> Vec<KeyValue> {
        let copies = self.open_inference && !fields.is_request;
        let Prepared { content, cut } = self.prepare(fields);
        let mut attributes = Vec::with_capacity(content.len() + cut.len());
        for (name, value) in content {
            if copies {
                attributes.extend(open_inference::copy(name, &value));
            }
            attributes.push(KeyValue::new(name, value.to_string()));
        }
        attributes.extend(cut);
        attributes
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
            // Redaction takes time, so it gets no more than what may be left after the cut.
            is_cut |= truncate::to_redact(&mut value, shape, self.max_bytes);
            let mut scrub = Scrub::new(self.redactor.as_deref());
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
        Self {
            capture: ContentCapture::default(),
            max_bytes: DEFAULT_MAX_CONTENT_BYTES,
            redactor: None,
            open_inference: false,
        }
    }
}

impl fmt::Debug for ContentPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContentPolicy")
            .field("capture", &self.capture)
            .field("max_bytes", &self.max_bytes)
            .field("has_redactor", &self.redactor.is_some())
            .field("open_inference", &self.open_inference)
            .finish()
    }
}
