//! No label is unbounded, whatever names come.

use std::collections::BTreeSet;

use agent_runtime::{otel::DEFAULT_MAX_LABEL_VALUES, prelude::*};

use super::harness::{Meters, Snapshot};

/// More series than this is never made of one metric, by the limit of the SDK.
const MAX_SERIES: usize = 2_001;

const NAMES: u64 = 10_000;

#[test]
fn ten_thousand_names_of_everything_stay_a_hundred_and_one() {
    let meters = Meters::new(|recorder| recorder);
    for number in 0..NAMES {
        observe_run(&meters, number, number, number);
    }
    let snapshot = meters.collect();
    for (name, series) in &snapshot.0 {
        // Workflows and agents have one histogram, and their names a share each.
        let kinds = if name == "gen_ai.invoke_agent.duration" { 2 } else { 1 };
        let most = kinds * (DEFAULT_MAX_LABEL_VALUES + 1);
        assert!(series.points.len() <= most, "{name} has {} series", series.points.len());
    }
    for key in [
        "agent_runtime.step.name",
        "gen_ai.provider.name",
        "gen_ai.request.model",
        "gen_ai.response.model",
        "server.address",
        "gen_ai.tool.name",
        "error.type",
        "agent_runtime.system.subsystem",
    ] {
        let values = snapshot.values(key);
        assert_eq!(values.len(), DEFAULT_MAX_LABEL_VALUES + 1, "{key}");
        assert!(values.contains("_OTHER"), "{key}");
    }
    for operation in ["invoke_workflow", "invoke_agent"] {
        let points = &snapshot.series("gen_ai.invoke_agent.duration").points;
        let names = points.iter().filter(|point| point.label("gen_ai.operation.name") == Some(operation));
        let names: BTreeSet<_> = names.filter_map(|point| point.label("gen_ai.agent.name")).collect();
        assert_eq!(names.len(), DEFAULT_MAX_LABEL_VALUES + 1, "each kind has its own share: {operation}");
        assert!(names.contains("_OTHER"), "{operation}");
    }
    assert_eq!(snapshot.values("server.port").len(), DEFAULT_MAX_LABEL_VALUES, "a port too many is left out");
    assert_nothing_lost(&snapshot);

    let overflowed = snapshot.sum("agent_runtime.metrics.overflowed_labels");
    assert_eq!(overflowed, meters.recorder.overflowed_labels() as f64);
    let keys = snapshot.values("agent_runtime.metrics.label");
    assert_eq!(keys.len(), 11, "{keys:?}");
}

#[test]
fn names_that_mix_freely_stay_within_the_limit_of_the_sdk() {
    let meters = Meters::new(|recorder| recorder);
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % 500
    };
    for _ in 0..NAMES {
        observe_run(&meters, next(), next(), next());
    }
    let snapshot = meters.collect();
    for (name, series) in &snapshot.0 {
        assert!(series.points.len() <= MAX_SERIES, "{name} has {} series", series.points.len());
    }
    assert_nothing_lost(&snapshot);
}

#[test]
fn what_is_too_long_to_be_a_name_is_none() {
    let meters = Meters::new(|recorder| recorder);
    let novel = "prompt".repeat(10_000);
    meters.recorder.observe(&Event::llm_started("a:llm:0", None, None, json!({"model": novel})));
    meters.recorder.observe(&Event::llm_completed("a:llm:0", None, None, json!({"response_model": novel})));
    let sentence = "a prompt";
    meters.recorder.observe(&Event::llm_completed("a:llm:1", None, None, json!({"response_model": sentence})));
    let snapshot = meters.collect();
    assert_eq!(snapshot.values("gen_ai.request.model").into_iter().collect::<Vec<_>>(), ["_OTHER"]);
    assert!(!format!("{snapshot:?}").contains("prompt"));
    assert!(meters.recorder.overflowed_labels() >= 1);
}

#[test]
fn names_that_models_make_up_do_not_take_the_place_of_real_ones() {
    let meters = Meters::new(|recorder| recorder.with_max_label_values(2));
    for number in 0..50 {
        let id = format!("made_up_{number}");
        meters.recorder.observe(&Event::tool_started(&*id, None, None, json!({"tool_name": id})));
        meters.recorder.observe(&Event::tool_failed(&*id, "?", None, None, json!({"error_code": "unknown_tool"})));
    }
    meters.recorder.observe(&Event::tool_started("real", None, None, json!({"tool_name": "real"})));
    meters.recorder.observe(&Event::tool_completed("real", None, None, json!({})));
    let snapshot = meters.collect();
    let duration = "gen_ai.execute_tool.duration";
    assert_eq!(snapshot.point(duration, &[("gen_ai.tool.name", "real")]).count, 1);
    assert_eq!(snapshot.point(duration, &[("gen_ai.tool.name", "_OTHER")]).count, 50);
    assert_eq!(meters.recorder.overflowed_labels(), 0, "nobody asked for a label");
}

#[test]
fn a_generated_id_is_no_name_of_a_workflow() {
    let meters = Meters::new(|recorder| recorder);
    for id in ["wf_0198f1b2c3d4", "run-7"] {
        meters.recorder.observe(&Event::workflow_started(id, Some(id.to_owned()), None, json!({})));
        meters.recorder.observe(&Event::workflow_completed(id, Some(id.to_owned()), None, json!({})));
    }
    let snapshot = meters.collect();
    assert_eq!(snapshot.count("gen_ai.invoke_agent.duration"), 2);
    assert!(snapshot.values("gen_ai.agent.name").is_empty());
}

/// One of everything: `a` names the workflow and what is around it, `b` the model, `c` the tool and its failure.
fn observe_run(meters: &Meters, a: u64, b: u64, c: u64) {
    let id = || Some("id".to_owned());
    let request = json!({
        "model": format!("model-{b}"), "provider": format!("provider-{b}"),
        "server_address": format!("host-{b}"), "server_port": b % 60_000,
    });
    let answer = json!({
        "response_model": format!("model-{b}-2026"), "usage": {"prompt_tokens": 3, "completion_tokens": 1},
    });
    let tool = json!({"tool_name": format!("tool-{c}"), "agent": format!("agent-{a}")});
    let (workflow, agent) = (format!("workflow-{a}"), format!("agent-{a}"));
    for event in [
        Event::workflow_started(&*workflow, id(), None, json!({})),
        Event::workflow_step_started(
            format!("{workflow}:step:0"),
            id(),
            None,
            json!({"step_name": format!("step-{a}")}),
        ),
        Event::agent_started(&*agent, id(), None, json!({})),
        Event::llm_started(format!("{agent}:llm:0"), id(), None, request),
        Event::llm_completed(format!("{agent}:llm:0"), id(), None, answer),
        Event::tool_started(format!("tool-{c}"), id(), None, tool),
        Event::tool_failed(format!("tool-{c}"), "no", id(), None, json!({"error_code": format!("E{c}")})),
        Event::system_progress(format!("system:part-{a}"), None, id(), None, json!({})),
        Event::agent_completed(&*agent, id(), None, json!({})),
        Event::workflow_step_completed(format!("{workflow}:step:0"), id(), None, json!({})),
        Event::workflow_completed(&*workflow, id(), None, json!({})),
    ] {
        meters.recorder.observe(&event);
    }
}

/// Labels merge series; they never lose a measurement.
fn assert_nothing_lost(snapshot: &Snapshot) {
    for metric in [
        "agent_runtime.workflow_step.duration",
        "gen_ai.client.inference.duration",
        "gen_ai.execute_tool.duration",
        "gen_ai.invoke_agent.tool_calls",
    ] {
        assert_eq!(snapshot.count(metric), NAMES, "{metric}");
    }
    // Of workflows and of agents.
    assert_eq!(snapshot.count("gen_ai.invoke_agent.duration"), 2 * NAMES);
    for (metric, each) in [
        ("gen_ai.client.inference.usage.input_tokens", 3.0),
        ("gen_ai.client.inference.usage.output_tokens", 1.0),
        ("agent_runtime.system.events", 1.0),
        ("agent_runtime.events", 11.0),
    ] {
        assert_eq!(snapshot.sum(metric), NAMES as f64 * each, "{metric}");
    }
    assert_eq!(snapshot.sum("gen_ai.invoke_agent.inference_calls"), NAMES as f64);
}
