//! The user's own `tracing` events inside of a component, as events of its span.

use std::fmt;

use opentelemetry::KeyValue;
use tracing::{
    Event, Level,
    field::{Field, Visit},
};

use super::context;
use crate::otel::{ContentPolicy, names};

/// How many fields of an event are kept.
const MAX_FIELDS: usize = 32;

/// Targets of the libraries that carry telemetry: their events are about the bridge, not about the work.
const TELEMETRY_TARGETS: [&str; 4] = ["opentelemetry", "tonic", "h2", "hyper"];

/// Adds an event of level `INFO` or above to the span of the component that it happens in, if there is one.
pub(in crate::otel) fn observe(event: &Event<'_>, content: &ContentPolicy) {
    let metadata = event.metadata();
    let is_telemetry = || TELEMETRY_TARGETS.iter().any(|target| metadata.target().starts_with(target));
    if *metadata.level() > Level::INFO || is_telemetry() {
        return;
    }
    context::add_log(names::EVENT_LOG, || {
        let list = vec![
            KeyValue::new(names::LOG_LEVEL, metadata.level().as_str()),
            KeyValue::new(names::LOG_TARGET, metadata.target()),
        ];
        let mut fields = Fields { list, content };
        event.record(&mut fields);
        fields.list
    });
}

/// The fields of an event as attributes of the same names.
struct Fields<'a> {
    list: Vec<KeyValue>,
    content: &'a ContentPolicy,
}

impl Fields<'_> {
    fn push(&mut self, field: &Field, value: impl Into<opentelemetry::Value>) {
        if self.list.len() < MAX_FIELDS {
            self.list.push(KeyValue::new(field.name(), value));
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
        self.push(field, self.content.text(value).into_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field, self.content.text(&format!("{value:?}")).into_owned());
    }
}
