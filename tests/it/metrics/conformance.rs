//! The metrics against the conventions and the documentation, one row a rule.

use std::collections::BTreeSet;

use agent_runtime::otel::{Price, PriceTable};

use super::{
    harness::{Kind, Setup},
    scenario::{self, SECRET},
};

/// What one metric must be like, from section "Metrics" of the GenAI conventions or from the table in `otel`.
struct Rule {
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    boundaries: &'static [f64],
    /// On every point.
    required: &'static [&'static str],
    /// On some points.
    optional: &'static [&'static str],
}

const B1: &[f64] = &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const B2: &[f64] = &[0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6];
const B3: &[f64] = &[1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0];
const B4: &[f64] = &[
    1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 16777216.0,
    67108864.0,
];
const B5: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

const OPERATION: &str = "gen_ai.operation.name";
const PROVIDER: &str = "gen_ai.provider.name";
const MODEL: &str = "gen_ai.request.model";
const RESPONSE_MODEL: &str = "gen_ai.response.model";
const ADDRESS: &str = "server.address";
const PORT: &str = "server.port";
const ERROR: &str = "error.type";
const MODALITY: &str = "gen_ai.token.modality";
const AGENT: &str = "gen_ai.agent.name";

const fn histogram(name: &'static str, unit: &'static str, boundaries: &'static [f64]) -> Rule {
    Rule { name, kind: Kind::Histogram, unit, boundaries, required: &[], optional: &[] }
}

const fn counter(name: &'static str, unit: &'static str) -> Rule {
    Rule { name, kind: Kind::Counter, unit, boundaries: &[], required: &[], optional: &[] }
}

impl Rule {
    const fn with(self, required: &'static [&'static str], optional: &'static [&'static str]) -> Self {
        Self { required, optional, ..self }
    }
}

/// The metric, labels that name one of its points, and a label of that point; `None` where it must not be.
type Row = (&'static str, &'static [(&'static str, &'static str)], &'static str, Option<&'static str>);

fn rules() -> Vec<Rule> {
    let tokens =
        |name| counter(name, "{token}").with(&[OPERATION, PROVIDER, MODEL, MODALITY], &[RESPONSE_MODEL, ADDRESS, PORT]);
    vec![
        histogram("gen_ai.client.inference.duration", "s", B1)
            .with(&[OPERATION, PROVIDER, MODEL], &[RESPONSE_MODEL, ADDRESS, PORT, ERROR]),
        histogram("gen_ai.client.inference.time_to_first_chunk", "s", B1)
            .with(&[OPERATION, PROVIDER, MODEL], &[RESPONSE_MODEL, ADDRESS, PORT]),
        histogram("gen_ai.client.inference.time_per_output_chunk", "s", B1)
            .with(&[OPERATION, PROVIDER, MODEL], &[ADDRESS, PORT]),
        tokens("gen_ai.client.inference.usage.input_tokens"),
        tokens("gen_ai.client.inference.usage.output_tokens"),
        tokens("gen_ai.client.inference.usage.cache_read.input_tokens"),
        tokens("gen_ai.client.inference.usage.cache_write.input_tokens"),
        tokens("gen_ai.client.inference.usage.reasoning.output_tokens"),
        histogram("gen_ai.client.inference.operation.input_tokens", "{token}", B4)
            .with(&[OPERATION, PROVIDER, MODEL, RESPONSE_MODEL], &[ADDRESS, PORT]),
        histogram("gen_ai.client.inference.operation.output_tokens", "{token}", B4)
            .with(&[OPERATION, PROVIDER, MODEL, RESPONSE_MODEL], &[ADDRESS, PORT]),
        histogram("gen_ai.invoke_agent.duration", "s", B2).with(&[AGENT, MODEL], &[ERROR]),
        histogram("gen_ai.invoke_agent.inference_calls", "{inference_call}", B5).with(&[AGENT], &[]),
        histogram("gen_ai.invoke_agent.tool_calls", "{tool_call}", B5).with(&[AGENT], &[]),
        histogram("gen_ai.execute_tool.duration", "s", B1)
            .with(&["gen_ai.tool.name", "gen_ai.tool.type", AGENT], &[ERROR]),
        histogram("gen_ai.invoke_workflow.duration", "s", B3).with(&["gen_ai.workflow.name"], &[ERROR]),
        histogram("agent_runtime.workflow_step.duration", "s", B2)
            .with(&["agent_runtime.step.name", "agent_runtime.step.type"], &[ERROR]),
        Rule {
            kind: Kind::UpDownCounter,
            ..counter("agent_runtime.components.active", "{component}").with(&["agent_runtime.scope"], &[])
        },
        counter("agent_runtime.events", "{event}").with(&["agent_runtime.scope", "agent_runtime.event.type"], &[]),
        counter("agent_runtime.system.events", "{event}").with(&["agent_runtime.system.subsystem"], &[]),
        counter("agent_runtime.subscriber.lagged", "{event}"),
        counter("agent_runtime.llm.cost", "EUR")
            .with(&[OPERATION, PROVIDER, MODEL, AGENT], &[RESPONSE_MODEL, ADDRESS, PORT]),
        counter("agent_runtime.llm.unpriced_requests", "{request}")
            .with(&[OPERATION, PROVIDER, MODEL, AGENT], &[RESPONSE_MODEL, ADDRESS, PORT]),
    ]
}

/// The names that the conventions had up to v1.41.
fn legacy_rules() -> Vec<Rule> {
    vec![
        histogram("gen_ai.client.token.usage", "{token}", B4)
            .with(&[OPERATION, PROVIDER, MODEL, RESPONSE_MODEL, "gen_ai.token.type"], &[ADDRESS, PORT]),
        histogram("gen_ai.client.operation.duration", "s", B1)
            .with(&[OPERATION, PROVIDER, MODEL], &[RESPONSE_MODEL, ADDRESS, PORT, ERROR]),
        histogram("gen_ai.client.operation.time_to_first_chunk", "s", B1)
            .with(&[OPERATION, PROVIDER, MODEL], &[RESPONSE_MODEL, ADDRESS, PORT]),
        histogram("gen_ai.client.operation.time_per_output_chunk", "s", B1)
            .with(&[OPERATION, PROVIDER, MODEL], &[ADDRESS, PORT]),
    ]
}

#[tokio::test(start_paused = true)]
async fn every_metric_is_as_the_conventions_want_it() {
    check(false, rules()).await;
}

#[tokio::test(start_paused = true)]
async fn the_legacy_names_come_beside_the_new_ones_when_they_are_wanted() {
    check(true, rules().into_iter().chain(legacy_rules()).collect()).await;
}

async fn check(legacy: bool, rules: Vec<Rule>) {
    let price = Price::per_million(2.0, 8.0).expect("a valid price");
    let prices = PriceTable::new("EUR").expect("a valid currency").with_price("model-1", price);
    let metered = Setup::default().build(|recorder| recorder.with_legacy_metrics(legacy).with_prices(prices));
    scenario::run_all(&metered).await;
    let snapshot = metered.collect();

    let expected: BTreeSet<_> = rules.iter().map(|rule| rule.name.to_owned()).collect();
    assert_eq!(
        snapshot.0.keys().cloned().collect::<BTreeSet<_>>(),
        expected,
        "no metric without a rule, nor a rule without"
    );
    for rule in rules {
        let series = snapshot.series(rule.name);
        assert_eq!((series.kind, series.unit.as_str()), (rule.kind, rule.unit), "{}", rule.name);
        assert!(series.description.ends_with('.'), "{} says {:?}", rule.name, series.description);
        let mut seen = BTreeSet::new();
        for point in &series.points {
            assert_eq!(point.boundaries, rule.boundaries, "{}", rule.name);
            let labels: BTreeSet<_> = point.labels.keys().map(String::as_str).collect();
            let required: BTreeSet<_> = rule.required.iter().copied().collect();
            let allowed: BTreeSet<_> = rule.required.iter().chain(rule.optional).copied().collect();
            assert!(labels.is_superset(&required), "{} lacks a label: {labels:?}", rule.name);
            assert!(labels.is_subset(&allowed), "{} has a label too many: {labels:?}", rule.name);
            assert_eq!(labels.contains(ADDRESS), labels.contains(PORT), "{}", rule.name);
            seen.extend(labels);
        }
        // `cache_read` and its like are only told by the provider that knows them, and prices only by some models.
        let is_rare = rule.unit == "{token}" || rule.name.starts_with("agent_runtime.llm.") || rule.boundaries == B4;
        for label in rule.optional.iter().filter(|label| !is_rare && !matches!(**label, ADDRESS | PORT)) {
            assert!(seen.contains(label), "{} never had {label}", rule.name);
        }
    }
    assert!(!format!("{snapshot:?}").contains(SECRET), "no content in names, labels or descriptions");
}

#[tokio::test(start_paused = true)]
async fn labels_say_what_happened() {
    let metered = Setup::default().build(|recorder| recorder);
    scenario::run_all(&metered).await;
    let snapshot = metered.collect();
    let rows: [Row; 15] = [
        ("gen_ai.client.inference.duration", &[(ERROR, "stream_interrupted")], MODEL, Some("model-2")),
        ("gen_ai.client.inference.duration", &[(ERROR, "stream_interrupted")], OPERATION, Some("chat")),
        ("gen_ai.client.inference.duration", &[(ERROR, "canceled")], RESPONSE_MODEL, None),
        ("gen_ai.client.inference.duration", &[(MODEL, "model-1")], ERROR, None),
        ("gen_ai.client.inference.duration", &[(MODEL, "model-1")], RESPONSE_MODEL, Some("model-1")),
        ("gen_ai.client.inference.duration", &[(MODEL, "model-3")], PORT, Some("443")),
        ("gen_ai.client.inference.duration", &[(MODEL, "model-3")], ERROR, Some("timeout")),
        ("gen_ai.client.inference.usage.input_tokens", &[(MODEL, "model-3")], MODALITY, Some("unknown")),
        ("gen_ai.invoke_agent.duration", &[(AGENT, "unlucky")], ERROR, Some("stream_interrupted")),
        ("gen_ai.invoke_agent.duration", &[(AGENT, "patient")], ERROR, Some("canceled")),
        ("gen_ai.execute_tool.duration", &[("gen_ai.tool.name", "failing")], ERROR, Some("ARCHIVE_CLOSED")),
        ("gen_ai.execute_tool.duration", &[("gen_ai.tool.name", "slow")], ERROR, None),
        // The model made that name up.
        ("gen_ai.execute_tool.duration", &[(ERROR, "unknown_tool")], "gen_ai.tool.name", Some("_OTHER")),
        (
            "agent_runtime.workflow_step.duration",
            &[("agent_runtime.step.name", "check")],
            "agent_runtime.step.type",
            Some("subworkflow"),
        ),
        ("agent_runtime.system.events", &[], "agent_runtime.system.subsystem", Some("tool_loop_detection")),
    ];
    for (metric, point, label, expected) in rows {
        assert_eq!(snapshot.point(metric, point).label(label), expected, "{label} of {metric} with {point:?}");
    }
}
