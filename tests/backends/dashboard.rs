//! Grafana's dashboard: every panel says what it shows, and every query of it finds something after a run.
//!
//! Grafana itself is not asked: its JSON is checked against what Grafana documents of panels, queries and variables.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value as JsonValue;

use crate::{example, prometheus::Prometheus, stack::Stack};

const COLUMNS: u64 = 24;

/// Those of Grafana's units that the panels use; `suffix:` makes one of one's own.
const UNITS: [&str; 7] = ["s", "ms", "short", "ops", "reqps", "cps", "percentunit"];

/// What takes the place of Grafana's variables in the queries.
const VARIABLES: [(&str, &str); 4] =
    [("$__rate_interval", "30s"), ("$__range", "2m"), ("$service", "load"), ("$model", ".+")];

#[test]
fn every_panel_says_what_it_shows() {
    let dashboard = dashboard();
    assert!(dashboard["title"].is_string() && dashboard["uid"].is_string());
    let mut ids = BTreeSet::new();
    let mut places = BTreeSet::new();
    for panel in all(&dashboard["panels"]) {
        let title = text(&panel["title"]);
        assert!(ids.insert(panel["id"].as_u64()), "{title}: the id is taken");
        check_place(title, &panel["gridPos"], &mut places);
        if panel["type"] != "row" {
            check_panel(title, panel);
        }
    }
    let variables: BTreeSet<_> =
        all(&dashboard["templating"]["list"]).map(|variable| text(&variable["name"])).collect();
    assert_eq!(variables, BTreeSet::from(["datasource", "model", "service"]));
}

#[test]
fn every_query_of_the_dashboard_finds_something_after_a_run() {
    let test = "every_query_of_the_dashboard_finds_something_after_a_run";
    let Some(stack) = Stack::up(test, &["jaeger", "collector", "prometheus"]) else { return };
    let prometheus = Prometheus::of(&stack);
    let mut variables = stack.otlp("grpc");
    // A rate needs several points in time.
    variables.push(("OTEL_METRIC_EXPORT_INTERVAL".to_owned(), "1000".to_owned()));
    example::run("load", &["--workflows", "700", "--at-once", "50", "--pause-ms", "20"], &variables);
    let last = "agent_runtime_events_total{job=\"load\", agent_runtime_scope=\"workflow\", agent_runtime_event_type=\"started\"}";
    prometheus.wait_for(last, 840.0);

    let dashboard = dashboard();
    let mut empty = Vec::new();
    for panel in all(&dashboard["panels"]) {
        for target in all(&panel["targets"]) {
            if let Err(reason) = check_query(&prometheus, target) {
                empty.push(format!("{} {}: {reason}", text(&panel["title"]), text(&target["refId"])));
            }
        }
    }
    assert!(empty.is_empty(), "{}", empty.join("\n"));
    for variable in all(&dashboard["templating"]["list"]) {
        check_variable(&prometheus, variable);
    }
}

fn check_panel(title: &str, panel: &JsonValue) {
    let unit = text(&panel["fieldConfig"]["defaults"]["unit"]);
    assert!(UNITS.contains(&unit) || unit.starts_with("suffix: "), "{title}: Grafana has no unit {unit}");
    assert!(text(&panel["description"]).ends_with('.'), "{title}: says nothing of what is counted");
    let mut names = BTreeSet::new();
    for target in all(&panel["targets"]) {
        assert!(names.insert(text(&target["refId"])), "{title}: two queries have one name");
        assert!(!text(&target["legendFormat"]).is_empty(), "{title}: a line without a legend");
        assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
        // Prometheus 2 writes le="1" where 3 writes le="1.0".
        assert!(!text(&target["expr"]).contains("le="), "{title}: asks for one bucket by its text");
    }
    assert!(!names.is_empty(), "{title}: asks nothing");
}

/// No panel lies on another one or hangs over the edge.
fn check_place(title: &str, place: &JsonValue, taken: &mut BTreeSet<(u64, u64)>) {
    let number = |key: &str| place[key].as_u64().unwrap_or_else(|| panic!("{title}: no {key}"));
    let (left, top, width, height) = (number("x"), number("y"), number("w"), number("h"));
    assert!(left + width <= COLUMNS, "{title}: wider than the page");
    let cells = (left..left + width).flat_map(|x| (top..top + height).map(move |y| (x, y)));
    for cell in cells {
        assert!(taken.insert(cell), "{title}: lies on another panel");
    }
}

/// Asks for now and, as a graph does, for the last minute; both must give numbers, and every label of the legend.
fn check_query(prometheus: &Prometheus, target: &JsonValue) -> Result<(), String> {
    let query =
        VARIABLES.iter().fold(text(&target["expr"]).to_owned(), |query, (name, value)| query.replace(name, value));
    let now = prometheus.query(&query);
    if now.is_empty() {
        return Err(format!("nothing for {query}"));
    }
    if now.iter().all(|sample| sample.value.is_nan()) {
        return Err(format!("no number for {query}"));
    }
    let legend = text(&target["legendFormat"]);
    for label in legend.split("{{").skip(1).filter_map(|rest| rest.split_once("}}")).map(|(label, _)| label) {
        if now.iter().any(|sample| sample.labels.get(label).is_none_or(String::is_empty)) {
            return Err(format!("the legend's {label} is not in every line of {query}"));
        }
    }
    let range = prometheus.query_range(&query);
    if range.iter().all(|value| value.is_nan()) { Err(format!("no graph of {query}")) } else { Ok(()) }
}

/// `label_values(series, label)` must find values to choose from.
fn check_variable(prometheus: &Prometheus, variable: &JsonValue) {
    let Some(query) = variable["definition"].as_str() else { return };
    let inner =
        query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')).expect("it asks for labels");
    let (series, label) = inner.rsplit_once(", ").expect("it names a series and a label");
    let found = prometheus.sums(&series.replace("$service", ".+"), &[label]);
    assert!(found.keys().all(|key| !key[0].is_empty()) && !found.is_empty(), "{query} finds {found:?}");
}

fn dashboard() -> JsonValue {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/grafana/provisioning/dashboards/agent-runtime.json");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn all(list: &JsonValue) -> impl Iterator<Item = &JsonValue> {
    list.as_array().into_iter().flatten()
}

fn text(value: &JsonValue) -> &str {
    value.as_str().unwrap_or_default()
}
