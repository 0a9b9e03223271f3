//! Prometheus has the sums that the events give: counts, durations, tokens and cost, to the last bucket.

use std::collections::BTreeMap;

use agent_runtime::event::{EventScope, EventType};
use serde_json::Value as JsonValue;

use crate::{
    example::{self, Delivery},
    native::{Component, Native},
    prometheus::{Histogram, Prometheus},
    stack::Stack,
};

/// Of the GenAI conventions: one call; an agent or a step; a workflow; tokens; calls of an agent.
const CALL_SECONDS: &[f64] = &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const AGENT_SECONDS: &[f64] = &[0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6];
const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
const CALLS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

/// The prices of the example, per million tokens: read, read from the cache, written.
const PRICES: [(&str, [f64; 3]); 2] = [("small-model", [0.15, 0.15, 0.6]), ("large-model", [2.5, 1.25, 10.0])];

type Values = BTreeMap<Vec<String>, Vec<f64>>;

#[test]
fn a_thousand_workflows_in_prometheus_sum_up_to_the_events() {
    let test = "a_thousand_workflows_in_prometheus_sum_up_to_the_events";
    let Some(stack) = Stack::up(test, &["jaeger", "collector", "prometheus"]) else { return };
    let prometheus = Prometheus::of(&stack);
    for (protocol, service, workflows) in [("grpc", "load-grpc", "1000"), ("http/protobuf", "load-http", "200")] {
        let file = stack.file("events.jsonl");
        let path = file.to_str().expect("the path is text");
        let mut variables = stack.otlp(protocol);
        variables.push(("OTEL_SERVICE_NAME".to_owned(), service.to_owned()));
        let lines = example::run("load", &["--workflows", workflows, "--at-once", "50", "--events", path], &variables);
        let native = Native::read(&file);
        let check = Check { native: &native, prometheus: &prometheus, service };
        check.events();
        check.durations();
        check.chunks();
        check.tokens();
        check.agents();
        check.cost();
        check.delivery(Delivery::last(&lines));
        check.span_metrics();
    }
}

#[test]
fn two_processes_of_one_service_add_up() {
    let test = "two_processes_of_one_service_add_up";
    let Some(stack) = Stack::up(test, &["jaeger", "collector", "prometheus"]) else { return };
    let files = [stack.file("one.jsonl"), stack.file("other.jsonl")];
    let paths = files.each_ref().map(|file| file.to_str().expect("the path is text"));
    let running =
        paths.map(|path| example::start("load", &["--workflows", "50", "--events", path], &stack.otlp("grpc")));
    running.into_iter().for_each(|running| drop(running.finish()));
    let events: usize = files.iter().map(|file| Native::read(file).events().len()).sum();
    let prometheus = Prometheus::of(&stack);
    let metric = "agent_runtime_events_total{job=\"load\"}";
    prometheus.wait_for(metric, events as f64);
    assert_eq!(prometheus.sum(metric), events as f64);
}

struct Check<'a> {
    native: &'a Native,
    prometheus: &'a Prometheus,
    service: &'a str,
}

impl Check<'_> {
    fn events(&self) {
        let mut expected: BTreeMap<Vec<String>, f64> = BTreeMap::new();
        let mut subsystems: BTreeMap<Vec<String>, f64> = BTreeMap::new();
        for event in self.native.events() {
            *expected.entry(vec![event.scope.to_string(), event.event_type.to_string()]).or_default() += 1.0;
            if event.scope == EventScope::System {
                *subsystems.entry(vec![event.component_name().to_owned()]).or_default() += 1.0;
            }
        }
        let events = self.of("agent_runtime_events_total");
        self.prometheus.wait_for(&events, self.native.events().len() as f64);
        assert_eq!(self.prometheus.sums(&events, &["agent_runtime_scope", "agent_runtime_event_type"]), expected);
        let system = self.of("agent_runtime_system_events_total");
        assert_eq!(self.prometheus.sums(&system, &["agent_runtime_system_subsystem"]), subsystems);
        let active = self.prometheus.query(&self.of("agent_runtime_components_active"));
        assert_eq!(active.len(), 5, "each scope but the system's has a number of active ones: {active:?}");
        assert!(active.iter().all(|sample| sample.value == 0.0), "all have ended: {active:?}");
    }

    /// The durations are those of the spans, by name and by what went wrong.
    fn durations(&self) {
        let of = [
            (
                EventScope::WorkflowStep,
                "agent_runtime_workflow_step_duration_seconds",
                "agent_runtime_step_name",
                AGENT_SECONDS,
            ),
            (EventScope::LlmRequest, "gen_ai_client_inference_duration_seconds", "gen_ai_request_model", CALL_SECONDS),
            (EventScope::Tool, "gen_ai_execute_tool_duration_seconds", "gen_ai_tool_name", CALL_SECONDS),
        ];
        for (scope, metric, name, boundaries) in of {
            let values = self.values(scope, |component| {
                let error = component.error_type().unwrap_or_default().to_owned();
                (vec![component.name().to_owned(), error], vec![component.seconds()])
            });
            self.check(metric, &[name, "error_type"], boundaries, &values);
        }
        // Workflows and agents have one histogram, told apart by the operation.
        let of = |scope, operation: &str| {
            self.values(scope, |component| {
                let error = component.error_type().unwrap_or_default().to_owned();
                (vec![operation.to_owned(), component.name().to_owned(), error], vec![component.seconds()])
            })
        };
        let mut values = of(EventScope::Workflow, "invoke_workflow");
        values.extend(of(EventScope::Agent, "invoke_agent"));
        let labels = ["gen_ai_operation_name", "gen_ai_agent_name", "error_type"];
        self.check("gen_ai_invoke_agent_duration_seconds", &labels, AGENT_SECONDS, &values);
    }

    fn chunks(&self) {
        let model = |component: &Component<'_>| vec![component.name().to_owned()];
        let first = self.values(EventScope::LlmRequest, |request| {
            let seen = request.progress.first().map(|first| seconds(request.start.timestamp, first.timestamp));
            // An answer of tool calls alone has no chunk of text; its end tells when the first of them came.
            let told = || request.end.data["time_to_first_chunk_ms"].as_f64().map(|millis| millis / 1e3);
            let first = seen.or_else(told);
            (model(request), first.into_iter().collect())
        });
        let metric = "gen_ai_client_inference_time_to_first_chunk_seconds";
        self.check(metric, &["gen_ai_request_model"], CALL_SECONDS, &first);
        let between = self.values(EventScope::LlmRequest, |request| {
            let gaps = request.progress.windows(2).map(|pair| seconds(pair[0].timestamp, pair[1].timestamp));
            (model(request), gaps.collect())
        });
        let metric = "gen_ai_client_inference_time_per_output_chunk_seconds";
        self.check(metric, &["gen_ai_request_model"], CALL_SECONDS, &between);
    }

    fn tokens(&self) {
        let of = [
            ("prompt_tokens", "input_tokens"),
            ("completion_tokens", "output_tokens"),
            ("cached_tokens", "cache_read_input_tokens"),
            ("reasoning_tokens", "reasoning_output_tokens"),
        ];
        for (field, metric) in of {
            let values = self.values(EventScope::LlmRequest, |request| {
                (vec![request.name().to_owned()], usage(request, field).into_iter().collect())
            });
            let sums: BTreeMap<_, f64> =
                values.iter().map(|(key, values)| (key.clone(), values.iter().sum())).collect();
            let counter = self.of(&format!("gen_ai_client_inference_usage_{metric}_total"));
            assert_eq!(self.prometheus.sums(&counter, &["gen_ai_request_model"]), sums, "{counter}");
            if matches!(field, "prompt_tokens" | "completion_tokens") {
                let metric = format!("gen_ai_client_inference_operation_{metric}");
                self.check(&metric, &["gen_ai_request_model"], TOKENS, &values);
            }
        }
    }

    /// All calls are some agent's.
    fn agents(&self) {
        for (metric, scope) in [("inference_calls", EventScope::LlmRequest), ("tool_calls", EventScope::Tool)] {
            let metric = format!("gen_ai_invoke_agent_{metric}");
            let told = self.prometheus.histogram(&metric, self.service, &[]);
            let [told] = told.into_values().collect::<Vec<_>>().try_into().expect("it is one histogram");
            let count =
                |scope| self.native.components().iter().filter(|component| component.start.scope == scope).count();
            assert_eq!((told.count, told.sum), (count(EventScope::Agent) as f64, count(scope) as f64), "{metric}");
            assert_eq!(boundaries(&told), CALLS);
        }
    }

    fn cost(&self) {
        let mut expected: BTreeMap<Vec<String>, f64> = BTreeMap::new();
        let mut unpriced = 0.0;
        for request in self.native.components_of(EventScope::LlmRequest) {
            let (Some(input), Some(output)) = (usage(&request, "prompt_tokens"), usage(&request, "completion_tokens"))
            else {
                continue;
            };
            match PRICES.iter().find(|(model, _)| *model == request.name()) {
                Some((model, [read, cached, written])) => {
                    let from_cache = usage(&request, "cached_tokens").unwrap_or_default();
                    let cost = (input - from_cache) * read + from_cache * cached + output * written;
                    *expected.entry(vec![(*model).to_owned()]).or_default() += cost / 1e6;
                }
                None => unpriced += 1.0,
            }
        }
        let told = self.prometheus.sums(&self.of("agent_runtime_llm_cost_USD_total"), &["gen_ai_request_model"]);
        assert!(told.keys().eq(expected.keys()), "{told:?} instead of {expected:?}");
        for (told, expected) in told.values().zip(expected.values()) {
            assert!(is_close(*told, *expected), "{told} instead of {expected}");
        }
        assert!(unpriced > 0.0, "the example has a model without a price");
        assert_eq!(self.prometheus.sum(&self.of("agent_runtime_llm_unpriced_requests_total")), unpriced);
    }

    /// The process's last metrics tell what became of its spans.
    fn delivery(&self, delivery: Delivery) {
        let told = |what: &str| self.prometheus.sum(&self.of(&format!("agent_runtime_spans_{what}_total")));
        let spans = self.native.components().len() as f64;
        assert_eq!((told("ended"), told("exported")), (delivery.ended as f64, delivery.exported as f64));
        assert_eq!((told("ended"), told("exported")), (spans, spans));
        assert_eq!((told("failed"), told("dropped"), told("interrupted")), (0.0, 0.0, 0.0));
        assert_eq!(self.prometheus.sum(&self.of("agent_runtime_subscriber_lagged_total")), 0.0);
    }

    /// What the collector counts by itself, from the spans, is the same.
    fn span_metrics(&self) {
        let mut expected: BTreeMap<Vec<String>, f64> = BTreeMap::new();
        for component in self.native.components() {
            let is_ok = component.end.event_type == EventType::Completed;
            let status = if is_ok { "STATUS_CODE_UNSET" } else { "STATUS_CODE_ERROR" };
            *expected.entry(vec![component.span_name(), status.to_owned()]).or_default() += 1.0;
        }
        let calls = self.of("traces_span_metrics_calls_total");
        self.prometheus.wait_for(&calls, self.native.components().len() as f64);
        assert_eq!(self.prometheus.sums(&calls, &["span_name", "status_code"]), expected);
    }

    fn of(&self, metric: &str) -> String {
        format!("{metric}{{job={:?}}}", self.service)
    }

    /// What the components of a scope give to a metric, by the labels that it has; a key without a value is none.
    fn values(&self, scope: EventScope, read: impl Fn(&Component<'_>) -> (Vec<String>, Vec<f64>)) -> Values {
        let mut values = Values::new();
        for component in self.native.components_of(scope) {
            let (key, read) = read(&component);
            if !read.is_empty() {
                values.entry(key).or_default().extend(read);
            }
        }
        assert!(!values.is_empty(), "nothing is measured of {scope}");
        values
    }

    /// Compares a histogram with the values that went into it: number, sum, boundaries, and each bucket.
    fn check(&self, metric: &str, by: &[&str], expected_boundaries: &[f64], values: &Values) {
        let told = self.prometheus.histogram(metric, self.service, by);
        assert!(told.keys().eq(values.keys()), "{metric}: {:?} instead of {:?}", told.keys(), values.keys());
        for (key, values) in values {
            let told = &told[key];
            assert_eq!(told.count, values.len() as f64, "{metric} {key:?}");
            let sum: f64 = values.iter().sum();
            assert!(is_close(told.sum, sum), "{metric} {key:?}: {} instead of {sum}", told.sum);
            assert_eq!(boundaries(told), expected_boundaries, "{metric}");
            for (boundary, told) in &told.buckets {
                let expected = values.iter().filter(|value| *value <= boundary).count();
                assert_eq!(*told, expected as f64, "{metric} {key:?} up to {boundary}");
            }
        }
    }
}

/// All boundaries but the infinite one, which must be there.
fn boundaries(histogram: &Histogram) -> Vec<f64> {
    let mut boundaries: Vec<_> = histogram.buckets.iter().map(|(boundary, _)| *boundary).collect();
    assert_eq!(boundaries.pop(), Some(f64::INFINITY), "{histogram:?}");
    boundaries
}

fn usage(request: &Component<'_>, field: &str) -> Option<f64> {
    request.end.data.get("usage").and_then(|usage| usage.get(field)).and_then(JsonValue::as_f64)
}

fn seconds(from: chrono::DateTime<chrono::Utc>, to: chrono::DateTime<chrono::Utc>) -> f64 {
    (to - from).to_std().expect("time does not run backwards").as_secs_f64()
}

fn is_close(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-9 * other.abs().max(1e-3)
}
