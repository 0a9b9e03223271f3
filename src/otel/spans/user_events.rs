//! The user's `tracing` events inside a component, as events of its span.
//!
//! They may come from any library. So without content a message goes without what it quotes, and of the other fields
//! only numbers and booleans go.

use std::fmt;

use opentelemetry::KeyValue;
use tracing::{
    Event, Level, Metadata,
    field::{Field, Visit},
};

use super::context::{self, MapperId};
use crate::otel::{ContentPolicy, names};

/// How many fields of an event are kept.
const MAX_FIELDS: usize = 32;

/// How much text the fields of an event are together, so that a span with as many events as it takes still fits into a request.
const MAX_BYTES: usize = 32 * 1024;

/// The field with an event's sentence.
const MESSAGE: &str = "message";

/// The crates that carry telemetry: their events are about the bridge, not about the work.
const TELEMETRY_CRATES: [&str; 9] = [
    "opentelemetry",
    "opentelemetry_http",
    "opentelemetry_otlp",
    "opentelemetry_sdk",
    "tonic",
    "h2",
    "hyper",
    "hyper_rustls",
    "hyper_util",
];

/// Adds an event of level `INFO` or above to the span of the component that it happens in, if there is one.
pub(super) fn observe(mapper: MapperId, event: &Event<'_>, content: &ContentPolicy) {
    let metadata = event.metadata();
    if !is_taken(metadata) {
        return;
    }
    context::add_log(mapper, names::EVENT_LOG, || {
        let list = vec![
            KeyValue::new(names::LOG_LEVEL, metadata.level().as_str()),
            KeyValue::new(names::LOG_TARGET, metadata.target()),
        ];
        let mut fields = Fields { list, content, room: MAX_BYTES };
        event.record(&mut fields);
        fields.list
    });
}

/// Whether events like this one go on a span, if they happen in one.
pub(in crate::otel) fn is_taken(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO && !is_telemetry(metadata.target())
}

/// Whether a target is one of the crates', as a path or as the name of a package.
fn is_telemetry(target: &str) -> bool {
    let name = target.split("::").next().unwrap_or_default();
    let is_it = |known: &str| {
        name.len() == known.len() && name.bytes().map(|b| if b == b'-' { b'_' } else { b }).eq(known.bytes())
    };
    TELEMETRY_CRATES.into_iter().any(is_it)
}

/// The fields of an event as attributes of the same names.
struct Fields<'a> {
    list: Vec<KeyValue>,
    content: &'a ContentPolicy,
    /// How many bytes of text there is room for.
    room: usize,
}

impl Fields<'_> {
    fn push(&mut self, field: &Field, value: impl Into<opentelemetry::Value>) {
        let is_taken = self.list.iter().any(|taken| taken.key.as_str() == field.name());
        if self.list.len() < MAX_FIELDS && !is_taken {
            self.list.push(KeyValue::new(field.name(), value));
        }
    }

    fn push_text(&mut self, field: &Field, text: &str) {
        if field.name() == MESSAGE {
            self.push(field, self.content.sentence(text).into_owned());
        } else if self.content.capture().is_on_spans() {
            let text = self.content.text_within(text, self.room);
            self.room = self.room.saturating_sub(text.len());
            self.push(field, text.into_owned());
        }
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, i64::try_from(value).unwrap_or(i64::MAX));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push_text(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push_text(field, &format!("{value:?}"));
    }
}
