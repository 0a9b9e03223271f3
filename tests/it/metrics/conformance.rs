//! What of the metrics the examples do not show: the legacy names, and what labels say of each kind of run. The rest is
//! held against the rules in `tests/conformance`.

use std::collections::BTreeSet;

use agent_runtime::otel::PriceTable;

use super::{
    harness::{Kind, Setup},
    scenario::{self, SECRET},
};

const SECONDS: &[f64] = &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const RUN_SECONDS: &[f64] = &[1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0];
const TOKENS: &[f64] = &[
    1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 16777216.0,
    67108864.0,
];

const OPERATION: &str = "gen_ai.operation.name";
const PROVIDER: &str = "gen_ai.provider.name";
const MODEL: &str = "gen_ai.request.model";
const RESPONSE_MODEL: &str = "gen_ai.response.model";
const ADDRESS: &str = "server.address";
const PORT: &str = "server.port";
const ERROR: &str = "error.type";
const MODALITY: &str = "gen_ai.token.modality";
const AGENT: &str = "gen_ai.agent.name";

/// What a histogram of the conventions before v0.1.0 must be like.
struct Legacy {
    name: &'static str,
    unit: &'static str,
    boundaries: &'static [f64],
    /// Whether every point has the labels of a request.
    of_request: bool,
    /// On every point, besides those of a request.
    required: &'static [&'static str],
    /// On some points, besides the server.
    optional: &'static [&'static str],
}

const LEGACY: [Legacy; 5] = [
    Legacy {
        name: "gen_ai.invoke_workflow.duration",
        unit: "s",
        boundaries: RUN_SECONDS,
        of_request: false,
        required: &["gen_ai.workflow.name"],
        optional: &[ERROR],
    },
    Legacy {
        name: "gen_ai.client.token.usage",
        unit: "{token}",
        boundaries: TOKENS,
        of_request: true,
        required: &[RESPONSE_MODEL, "gen_ai.token.type"],
        optional: &[],
    },
    Legacy {
        name: "gen_ai.client.operation.duration",
        unit: "s",
        boundaries: SECONDS,
        of_request: true,
        required: &[],
        optional: &[RESPONSE_MODEL, ERROR],
    },
    Legacy {
        name: "gen_ai.client.operation.time_to_first_chunk",
        unit: "s",
        boundaries: SECONDS,
        of_request: true,
        required: &[],
        optional: &[RESPONSE_MODEL],
    },
    Legacy {
        name: "gen_ai.client.operation.time_per_output_chunk",
        unit: "s",
        boundaries: SECONDS,
        of_request: true,
        required: &[],
        optional: &[],
    },
];

/// The metric, labels that name one of its points, and a label of that point; `None` where it must not be.
type Row = (&'static str, &'static [(&'static str, &'static str)], &'static str, Option<&'static str>);

#[tokio::test(start_paused = true)]
async fn the_legacy_names_come_beside_the_new_ones_when_they_are_wanted() {
    let snapshot = async |legacy| {
        let metered = Setup::default().build(|recorder| recorder.with_legacy_metrics(legacy));
        scenario::run_all(&metered).await;
        metered.collect()
    };
    let (without, snapshot) = (snapshot(false).await, snapshot(true).await);
    let mut names: Vec<_> = without.0.keys().map(String::as_str).chain(LEGACY.map(|rule| rule.name)).collect();
    names.sort_unstable();
    assert_eq!(snapshot.0.keys().collect::<Vec<_>>(), names);
    for Legacy { name, unit, boundaries, of_request, required, optional } in LEGACY {
        let series = snapshot.series(name);
        assert_eq!((series.kind, series.unit.as_str()), (Kind::Histogram, unit), "{name}");
        assert!(series.description.ends_with('.'), "{name} says {:?}", series.description);
        for point in &series.points {
            assert_eq!(point.boundaries, boundaries, "{name}");
            let of_request: &[&str] = if of_request { &[OPERATION, PROVIDER, MODEL] } else { &[] };
            let required = || of_request.iter().chain(required);
            for label in required() {
                assert!(point.labels.contains_key(*label), "{name} lacks {label}");
            }
            let allowed: Vec<_> = required().chain(&[ADDRESS, PORT]).chain(optional).copied().collect();
            for label in point.labels.keys() {
                assert!(allowed.contains(&label.as_str()), "{name} has {label}");
            }
        }
        for label in optional {
            assert!(series.points.iter().any(|point| point.labels.contains_key(*label)), "{name} never had {label}");
        }
    }
    assert!(!format!("{snapshot:?}").contains(SECRET), "no content in names, labels or descriptions");
}

#[tokio::test(start_paused = true)]
async fn labels_say_what_happened() {
    let metered = Setup::default().build(|recorder| recorder);
    scenario::run_all(&metered).await;
    let snapshot = metered.collect();
    let rows: [Row; 16] = [
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
        ("gen_ai.invoke_agent.duration", &[(AGENT, "patient")], OPERATION, Some("invoke_agent")),
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

/// A name as Prometheus has it.
fn in_prometheus(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

#[tokio::test(start_paused = true)]
async fn no_two_names_or_labels_fall_together_in_prometheus() {
    let prices = || PriceTable::new("USD").expect("it is a currency");
    let metered = Setup::default().build(|recorder| recorder.with_legacy_metrics(true).with_prices(prices()));
    scenario::run_all(&metered).await;
    let snapshot = metered.collect();
    let names: BTreeSet<_> = snapshot.0.keys().map(|name| in_prometheus(name)).collect();
    assert_eq!(names.len(), snapshot.0.len(), "B44: {names:?}");
    assert!(names.len() > 20, "B44: {names:?}");
    for (name, series) in &snapshot.0 {
        for point in &series.points {
            let labels: BTreeSet<_> = point.labels.keys().map(|label| in_prometheus(label)).collect();
            assert_eq!(labels.len(), point.labels.len(), "B44: {name}: {:?}", point.labels);
        }
    }
}
