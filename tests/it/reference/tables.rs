//! The tables of `docs/events.md`, read.

use std::collections::BTreeSet;

use agent_runtime::prelude::*;

/// A heading and the fields below it.
#[derive(Debug)]
pub(super) struct Section<'a> {
    /// Without the payload: `Tool: Failed and Canceled`.
    pub(super) heading: &'a str,
    /// The type that the data is made of.
    pub(super) payload: Option<&'a str>,
    pub(super) rows: Vec<Row<'a>>,
}

/// One field.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) field: &'a str,
    pub(super) json: &'a str,
    pub(super) unit: &'a str,
    pub(super) is_always: bool,
}

impl Section<'_> {
    /// Whether the section is about events of a scope and a type.
    pub(super) fn is_of(&self, scope: EventScope, event_type: EventType) -> bool {
        let Some((of_scope, types)) = self.heading.split_once(": ") else { return false };
        of_scope == format!("{scope:?}") && types.split(" and ").any(|of_type| of_type == format!("{event_type:?}"))
    }
}

/// All sections that have a table of fields.
pub(super) fn read(text: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    let mut is_table_of_fields = false;
    for line in text.lines() {
        if let Some(title) = line.strip_prefix('#') {
            let title = title.trim_start_matches('#').trim();
            let (heading, payload) = title.split_once(", [").unwrap_or((title, ""));
            let payload = payload.trim_matches(|c| "`]".contains(c));
            // The sections of objects are named after their types.
            let is_object = payload.is_empty() && super::payloads::OBJECTS.contains(&heading);
            let payload = if is_object { heading } else { payload };
            sections.push(Section {
                heading,
                payload: Some(payload).filter(|name| !name.is_empty()),
                rows: Vec::new(),
            });
        }
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        match cells[..] {
            ["field", "JSON", "unit", "when", _] => is_table_of_fields = true,
            [field, json, unit, when, _] if is_table_of_fields && field.starts_with('`') => {
                assert!(matches!(when, "always" | "sometimes"), "{line}");
                let row = Row { field: field.trim_matches('`'), json, unit, is_always: when == "always" };
                sections.last_mut().expect("a table stands below a heading").rows.push(row);
            }
            _ => is_table_of_fields &= line.starts_with('|'),
        }
    }
    sections.retain(|section| !section.rows.is_empty());
    assert!(sections.len() > 20, "only {} sections are found", sections.len());
    sections
}

/// The codes in the table of error codes.
pub(super) fn codes(text: &str) -> BTreeSet<&str> {
    let (_, table) = text.split_once("## Error codes").expect("there is a table of them");
    let cells = table.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let codes: BTreeSet<_> = cells.flat_map(|cell| cell.split(", ")).map(|code| code.trim_matches('`')).collect();
    assert!(codes.len() > 10, "the codes are found: {codes:?}");
    codes
}

/// The object that a JSON type links to.
pub(super) fn linked(json: &str) -> Option<&str> {
    Some(json.strip_prefix('[')?.split_once("](#")?.0)
}

/// The values that a JSON type lists.
fn listed(json: &str) -> impl Iterator<Item = &str> {
    json.split(", ").filter_map(|value| value.strip_prefix('`')?.strip_suffix('`'))
}

/// Whether a value is of a JSON type.
pub(super) fn fits(json: &str, value: &JsonValue) -> bool {
    match json {
        "any" => true,
        "string" => value.is_string(),
        "integer" => value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        _ => listed(json).any(|listed| value == listed),
    }
}

/// A value of a row's JSON type that is not the default of any.
pub(super) fn sample(row: &Row<'_>) -> JsonValue {
    let (of_array, json) = row.json.strip_prefix("array of ").map_or((false, row.json), |json| (true, json));
    let item = match (json, row.field) {
        (_, "trace_id") => json!("0af7651916cd43dd8448eb211c80319c"),
        (_, "span_id" | "parent_span_id") => json!("b7ad6b7169203331"),
        ("any" | "object", _) => json!({"k": [1, "v"]}),
        ("string", _) => json!("text"),
        ("integer", _) => json!(7),
        ("number", _) => json!(0.5),
        ("boolean", _) => json!(true),
        _ => match linked(json) {
            Some(name) => {
                let sections = read(super::REFERENCE);
                let section = sections.iter().find(|section| section.heading == name).expect("it is described");
                section.rows.iter().map(|row| (row.field.to_owned(), sample(row))).collect()
            }
            None => json!(listed(json).next().expect("a type of JSON, a link or a list of values")),
        },
    };
    if of_array { json!([item]) } else { item }
}
