//! Holds all that a collector got against the rules, and remembers which rules that exercised.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    logs::v1::LogRecord,
    metrics::v1::{Histogram, Metric, Sum, metric::Data, number_data_point},
    resource::v1::Resource,
    trace::v1::{Span, SpanFlags, span::SpanKind, status::StatusCode},
};
use serde_json::Value as JsonValue;

use crate::{
    rules::{
        EventRule, Field, Instrument, Is, LOGS, LogRule, METRICS, MetricRule, RESOURCE, SCOPE, SPANS, SpanRule, When,
    },
    support::{Spans, sink::Sink},
};

/// What the AggregationTemporality of OTLP has for "since the start of the process".
const CUMULATIVE: i32 = 2;

/// Of the flags of a span: its parent is another process's.
const IS_REMOTE: u32 = SpanFlags::ContextIsRemoteMask as u32;

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    pub(crate) faults: BTreeSet<String>,
    /// The rules that something was held against, the fields among them as `rule/key`.
    exercised: BTreeSet<String>,
}

/// What the rules of attributes ask about what has them.
#[derive(Clone, Copy, Debug, Default)]
struct Circumstances {
    has_failed: bool,
    is_canceled: bool,
    is_nested: bool,
    is_in_agent: bool,
    has_content: bool,
}

impl Walk {
    /// Walks everything that a service, by its name, sent.
    pub(crate) fn of(&mut self, service: &str, sink: &Sink, has_content: bool) {
        for request in sink.requests() {
            for resource in request.resource_spans {
                self.origin(service, resource.resource, &resource.schema_url);
                for scope in resource.scope_spans {
                    self.scope(scope.scope, &scope.schema_url);
                }
            }
        }
        let spans = sink.spans();
        spans.iter().for_each(|span| self.span(span, &spans, has_content));
        for request in sink.metrics() {
            for resource in request.resource_metrics {
                self.origin(service, resource.resource, &resource.schema_url);
                for scope in resource.scope_metrics {
                    self.scope(scope.scope, &scope.schema_url);
                    scope.metrics.iter().for_each(|metric| self.metric(metric));
                }
            }
        }
        for request in sink.logs() {
            for resource in request.resource_logs {
                self.origin(service, resource.resource, &resource.schema_url);
                for scope in resource.scope_logs {
                    self.scope(scope.scope, &scope.schema_url);
                    scope.log_records.iter().for_each(|log| self.log(log, &spans));
                }
            }
        }
    }

    /// The rules that nothing was held against, and those that are wrong in saying so.
    pub(crate) fn faults_of_the_rules(&self) -> Vec<String> {
        let is_wrong = |(rule, is_shown): &(String, bool)| self.exercised.contains(rule) != *is_shown;
        let says = |(rule, is_shown)| match is_shown {
            true => format!("no example exercises {rule}"),
            false => format!("{rule} is in the examples now"),
        };
        all_rules().into_iter().filter(is_wrong).map(says).collect()
    }

    fn expect(&mut self, holds: bool, fault: impl FnOnce() -> String) {
        if !holds {
            self.faults.insert(fault());
        }
    }

    fn origin(&mut self, service: &str, resource: Option<Resource>, schema_url: &str) {
        let resource = resource.unwrap_or_default();
        self.fields("the resource", &[RESOURCE], &resource.attributes, Circumstances::default());
        let name = value_of(&resource.attributes, "service.name");
        self.expect(name == Some(&text(service)), || format!("{service} calls itself {name:?}"));
        self.expect(schema_url.is_empty(), || format!("the resource has the schema {schema_url}"));
    }

    fn scope(&mut self, scope: Option<InstrumentationScope>, schema_url: &str) {
        let scope = scope.unwrap_or_default();
        let is_ours = scope.name == SCOPE && scope.version == env!("CARGO_PKG_VERSION");
        self.expect(is_ours && scope.attributes.is_empty(), || format!("the scope is {scope:?}"));
        self.expect(schema_url.is_empty(), || format!("the scope has the schema {schema_url}"));
    }

    fn span(&mut self, span: &Span, spans: &Spans, has_content: bool) {
        let Some(rule) = SPANS.iter().find(|rule| rule.operation == operation_of(span)) else {
            self.faults.insert(format!("no rule for the span {:?}", span.name));
            return;
        };
        let SpanRule { operation, named_by, is_client, under, .. } = *rule;
        self.exercised.insert(operation.to_owned());
        let name = match value_of(&span.attributes, named_by) {
            Some(Value::StringValue(name)) => format!("{operation} {name}"),
            _ => operation.to_owned(),
        };
        self.expect(span.name == name, || format!("a span is called {:?}, not {name:?}", span.name));
        let kind = if is_client { SpanKind::Client } else { SpanKind::Internal };
        self.expect(span.kind() == kind, || format!("{operation} is of kind {:?}", span.kind()));
        let parent = spans.parent_of(span).map_or("", operation_of);
        self.expect(under.contains(&parent), || format!("{operation} lies under {parent:?}"));
        self.expect(span.links.is_empty() && span.trace_state.is_empty(), || {
            format!("{operation} has links or a state")
        });
        let dropped = [span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count];
        self.expect(dropped == [0; 3], || format!("{operation} has lost something: {dropped:?}"));

        self.status(span);
        let of_this_process = |span: &&Span| spans.parent_of(span).filter(|_| span.flags & IS_REMOTE == 0);
        let around: Vec<_> = std::iter::successors(Some(span), of_this_process).map(operation_of).collect();
        let circumstances = Circumstances {
            has_failed: span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error),
            is_canceled: value_of(&span.attributes, "error.type") == Some(&text("canceled")),
            is_nested: around.iter().filter(|operation| **operation == "invoke_workflow").count() > 1,
            is_in_agent: around.contains(&"invoke_agent"),
            has_content,
        };
        self.fields(operation, rule.fields, &span.attributes, circumstances);
        self.events(rule, span);
    }

    fn status(&mut self, span: &Span) {
        let operation = operation_of(span);
        let status = span.status.clone().unwrap_or_default();
        let error_type = value_of(&span.attributes, "error.type");
        match status.code() {
            StatusCode::Unset => self.expect(status.message.is_empty(), || format!("{operation} is well and says why")),
            StatusCode::Ok => self.expect(false, || format!("{operation} has the status ok")),
            StatusCode::Error => {
                let says_more = !status.message.is_empty() && error_type != Some(&text(&status.message));
                self.expect(says_more, || format!("{operation} failed with the message {:?}", status.message));
            }
        }
    }

    fn events(&mut self, rule: &SpanRule, span: &Span) {
        let operation = rule.operation;
        for event in &span.events {
            let Some(EventRule { name, fields, .. }) = rule.events.iter().find(|rule| rule.name == event.name) else {
                self.faults.insert(format!("no rule for the event {:?} of {operation}", event.name));
                continue;
            };
            let what = format!("{operation}: {name}");
            self.exercised.insert(what.clone());
            self.fields(&what, &[fields], &event.attributes, Circumstances::default());
            let is_within = (span.start_time_unix_nano..=span.end_time_unix_nano).contains(&event.time_unix_nano);
            self.expect(is_within, || format!("{what} lies outside of its span"));
        }
    }

    fn metric(&mut self, metric: &Metric) {
        let Metric { name, unit, description, data, .. } = metric;
        let Some(rule) = METRICS.iter().find(|rule| rule.name == name) else {
            self.faults.insert(format!("no rule for the metric {name}"));
            return;
        };
        self.exercised.insert(name.clone());
        self.expect(unit == rule.unit, || format!("{name} is in {unit:?}"));
        self.expect(description.ends_with('.'), || format!("{name} says {description:?}"));
        match data {
            Some(Data::Sum(sum)) => self.sum(rule, sum),
            Some(Data::Histogram(histogram)) => self.histogram(rule, histogram),
            other => self.expect(false, || format!("{name} is neither a sum nor a histogram: {other:?}")),
        }
    }

    fn sum(&mut self, rule: &MetricRule, sum: &Sum) {
        let name = rule.name;
        let (is_monotonic, has_fractions) = match rule.instrument {
            Instrument::Counter => (true, false),
            Instrument::Amount => (true, true),
            Instrument::UpDownCounter => (false, false),
            Instrument::Durations(_) | Instrument::Numbers(_) => {
                self.faults.insert(format!("{name} is a sum"));
                return;
            }
        };
        let kind = (sum.is_monotonic, sum.aggregation_temporality);
        self.expect(kind == (is_monotonic, CUMULATIVE), || format!("{name} is a sum of another kind: {kind:?}"));
        for point in &sum.data_points {
            let is_right = match point.value {
                Some(number_data_point::Value::AsInt(_)) => !has_fractions,
                Some(number_data_point::Value::AsDouble(value)) => has_fractions && value >= 0.0,
                None => false,
            };
            self.expect(is_right, || format!("{name} has the value {:?}", point.value));
            self.fields(name, rule.labels, &point.attributes, Circumstances::default());
        }
    }

    fn histogram(&mut self, rule: &MetricRule, histogram: &Histogram) {
        let name = rule.name;
        let (boundaries, has_fractions) = match rule.instrument {
            Instrument::Durations(boundaries) => (boundaries, true),
            Instrument::Numbers(boundaries) => (boundaries, false),
            Instrument::Counter | Instrument::Amount | Instrument::UpDownCounter => {
                self.faults.insert(format!("{name} is a histogram"));
                return;
            }
        };
        let temporality = histogram.aggregation_temporality;
        self.expect(temporality == CUMULATIVE, || format!("{name} has the temporality {temporality}"));
        for point in &histogram.data_points {
            self.expect(point.explicit_bounds == boundaries, || format!("{name} has other boundaries"));
            let counted: u64 = point.bucket_counts.iter().sum();
            self.expect(counted == point.count && counted > 0, || format!("the buckets of {name} do not add up"));
            let sum = point.sum.unwrap_or(f64::NAN);
            let is_possible = sum >= 0.0 && (has_fractions || sum.fract() == 0.0);
            self.expect(is_possible, || format!("{name} has the sum {sum}"));
            self.fields(name, rule.labels, &point.attributes, Circumstances::default());
        }
    }

    fn log(&mut self, log: &LogRecord, spans: &Spans) {
        let name = &log.event_name;
        let Some(rule) = LOGS.iter().find(|rule| rule.name == name) else {
            self.faults.insert(format!("no rule for the log event {name:?}"));
            return;
        };
        let LogRule { severity, under, repeats_span, fields, .. } = *rule;
        self.exercised.insert(name.clone());
        let has = (log.severity_number, log.severity_text.as_str());
        self.expect(has == severity, || format!("{name} has the severity {has:?}"));
        self.expect(log.body.is_none(), || format!("{name} has a body"));
        let span = spans.iter().find(|span| span.span_id == log.span_id && span.trace_id == log.trace_id);
        let Some(span) = span.filter(|span| under.contains(&operation_of(span))) else {
            self.faults.insert(format!("{name} is not in a span of {under:?}"));
            return;
        };
        if repeats_span {
            let (said, on_span) = (comparable(&log.attributes), comparable(&span.attributes));
            self.expect(said == on_span, || format!("{name} says {said:#?}, its span {on_span:#?}"));
        } else {
            self.fields(name, &[fields], &log.attributes, Circumstances::default());
        }
    }

    /// Holds attributes against their rules.
    fn fields(&mut self, what: &str, rules: &[&[Field]], attributes: &[KeyValue], circumstances: Circumstances) {
        let mut keys = BTreeSet::new();
        for KeyValue { key, value, .. } in attributes {
            self.expect(keys.insert(key.as_str()), || format!("{what} has {key} twice"));
            let Some(field) = rules.iter().copied().flatten().find(|field| matches(field.key, key)) else {
                self.faults.insert(format!("{what} has {key}, which no rule allows"));
                continue;
            };
            self.exercised.insert(format!("{what}/{}", field.key));
            let value = value.as_ref().and_then(|value| value.value.as_ref());
            self.expect(value.is_some_and(|value| is(field.is, value)), || {
                format!("{key} of {what} is no {:?}: {value:?}", field.is)
            });
        }
        for field in rules.iter().copied().flatten() {
            let is_there = keys.iter().any(|key| matches(field.key, key));
            let (must, may) = demand(field, circumstances, &keys);
            self.expect(is_there || !must, || format!("{what} lacks {} ({circumstances:?})", field.key));
            self.expect(!is_there || may, || format!("{what} must not have {} ({circumstances:?})", field.key));
        }
    }
}

/// Whether an attribute must and whether it may be there.
fn demand(field: &Field, circumstances: Circumstances, keys: &BTreeSet<&str>) -> (bool, bool) {
    let Circumstances { has_failed, is_canceled, is_nested, is_in_agent, has_content } = circumstances;
    let exactly = |holds| (holds, holds);
    let (must, may) = match field.when {
        When::Always => (true, true),
        When::Sometimes => (false, true),
        When::Ok => exactly(!has_failed),
        When::OkAtLeast => (!has_failed, true),
        When::Failed => exactly(has_failed),
        When::Canceled => exactly(is_canceled),
        When::Nested => exactly(is_nested),
        When::InAgent => exactly(is_in_agent),
        When::With(other) => exactly(keys.contains(other)),
    };
    let is_allowed = has_content || !field.is_content;
    (must && is_allowed, may && is_allowed)
}

fn matches(rule: &str, key: &str) -> bool {
    rule.strip_suffix('*').map_or(rule == key, |prefix| key.starts_with(prefix))
}

fn is(kind: Is, value: &Value) -> bool {
    let json = |holds: fn(&JsonValue) -> bool| matches!(value, Value::StringValue(text) if serde_json::from_str(text).is_ok_and(|json| holds(&json)));
    match kind {
        Is::Text => matches!(value, Value::StringValue(text) if !text.is_empty()),
        Is::Word => matches!(value, Value::StringValue(text) if !text.is_empty() && !text.contains(' ')),
        Is::Exactly(expected) => matches!(value, Value::StringValue(text) if text == expected),
        Is::OneOf(words) => matches!(value, Value::StringValue(text) if words.contains(&text.as_str())),
        Is::Texts => matches!(value, Value::ArrayValue(list) if !list.values.is_empty()
            && list.values.iter().all(|value| matches!(value.value, Some(Value::StringValue(_))))),
        Is::Int => matches!(value, Value::IntValue(value) if *value >= 0),
        Is::Double => matches!(value, Value::DoubleValue(value) if *value >= 0.0),
        Is::Measure => matches!(value, Value::IntValue(_) | Value::DoubleValue(_) | Value::BoolValue(_)),
        Is::True => matches!(value, Value::BoolValue(true)),
        Is::JsonList => json(JsonValue::is_array),
        Is::JsonObject => json(JsonValue::is_object),
        Is::Json => json(|_| true),
    }
}

/// Every rule by its name, and whether some example is to exercise it.
fn all_rules() -> BTreeMap<String, bool> {
    let mut all = BTreeMap::new();
    let mut add = |rule: &str, is_shown: bool, fields: &[&[Field]]| {
        if rule != "the resource" {
            all.insert(rule.to_owned(), is_shown);
        }
        let fields = fields.iter().copied().flatten();
        all.extend(fields.map(|field| (format!("{rule}/{}", field.key), is_shown && field.is_shown)));
    };
    add("the resource", true, &[RESOURCE]);
    for span in SPANS {
        add(span.operation, true, span.fields);
        for event in span.events {
            add(&format!("{}: {}", span.operation, event.name), event.is_shown, &[event.fields]);
        }
    }
    for MetricRule { name, labels, is_shown, .. } in METRICS {
        add(name, *is_shown, labels);
    }
    for LogRule { name, fields, .. } in LOGS {
        add(name, true, &[fields]);
    }
    all
}

fn operation_of(span: &Span) -> &str {
    span.name.split(' ').next().unwrap_or_default()
}

fn text(text: &str) -> Value {
    Value::StringValue(text.to_owned())
}

fn value_of<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()
}

/// Attributes in a form that is the same for JSON as text and in structured form.
fn comparable(attributes: &[KeyValue]) -> BTreeMap<&str, JsonValue> {
    let parsed = |value| match value {
        JsonValue::String(text) if text.starts_with(['[', '{']) => {
            serde_json::from_str(&text).unwrap_or_else(|_| text.into())
        }
        other => other,
    };
    attributes.iter().map(|attribute| (attribute.key.as_str(), parsed(as_json(attribute.value.as_ref())))).collect()
}

fn as_json(value: Option<&AnyValue>) -> JsonValue {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(value)) => value.as_str().into(),
        Some(Value::BoolValue(value)) => (*value).into(),
        Some(Value::IntValue(value)) => (*value).into(),
        Some(Value::DoubleValue(value)) => (*value).into(),
        Some(Value::ArrayValue(list)) => list.values.iter().map(|value| as_json(Some(value))).collect(),
        Some(Value::KvlistValue(fields)) => {
            let field = |field: &KeyValue| (field.key.clone(), as_json(field.value.as_ref()));
            JsonValue::Object(fields.values.iter().map(field).collect())
        }
        None => JsonValue::Null,
        Some(other) => panic!("no attribute of ours is a {other:?}"),
    }
}
