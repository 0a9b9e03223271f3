//! The tables of `docs/mapping.md`: they list what the rules allow, and nothing else.

use std::collections::BTreeMap;

use super::rules::{Field, Instrument, Is, LOGS, METRICS, SPANS};

const MAPPING: &str = include_str!("../../docs/mapping.md");

/// The rows of the tables below a heading that begins with these words, as first and second cell.
#[track_caller]
fn rows(heading: &str) -> BTreeMap<&'static str, &'static str> {
    let of_heading = MAPPING.split("\n#").find(|section| section.trim_start_matches('#').trim().starts_with(heading));
    let section = of_heading.unwrap_or_else(|| panic!("no section begins with {heading:?}"));
    let cells = section.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        Some((cells.next()?.trim_end_matches('`'), cells.next()?))
    });
    cells.collect()
}

const fn type_of(is: Is) -> &'static str {
    match is {
        Is::Text | Is::Word | Is::Exactly(_) | Is::OneOf(_) | Is::JsonList | Is::JsonObject | Is::Json => "string",
        Is::Texts => "list of strings",
        Is::Int => "int",
        Is::Double => "double",
        Is::Measure => "number or boolean",
        Is::True => "boolean",
    }
}

fn listed(fields: &[Field]) -> BTreeMap<&'static str, &'static str> {
    fields.iter().map(|field| (field.key, type_of(field.is))).collect()
}

#[test]
fn each_span_has_a_table_of_its_attributes() {
    let common = rows("Every span");
    for rule in SPANS {
        let heading = match rule.operation {
            "invoke_workflow" => "Workflow: `invoke_workflow ",
            "workflow_step" => "Step: `workflow_step ",
            "invoke_agent" => "Agent: `invoke_agent ",
            "chat" => "Model request: `chat ",
            "execute_tool" => "Tool: `execute_tool ",
            operation => panic!("no section has {operation}"),
        };
        let mut own = rows(heading);
        own.extend(&common);
        assert_eq!(own, listed(&rule.fields.concat()), "{heading}");
    }
}

#[test]
fn each_metric_has_a_row_with_its_instrument() {
    let sections = ["Of requests", "Of agents", "Of tools, steps and workflows", "Of the runtime and the export"];
    let documented: BTreeMap<_, _> = sections.into_iter().flat_map(rows).collect();
    let instrument = |instrument| match instrument {
        Instrument::Counter | Instrument::Amount => "counter",
        Instrument::UpDownCounter => "up-down counter",
        Instrument::Durations(_) | Instrument::Numbers(_) => "histogram",
    };
    assert_eq!(documented, METRICS.iter().map(|rule| (rule.name, instrument(rule.instrument))).collect());
}

#[test]
fn span_events_and_log_events_are_named_with_what_is_on_them() {
    let events = SPANS.iter().flat_map(|rule| rule.events).flat_map(|event| event.fields.iter().map(|field| field.key));
    let logs = LOGS.iter().flat_map(|log| log.fields.iter().map(|field| field.key).chain([log.name]));
    // A user's event has the user's fields.
    for name in events.chain(logs).filter(|name| *name != "*") {
        assert!(MAPPING.contains(&format!("`{name}`")), "{name}");
    }
}
