//! Jaeger has the traces that the events tell: tree, names, times, attributes, span events and errors.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
};

use agent_runtime::event::EventScope;
use serde_json::Value as JsonValue;

use crate::{
    example::{self, Delivery},
    jaeger::{Jaeger, JaegerSpan},
    native::Native,
    prometheus::Prometheus,
    stack::Stack,
};

const PROTOCOLS: [&str; 2] = ["grpc", "http/protobuf"];

const QUICKSTART: &str = include_str!("../support/quickstart.tree");

const FAILURES: &str = include_str!("../support/failures.tree");

#[test]
fn an_example_is_one_tree_in_jaeger_over_either_protocol() {
    let test = "an_example_is_one_tree_in_jaeger_over_either_protocol";
    let Some(stack) = Stack::up(test, &["jaeger", "collector"]) else { return };
    let jaeger = Jaeger::of(&stack);
    for protocol in PROTOCOLS {
        for (name, expected) in [("quickstart", QUICKSTART), ("failures", FAILURES)] {
            let lines = example::run(name, &[], &stack.otlp(protocol));
            let spans = arrived(&jaeger, example::trace_id(&lines), expected.lines().count());
            assert_eq!(tree(&spans), expected, "{name} over {protocol}");
            assert!(spans.values().all(|span| span.warnings.is_empty()), "Jaeger warns: {spans:#?}");
        }
    }
    assert_eq!(jaeger.services(), BTreeSet::from(["failures".to_owned(), "quickstart".to_owned()]));
}

#[test]
fn jaeger_has_to_the_attribute_what_the_program_wrote_to_a_file() {
    let test = "jaeger_has_to_the_attribute_what_the_program_wrote_to_a_file";
    let Some(stack) = Stack::up(test, &["jaeger", "collector"]) else { return };
    for protocol in PROTOCOLS {
        let file = stack.file("trace.json");
        let path = file.to_str().expect("the path is text");
        let lines = example::run("quickstart", &["--trace-out", path], &stack.otlp(protocol));
        let written = fs::read_to_string(&file).expect("the example writes the file");
        check_file(&written, &arrived(&Jaeger::of(&stack), example::trace_id(&lines), QUICKSTART.lines().count()));
    }
}

#[test]
fn a_thousand_workflows_in_jaeger_are_those_of_the_events() {
    let test = "a_thousand_workflows_in_jaeger_are_those_of_the_events";
    let Some(stack) = Stack::up(test, &["jaeger", "collector"]) else { return };
    let jaeger = Jaeger::of(&stack);
    let file = stack.file("events.jsonl");
    let path = file.to_str().expect("the path is text");
    let arguments = ["--workflows", "1000", "--at-once", "50", "--events", path];
    let lines = example::run("load", &arguments, &stack.otlp("grpc"));

    let native = Native::read(&file);
    let components = native.components();
    let all = components.len() as u64;
    assert_eq!(Delivery::last(&lines), Delivery { ended: all, exported: all, failed: 0, unsent: 0 });
    let spans = jaeger.wait_for(&native.traces(), components.len());
    native.check_all(&spans, "load");
    assert_eq!(native.traces().len(), 1_000);

    let names: BTreeSet<_> = components.iter().map(|component| component.span_name()).collect();
    assert_eq!(jaeger.operations("load"), names);
    check_search(&jaeger, &native);
}

/// The search form finds the traces by what went wrong, by model, by tool and by the id of the run.
///
/// Not by `error=true`: Jaeger 2.13's store in memory knows it as a boolean, while its API hands every tag on as a text.
fn check_search(jaeger: &Jaeger, native: &Native) {
    let check = |tag: &str, value: &str, expected: BTreeSet<String>| {
        assert!(!expected.is_empty(), "no event has {tag}={value}");
        let found = jaeger.search("load", tag, value);
        let differ = found.symmetric_difference(&expected).count();
        assert_eq!((found.len(), differ), (expected.len(), 0), "traces found by {tag}={value}, and wrong ones");
    };
    for error_type in ["canceled", "INDEX_OFFLINE", "rate_limit_exceeded", "server_error"] {
        check("error.type", error_type, native.traces_where(|component| component.error_type() == Some(error_type)));
    }
    for model in ["small-model", "large-model"] {
        let asks = native.traces_where(|component| {
            component.start.scope == EventScope::LlmRequest && component.start.data["model"] == model
        });
        check("gen_ai.request.model", model, asks);
    }
    let calculates = native.traces_where(|component| component.start.data["tool_name"] == "calculate");
    check("gen_ai.tool.name", "calculate", calculates);
    let components = native.components();
    let run = components[0].start.workflow_id.as_deref().expect("a run has an id");
    check("agent_runtime.workflow.id", run, BTreeSet::from([components[0].trace_id()]));
}

#[test]
fn a_real_models_answers_are_in_jaeger_and_prometheus_with_their_tokens() {
    let test = "a_real_models_answers_are_in_jaeger_and_prometheus_with_their_tokens";
    let Some(stack) = Stack::up(test, &["jaeger", "collector", "prometheus", "model"]) else { return };
    let mut variables = stack.otlp("http/protobuf");
    variables.extend([
        ("OPENAI_BASE_URL".to_owned(), stack.get("OPENAI_BASE_URL").to_owned()),
        ("OPENAI_API_KEY".to_owned(), "none".to_owned()),
        ("OPENAI_MODEL".to_owned(), "smollm2".to_owned()),
    ]);
    let lines = example::run("quickstart", &[], &variables);
    let spans = arrived(&Jaeger::of(&stack), example::trace_id(&lines), 1);
    let requests: Vec<_> = spans.values().filter(|span| span.name == "chat smollm2").collect();
    assert!(requests.len() >= 3, "three agents ask the model: {spans:#?}");
    let prometheus = Prometheus::of(&stack);
    for (tag, metric) in
        [("gen_ai.usage.input_tokens", "input_tokens"), ("gen_ai.usage.output_tokens", "output_tokens")]
    {
        let tokens: u64 = requests.iter().filter_map(|request| request.tags[tag].as_u64()).sum();
        let counter = format!("gen_ai_client_inference_usage_{metric}_total{{gen_ai_request_model=\"smollm2\"}}");
        prometheus.wait_for(&counter, tokens as f64);
        assert_eq!(prometheus.sum(&counter), tokens as f64, "{counter}");
    }
    for request in requests {
        for key in ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "agent_runtime.llm.chunk_count"] {
            assert!(request.tags[key].as_u64() > Some(0), "{key} of {request:#?}");
        }
        let first_chunk = request.tags["gen_ai.response.time_to_first_chunk"].as_f64().expect("it is a number");
        assert!(first_chunk > 0.0 && first_chunk * 1e6 <= request.duration_us as f64, "{request:#?}");
        let port: u64 = stack.get("MODEL_PORT").parse().expect("a port is a number");
        assert_eq!(request.tags["server.address"].as_str(), Some("127.0.0.1"));
        assert_eq!(request.tags["server.port"].as_u64(), Some(port));
    }
}

/// The spans of a trace, once they are there and no more come.
pub(crate) fn arrived(jaeger: &Jaeger, trace: &str, count: usize) -> HashMap<String, JaegerSpan> {
    let traces = BTreeSet::from([trace.to_owned()]);
    jaeger.wait_for(&traces, count);
    jaeger.settled(&traces)
}

/// Names, nesting and errors, siblings by their start.
pub(crate) fn tree(spans: &HashMap<String, JaegerSpan>) -> String {
    let mut drawn = String::new();
    draw(None, 0, spans, &mut drawn);
    drawn
}

fn draw(parent: Option<&str>, depth: usize, spans: &HashMap<String, JaegerSpan>, drawn: &mut String) {
    let mut children: Vec<_> = spans.values().filter(|span| span.parent.as_deref() == parent).collect();
    children.sort_by_key(|span| (span.start_us, span.tags["agent_runtime.event.offset"].as_i64()));
    for child in children {
        let error = child.tags.get("error.type").and_then(JsonValue::as_str);
        assert_eq!(error.is_some(), child.tags.contains_key("error"), "red is what has a type of error: {child:#?}");
        let error = error.map(|error| format!(": {error}")).unwrap_or_default();
        drawn.push_str(&format!("{:width$}{}{error}\n", "", child.name, width = 2 * depth));
        draw(Some(&child.span_id), depth + 1, spans, drawn);
    }
}

/// Compares Jaeger's spans with OTLP JSON.
fn check_file(written: &str, spans: &HashMap<String, JaegerSpan>) {
    let written: JsonValue = serde_json::from_str(written).expect("it is JSON");
    let written = written["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().expect("it has spans");
    assert_eq!(written.len(), spans.len());
    for written in written {
        let span = &spans[written["spanId"].as_str().expect("a span has an id")];
        let nanos = |value: &JsonValue| value.as_str().and_then(|nanos| nanos.parse::<i64>().ok()).expect("a time");
        let (start, end) = (nanos(&written["startTimeUnixNano"]), nanos(&written["endTimeUnixNano"]));
        let parent = written["parentSpanId"].as_str().filter(|id| !id.is_empty());
        assert_eq!(
            (span.trace_id.as_str(), span.parent.as_deref(), span.name.as_str(), span.start_us, span.duration_us),
            (
                written["traceId"].as_str().unwrap_or_default(),
                parent,
                written["name"].as_str().unwrap_or_default(),
                start / 1_000,
                (end - start) / 1_000
            )
        );
        check_attributes(&written["attributes"], |key| span.tags.get(key));
        let events = written["events"].as_array().expect("a span has a list of events");
        assert_eq!(events.len(), span.logs.len(), "{span:#?}");
        for event in events {
            let at = nanos(&event["timeUnixNano"]) / 1_000;
            let log = span.logs.iter().find(|log| log.at_us == at && log.fields["event"] == event["name"]);
            let log = log.unwrap_or_else(|| panic!("{event:#} is not in {span:#?}"));
            check_attributes(&event["attributes"], |key| log.fields.get(key));
        }
    }
}

fn check_attributes<'a>(written: &JsonValue, read: impl Fn(&str) -> Option<&'a JsonValue>) {
    for attribute in written.as_array().into_iter().flatten() {
        let key = attribute["key"].as_str().unwrap_or_default();
        let (kind, value) =
            attribute["value"].as_object().and_then(|value| value.iter().next()).expect("it has a value");
        let read = read(key).unwrap_or_else(|| panic!("Jaeger has no {key}"));
        let same = match kind.as_str() {
            "intValue" => value.as_str().map(str::to_owned) == read.as_i64().map(|number| number.to_string()),
            "arrayValue" => read.as_str().is_some_and(|list| list.contains(in_list(value))),
            _ => value == read,
        };
        assert!(same, "{key} was written as {value} and Jaeger has {read}");
    }
}

fn in_list(value: &JsonValue) -> &str {
    value["values"][0]["stringValue"].as_str().expect("the lists are of text")
}
