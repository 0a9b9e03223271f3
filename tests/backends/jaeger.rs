//! Asks Jaeger, by the API that its own page uses.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    thread,
    time::{Duration, Instant},
};

use reqwest::blocking::Client;
use serde_json::{Value as JsonValue, json};

use crate::stack::Stack;

/// A consumer of Kafka that was killed is only replaced after its session's 10 s.
const PATIENCE: Duration = Duration::from_secs(60);

/// Jaeger's API.
pub(crate) struct Jaeger {
    client: Client,
    base: String,
}

/// A span as Jaeger tells it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JaegerSpan {
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
    pub(crate) parent: Option<String>,
    pub(crate) name: String,
    /// Microseconds since 1970.
    pub(crate) start_us: i64,
    pub(crate) duration_us: i64,
    pub(crate) tags: BTreeMap<String, JsonValue>,
    pub(crate) logs: Vec<JaegerLog>,
    pub(crate) service: String,
    pub(crate) warnings: Vec<String>,
}

/// A span event as Jaeger tells it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JaegerLog {
    pub(crate) at_us: i64,
    pub(crate) fields: BTreeMap<String, JsonValue>,
}

impl Jaeger {
    pub(crate) fn of(stack: &Stack) -> Self {
        let client = Client::builder().no_proxy().build().expect("a client without TLS can be made");
        Self { client, base: stack.get("JAEGER_QUERY").to_owned() }
    }

    /// The names of all services.
    pub(crate) fn services(&self) -> BTreeSet<String> {
        strings(&self.ask("/api/services", &[]))
    }

    /// The names of a service's spans.
    pub(crate) fn operations(&self, service: &str) -> BTreeSet<String> {
        strings(&self.ask(&format!("/api/services/{service}/operations"), &[]))
    }

    /// The spans of a trace; none if it is not there.
    pub(crate) fn trace(&self, id: &str) -> Vec<JaegerSpan> {
        spans(&self.ask(&format!("/api/traces/{id}"), &[]))
    }

    /// The ids of the traces that have a span with a tag, as the search form finds them.
    pub(crate) fn search(&self, service: &str, tag: &str, value: &str) -> BTreeSet<String> {
        let tags = json!({ tag: value }).to_string();
        let now = chrono::Utc::now();
        let start = (now - chrono::TimeDelta::hours(1)).timestamp_micros().to_string();
        let end = now.timestamp_micros().to_string();
        let query = [("service", service), ("tags", &tags), ("start", &start), ("end", &end), ("limit", "5000")];
        let found = self.ask("/api/traces", &query);
        let ids = found.as_array().into_iter().flatten().filter_map(|trace| trace["traceID"].as_str());
        ids.map(str::to_owned).collect()
    }

    /// The spans of some traces by their ids, once there are `count` of them in all, or as many as come in time.
    ///
    /// A request whose answer is lost is sent again, so a span may be there twice; it counts as one.
    pub(crate) fn wait_for(&self, traces: &BTreeSet<String>, count: usize) -> HashMap<String, JaegerSpan> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let all = traces.iter().flat_map(|id| self.trace(id));
            let found: HashMap<_, _> = all.map(|span| (span.span_id.clone(), span)).collect();
            if found.len() >= count || Instant::now() > deadline {
                return found;
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// The spans of some traces, once no more come.
    pub(crate) fn settled(&self, traces: &BTreeSet<String>) -> HashMap<String, JaegerSpan> {
        let mut count = usize::MAX;
        loop {
            let found = self.wait_for(traces, 0);
            if found.len() == count {
                return found;
            }
            count = found.len();
            thread::sleep(Duration::from_secs(1));
        }
    }

    fn ask(&self, path: &str, query: &[(&str, &str)]) -> JsonValue {
        let request = self.client.get(format!("{}{path}", self.base)).query(query);
        let answer = request.send().unwrap_or_else(|error| panic!("Jaeger does not answer {path}: {error:?}"));
        let mut answer: JsonValue =
            answer.json().unwrap_or_else(|error| panic!("Jaeger answers {path} with: {error:?}"));
        assert!(answer["errors"].is_null() || path.starts_with("/api/traces/"), "Jaeger answers {path}: {answer}");
        answer["data"].take()
    }
}

fn strings(list: &JsonValue) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().filter_map(JsonValue::as_str).map(str::to_owned).collect()
}

fn spans(traces: &JsonValue) -> Vec<JaegerSpan> {
    let traces = traces.as_array().into_iter().flatten();
    traces.flat_map(|trace| items(&trace["spans"]).map(|span| read(span, &trace["processes"]))).collect()
}

fn read(span: &JsonValue, processes: &JsonValue) -> JaegerSpan {
    let text = |value: &JsonValue| value.as_str().expect("Jaeger gives a text").to_owned();
    let micros = |value: &JsonValue| value.as_i64().expect("Jaeger gives microseconds");
    let log = |log: &JsonValue| JaegerLog { at_us: micros(&log["timestamp"]), fields: fields(&log["fields"]) };
    JaegerSpan {
        trace_id: text(&span["traceID"]),
        span_id: text(&span["spanID"]),
        parent: items(&span["references"]).next().map(|parent| text(&parent["spanID"])),
        name: text(&span["operationName"]),
        start_us: micros(&span["startTime"]),
        duration_us: micros(&span["duration"]),
        tags: fields(&span["tags"]),
        logs: items(&span["logs"]).map(log).collect(),
        service: text(&processes[text(&span["processID"])]["serviceName"]),
        warnings: strings(&span["warnings"]).into_iter().collect(),
    }
}

fn items(list: &JsonValue) -> impl Iterator<Item = &JsonValue> {
    list.as_array().into_iter().flatten()
}

fn fields(list: &JsonValue) -> BTreeMap<String, JsonValue> {
    items(list).map(|field| (field["key"].as_str().unwrap_or_default().to_owned(), field["value"].clone())).collect()
}
