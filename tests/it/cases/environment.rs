//! Values in the environment are read as the specification says: what is not a value is reported and ignored, and costs
//! nothing else.

use std::collections::BTreeMap;

use agent_runtime::otel::CAPTURE_VARIABLE;
use opentelemetry_proto::tonic::{common::v1::any_value::Value, trace::v1::Span};

use super::program::Program;
use crate::support::sink::{Signal, Sink};

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
const SERVICE: &str = "OTEL_SERVICE_NAME";

/// A case's name, its variables, how many spans five runs leave at the collector, and the variable that is reported, if one is.
type Row = (&'static str, Pairs, usize, Option<&'static str>);

const ROWS: &[Row] = &[
    ("B29", &[(SAMPLER, "traceidratio"), (SAMPLER_ARG, "NaN")], 10, Some(SAMPLER_ARG)),
    ("B30", &[(SAMPLER, "traceidratio"), (SAMPLER_ARG, "10%")], 10, Some(SAMPLER_ARG)),
    ("B30 beyond", &[(SAMPLER, "traceidratio"), (SAMPLER_ARG, "1.5")], 10, Some(SAMPLER_ARG)),
    ("B31", &[(SAMPLER, "parentbased_ratio"), (SAMPLER_ARG, "0.5")], 10, Some(SAMPLER)),
    ("B32", &[(SAMPLER, "TraceIdRatio"), (SAMPLER_ARG, "0")], 0, None),
    ("B32 parent", &[(SAMPLER, "PARENTBASED_ALWAYS_OFF")], 0, None),
    ("F21 sampler", &[(SAMPLER, "nonsense")], 10, Some(SAMPLER)),
    ("F21 capture", &[(CAPTURE_VARIABLE, "true")], 10, Some(CAPTURE_VARIABLE)),
    ("names of OpenInference", &[("AGENT_RUNTIME_OPEN_INFERENCE", "yes")], 10, Some("AGENT_RUNTIME_OPEN_INFERENCE")),
    ("B39 queue 0", &[("OTEL_BSP_MAX_QUEUE_SIZE", "0")], 10, Some("OTEL_BSP_MAX_QUEUE_SIZE")),
    ("B39 queue -1", &[("OTEL_BSP_MAX_QUEUE_SIZE", "-1")], 10, Some("OTEL_BSP_MAX_QUEUE_SIZE")),
    ("B39 batch 0", &[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0")], 10, Some("OTEL_BSP_MAX_EXPORT_BATCH_SIZE")),
    ("B39 batch", &[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "99999999")], 10, Some("OTEL_BSP_MAX_EXPORT_BATCH_SIZE")),
    ("B39 interval", &[("OTEL_METRIC_EXPORT_INTERVAL", "0")], 10, Some("OTEL_METRIC_EXPORT_INTERVAL")),
    ("B39 delay", &[("OTEL_BSP_SCHEDULE_DELAY", "soon")], 10, Some("OTEL_BSP_SCHEDULE_DELAY")),
    ("C71", &[("OTEL_BSP_MAX_QUEUE_SIZE", "1000000000000")], 10, Some("OTEL_BSP_MAX_QUEUE_SIZE")),
    ("C71 logs", &[("OTEL_BLRP_MAX_QUEUE_SIZE", "1000000000000")], 10, Some("OTEL_BLRP_MAX_QUEUE_SIZE")),
    ("C72 events", &[("OTEL_SPAN_EVENT_COUNT_LIMIT", "0")], 10, None),
    ("C72 event", &[("OTEL_SPAN_EVENT_COUNT_LIMIT", "1")], 10, None),
    ("C72 attributes", &[("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "0")], 10, Some("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT")),
    ("C72 attribute", &[("OTEL_ATTRIBUTE_COUNT_LIMIT", "1")], 10, Some("OTEL_ATTRIBUTE_COUNT_LIMIT")),
    ("B42", &[("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "12")], 10, Some("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT")),
    ("B42 no such limit", &[("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "9")], 10, Some("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")),
    ("C72 timeout", &[("OTEL_EXPORTER_OTLP_TIMEOUT", "0")], 10, Some("OTEL_EXPORTER_OTLP_TIMEOUT")),
    ("C72 headers", &[("OTEL_EXPORTER_OTLP_HEADERS", "nonsense")], 10, None),
    ("C72 resource", &[(ATTRIBUTES, "a=b,,=c,d")], 10, Some(ATTRIBUTES)),
    (
        "temporality",
        &[("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "none")],
        10,
        Some("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"),
    ),
    (
        "empty is not set",
        &[
            (SAMPLER, ""),
            (SAMPLER_ARG, " "),
            (SERVICE, ""),
            (ATTRIBUTES, ""),
            (CAPTURE_VARIABLE, ""),
            ("OTEL_SDK_DISABLED", ""),
            ("OTEL_TRACES_EXPORTER", ""),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", ""),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", ""),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", ""),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", ""),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", ""),
            ("OTEL_BSP_MAX_QUEUE_SIZE", ""),
            ("OTEL_SPAN_EVENT_COUNT_LIMIT", ""),
        ],
        10,
        None,
    ),
];

#[test]
fn what_is_not_a_value_is_reported_and_costs_nothing_else() {
    for (case, variables, spans, reported) in ROWS {
        let sink = Sink::http();
        let url = sink.url();
        let variables = [&[("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str())], *variables].concat();
        let program = Program::running(5, &variables);
        assert_eq!(sink.spans().len(), *spans, "{case}: {program:?}");
        let arrived = format!("all {spans} spans arrived");
        assert!(program.outcome().starts_with(&arrived), "{case}: {program:?}");
        let is_reported = |(name, value): &&(&str, &str)| program.printed.contains(&format!("{name}={value:?}"));
        let seen: Vec<_> = variables.iter().filter(is_reported).map(|(name, _)| *name).collect();
        assert_eq!(seen, reported.iter().copied().collect::<Vec<_>>(), "{case}: {program:?}");
    }
}

/// Names and values.
type Pairs = &'static [(&'static str, &'static str)];

/// The variables, and what the resource has of them.
const RESOURCES: &[(&str, Pairs, Pairs)] = &[
    ("B33", &[(SERVICE, "mine"), (ATTRIBUTES, "service.name=theirs,a=b")], &[("service.name", "mine"), ("a", "b")]),
    (
        "B34",
        &[(ATTRIBUTES, "deployment.region=eu%2Cwest%20M%C3%BCnchen")],
        &[("deployment.region", "eu,west München"), ("service.name", "in-the-code")],
    ),
    ("B35", &[(ATTRIBUTES, "service.name=,a=b")], &[("service.name", "in-the-code"), ("a", "b")]),
    ("B36", &[(SERVICE, "")], &[("service.name", "in-the-code")]),
    ("B37", &[(ATTRIBUTES, "key=dmFsdWU=,other=1")], &[("key", "dmFsdWU="), ("other", "1")]),
    ("an id", &[(ATTRIBUTES, "service.instance.id=7")], &[("service.instance.id", "7")]),
];

#[test]
fn the_resource_is_what_the_environment_says() {
    for (case, variables, expected) in RESOURCES {
        let sink = Sink::http();
        let url = sink.url();
        Program::run(&[&[("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str())], *variables].concat());
        let resource = sink.requests()[0].resource_spans[0].resource.clone().expect("there is one");
        let attributes: BTreeMap<_, _> = resource
            .attributes
            .into_iter()
            .filter_map(|attribute| match attribute.value?.value? {
                Value::StringValue(value) => Some((attribute.key, value)),
                _ => None,
            })
            .collect();
        for (key, value) in *expected {
            assert_eq!(attributes.get(*key).map(String::as_str), Some(*value), "{case}: {attributes:?}");
        }
        assert!(attributes.contains_key("service.instance.id") && attributes.contains_key("telemetry.sdk.name"));
    }
}

#[test]
fn headers_arrive_whole_and_an_empty_variable_of_a_signal_hides_none() {
    let b38 = "authorization=Basic dXNlcjpwYXNz==, x-auth=app app_key=abc,x-enc=a%20b%2Cc%3D";
    for (protocol, sink) in [("http/protobuf", Sink::http()), ("grpc", Sink::grpc())] {
        let url = sink.url();
        let program = Program::run(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_HEADERS", b38),
            ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", ""),
        ]);
        for signal in [Signal::Traces, Signal::Metrics] {
            let headers = sink.headers(signal).pop().unwrap_or_else(|| panic!("{program:?}"));
            let expected =
                [("authorization", "Basic dXNlcjpwYXNz=="), ("x-auth", "app app_key=abc"), ("x-enc", "a b,c=")];
            for (name, value) in expected {
                assert_eq!(headers.get(name).map(String::as_str), Some(value), "{protocol} {signal:?}: {headers:?}");
            }
        }
    }
}

#[test]
fn what_says_where_telemetry_goes_or_how_is_an_error_that_names_it() {
    for (case, variable, value) in [
        ("B40", "OTEL_EXPORTER_OTLP_PROTOCOL", "http"),
        ("B40", "OTEL_TRACES_EXPORTER", "zipkin"),
        ("B40", "OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
    ] {
        let program = Program::run(&[(variable, value)]);
        let refusal = program.refusal();
        assert!(refusal.contains(&format!("{variable}={value:?} is not one of")), "{case}: {refusal}");
    }
}

#[test]
fn the_names_of_open_inference_are_there_where_the_variable_asks_for_them() {
    for (value, expected) in [("", 0), ("false", 0), ("True", 2)] {
        let sink = Sink::http();
        let url = sink.url();
        Program::run(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &url), ("AGENT_RUNTIME_OPEN_INFERENCE", value)]);
        let has_kind = |span: &&Span| span.attributes.iter().any(|kept| kept.key == "openinference.span.kind");
        assert_eq!(sink.spans().iter().filter(has_kind).count(), expected, "{value:?}");
    }
}
