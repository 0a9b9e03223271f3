//! Asks Prometheus, by the API that Grafana uses.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use reqwest::blocking::Client;
use serde_json::Value as JsonValue;

use crate::stack::Stack;

/// The collector hands on what it took after 2 s at the most, and Prometheus reads it 2 s later.
const PATIENCE: Duration = Duration::from_secs(30);

/// Prometheus's API.
pub(crate) struct Prometheus {
    client: Client,
    base: String,
}

/// One series of an answer and its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// A histogram, summed up over some of its labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Histogram {
    pub(crate) count: f64,
    pub(crate) sum: f64,
    /// Upper boundaries and how many values are not above each.
    pub(crate) buckets: Vec<(f64, f64)>,
}

impl Prometheus {
    pub(crate) fn of(stack: &Stack) -> Self {
        let client = Client::builder().no_proxy().build().expect("a client without TLS can be made");
        Self { client, base: stack.get("PROMETHEUS").to_owned() }
    }

    /// The values of an expression now.
    pub(crate) fn query(&self, expression: &str) -> Vec<Sample> {
        let answer = self.ask("/api/v1/query", &[("query", expression)]);
        let samples = answer["data"]["result"].as_array().expect("an answer has a list of results");
        samples.iter().map(|sample| Sample { labels: labels(sample), value: number(&sample["value"][1]) }).collect()
    }

    /// The values of an expression over the last minute, as a graph asks for them.
    pub(crate) fn query_range(&self, expression: &str) -> Vec<f64> {
        let now = chrono::Utc::now().timestamp();
        let (start, end) = ((now - 60).to_string(), now.to_string());
        let query = [("query", expression), ("start", &start), ("end", &end), ("step", "2")];
        let answer = self.ask("/api/v1/query_range", &query);
        let series = answer["data"]["result"].as_array().into_iter().flatten();
        let values = series.flat_map(|series| series["values"].as_array().into_iter().flatten());
        values.map(|value| number(&value[1])).collect()
    }

    /// The value of an expression of one series; 0 if there is none.
    pub(crate) fn sum(&self, expression: &str) -> f64 {
        self.query(&format!("sum({expression})")).first().map_or(0.0, |sample| sample.value)
    }

    /// The values of an expression by some of its labels, an absent one being empty.
    pub(crate) fn sums(&self, expression: &str, by: &[&str]) -> BTreeMap<Vec<String>, f64> {
        let samples = self.query(&format!("sum by ({}) ({expression})", by.join(", ")));
        samples.into_iter().map(|sample| (sample.key(by), sample.value)).collect()
    }

    /// A service's histogram, by some of its labels.
    pub(crate) fn histogram(&self, name: &str, service: &str, by: &[&str]) -> BTreeMap<Vec<String>, Histogram> {
        let of = |part: &str| format!("{name}_{part}{{job={service:?}}}");
        let mut histograms: BTreeMap<Vec<String>, Histogram> = BTreeMap::new();
        for (key, count) in self.sums(&of("count"), by) {
            histograms.entry(key).or_default().count = count;
        }
        for (key, sum) in self.sums(&of("sum"), by) {
            histograms.entry(key).or_default().sum = sum;
        }
        let with_boundary: Vec<_> = by.iter().copied().chain(["le"]).collect();
        for (mut key, value) in self.sums(&of("bucket"), &with_boundary) {
            // Compared as a number: Prometheus 3 writes 1.0 where 2 writes 1.
            let boundary = key.pop().map(|boundary| parse(&boundary)).expect("a bucket has a boundary");
            histograms.entry(key).or_default().buckets.push((boundary, value));
        }
        for histogram in histograms.values_mut() {
            histogram.buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        }
        histograms
    }

    /// Waits until an expression sums up to a value; the comparison that follows says what it is otherwise.
    pub(crate) fn wait_for(&self, expression: &str, value: f64) {
        let deadline = Instant::now() + PATIENCE;
        while self.sum(expression) != value && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(500));
        }
    }

    fn ask(&self, path: &str, query: &[(&str, &str)]) -> JsonValue {
        let request = self.client.get(format!("{}{path}", self.base)).query(query);
        let answer = request.send().unwrap_or_else(|error| panic!("Prometheus does not answer {path}: {error:?}"));
        let answer: JsonValue = answer.json().unwrap_or_else(|error| panic!("Prometheus answers with: {error:?}"));
        assert_eq!(answer["status"], "success", "{query:?}: {answer}");
        answer
    }
}

impl Sample {
    fn key(&self, by: &[&str]) -> Vec<String> {
        by.iter().map(|label| self.labels.get(*label).cloned().unwrap_or_default()).collect()
    }
}

fn labels(sample: &JsonValue) -> BTreeMap<String, String> {
    let labels = sample["metric"].as_object().into_iter().flatten();
    labels.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

fn number(value: &JsonValue) -> f64 {
    parse(value.as_str().expect("Prometheus gives numbers as texts"))
}

fn parse(number: &str) -> f64 {
    number.parse().unwrap_or_else(|error| panic!("{number}: {error}"))
}
