//! What every span, metric and log event must be like, one row a rule: the GenAI semantic conventions and, for
//! `agent_runtime.*`, the tables in the documentation of `otel`. Names are written out here, not taken from the crate.

mod metrics;
mod spans;

pub(crate) use metrics::METRICS;
pub(crate) use spans::{LOGS, SPANS};

/// What a value is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Is {
    Text,
    /// Without spaces, of few values.
    Word,
    Exactly(&'static str),
    OneOf(&'static [&'static str]),
    Texts,
    Int,
    Double,
    /// A number or a boolean.
    Measure,
    /// Only ever `true`.
    True,
    /// A text that is a list in JSON.
    JsonList,
    /// A text that is an object in JSON.
    JsonObject,
    /// A text that is JSON.
    Json,
}

/// When an attribute must be there; where it need not be it must not be, unless this says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Always,
    Sometimes,
    /// On what went well.
    Ok,
    /// On what went well, and perhaps on what did not.
    OkAtLeast,
    Failed,
    /// On what failed by being canceled.
    Canceled,
    /// In a workflow that is nested in another of its process.
    Nested,
    /// In an agent.
    InAgent,
    /// Together with another attribute.
    With(&'static str),
}

/// An attribute that may be there; one that no rule names must not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    /// With `*` at its end for all that begin like this.
    pub(crate) key: &'static str,
    pub(crate) is: Is,
    pub(crate) when: When,
    /// Only with content captured.
    pub(crate) is_content: bool,
    /// Whether some example has it.
    pub(crate) is_shown: bool,
}

const fn field(key: &'static str, is: Is, when: When) -> Field {
    Field { key, is, when, is_content: false, is_shown: true }
}

const fn always(key: &'static str, is: Is) -> Field {
    field(key, is, When::Always)
}

const fn sometimes(key: &'static str, is: Is) -> Field {
    field(key, is, When::Sometimes)
}

const fn ok(key: &'static str, is: Is) -> Field {
    field(key, is, When::Ok)
}

impl Field {
    const fn content(self) -> Self {
        Self { is_content: true, ..self }
    }

    const fn not_in_the_examples(self) -> Self {
        Self { is_shown: false, ..self }
    }
}

/// A span, recognized by the first word of its name.
pub(crate) struct SpanRule {
    pub(crate) operation: &'static str,
    /// The attribute that follows the operation in the name, if it is there.
    pub(crate) named_by: &'static str,
    pub(crate) is_client: bool,
    /// The operations that it may lie under; nothing for a root.
    pub(crate) under: &'static [&'static str],
    pub(crate) fields: &'static [&'static [Field]],
    pub(crate) events: &'static [EventRule],
}

/// An event of a span.
pub(crate) struct EventRule {
    pub(crate) name: &'static str,
    pub(crate) fields: &'static [Field],
    pub(crate) is_shown: bool,
}

/// A log event about a component.
pub(crate) struct LogRule {
    pub(crate) name: &'static str,
    pub(crate) severity: (i32, &'static str),
    /// The operations of the spans that it may lie in.
    pub(crate) under: &'static [&'static str],
    /// Whether it has all attributes of the request's span, content in structured form.
    pub(crate) repeats_span: bool,
    /// What it has else.
    pub(crate) fields: &'static [Field],
}

/// What a metric's points are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Instrument {
    Counter,
    /// With fractions.
    Amount,
    UpDownCounter,
    /// With fractions, in these buckets.
    Durations(&'static [f64]),
    /// Of whole numbers, in these buckets.
    Numbers(&'static [f64]),
}

pub(crate) struct MetricRule {
    pub(crate) name: &'static str,
    pub(crate) instrument: Instrument,
    pub(crate) unit: &'static str,
    pub(crate) labels: &'static [&'static [Field]],
    pub(crate) is_shown: bool,
}

pub(crate) const SCOPE: &str = "agent_runtime";

pub(crate) const RESOURCE: &[Field] = &[
    always("service.name", Is::Word),
    always("service.instance.id", Is::Word),
    always("telemetry.sdk.language", Is::Exactly("rust")),
    always("telemetry.sdk.name", Is::Exactly("opentelemetry")),
    always("telemetry.sdk.version", Is::Word),
];
