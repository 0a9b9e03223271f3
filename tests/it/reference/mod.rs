//! `docs/events.md` against the payloads and against what the runtime emits.

mod payloads;
mod runs;
mod tables;

use std::collections::{BTreeMap, BTreeSet};

use agent_runtime::prelude::*;

use payloads::{Payload, payload};
use tables::{Row, Section};

const REFERENCE: &str = include_str!("../../../docs/events.md");
const NAMES: &str = include_str!("../../../src/event/field.rs");

/// The field that the runtime adds to the payload of a Started event.
const CONVERSATION_ID: &str = "conversation_id";

#[test]
fn every_section_has_the_fields_of_its_payload() {
    let reference = tables::read(REFERENCE);
    let mut of_failure = BTreeSet::new();
    for section in &reference {
        let Some(Payload { fields, .. }) = section.payload.map(payload) else { continue };
        let rows = section.rows.iter().map(|row| row.field).filter(|field| *field != CONVERSATION_ID);
        if section.payload == Some("Failure") {
            of_failure.extend(rows);
        } else {
            assert_eq!(rows.collect::<BTreeSet<_>>(), fields, "{}", section.heading);
        }
    }
    assert_eq!(of_failure, payload("Failure").fields, "over all sections of failures");
}

#[test]
fn a_payload_needs_what_is_always_there_and_no_more() {
    for section in tables::read(REFERENCE) {
        let Some(Payload { round_trip, .. }) = section.payload.map(payload) else { continue };
        let sample = |keep: &dyn Fn(&Row) -> bool| -> JsonValue {
            let rows = section.rows.iter().filter(|row| row.field != CONVERSATION_ID && keep(row));
            rows.map(|row| (row.field.to_owned(), tables::sample(row))).collect()
        };
        let heading = section.heading;
        let (all, least) = (sample(&|_| true), sample(&|row| row.is_always));
        assert_eq!(round_trip(all.clone()).expect(heading), all, "{heading}");
        assert_eq!(round_trip(least.clone()).expect(heading), least, "{heading}");
        for required in section.rows.iter().filter(|row| row.is_always) {
            let without = sample(&|row| row.is_always && row.field != required.field);
            // Either it cannot be left out, or it is written with its default.
            let is_there = round_trip(without).is_ok_and(|json| json.get(required.field).is_none());
            assert!(!is_there, "{heading}: {} may be absent", required.field);
        }
    }
}

#[test]
fn every_field_that_the_crate_names_has_a_row() {
    let named = NAMES.lines().filter_map(|line| line.split_once("const ")?.1.split_once(": &str = \""));
    let named: BTreeSet<_> = named.filter_map(|(_, value)| value.strip_suffix("\";")).collect();
    assert!(named.len() > 30, "the constants are found: {named:?}");
    let reference = tables::read(REFERENCE);
    let rows: BTreeSet<_> = reference.iter().flat_map(|section| &section.rows).map(|row| row.field).collect();
    assert_eq!(named.difference(&rows).collect::<Vec<_>>(), Vec::<&&str>::new());
}

#[test]
fn every_outer_field_has_a_row() {
    let (_, outer) = REFERENCE.split_once("## Outer fields").expect("there is a section of them");
    let rows = outer.lines().skip_while(|line| !line.starts_with("| `")).take_while(|line| line.starts_with("| `"));
    let rows: BTreeSet<_> = rows.filter_map(|row| row.split('`').nth(1)).collect();
    assert_eq!(rows, payloads::fields_of::<Event>());
}

#[test]
fn a_unit_is_told_where_the_name_of_the_field_has_one() {
    for section in tables::read(REFERENCE) {
        for Row { field, unit, .. } in section.rows {
            let expected = match field {
                _ if field.ends_with("_ms") => "ms",
                _ if field.ends_with("_tokens") => "tokens",
                "retry_after" => "s",
                _ => "",
            };
            assert_eq!(unit, expected, "{}: {field}", section.heading);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_runtime_emits_is_what_the_tables_say() {
    let reference = tables::read(REFERENCE);
    let mut seen: BTreeMap<(&str, &str), Seen> = BTreeMap::new();
    for event in runs::events().await {
        let section = section_of(&event, &reference);
        check(section, &event.data, &reference, &mut seen);
    }
    let beside = [("Merged progress", runs::merged_events().await), ("Tags", runs::tagged_and_untagged().await)];
    for (heading, events) in beside {
        let section = reference.iter().find(|section| section.heading == heading).expect("there is one");
        for event in events {
            let own =
                section.rows.iter().filter_map(|row| Some((row.field.to_owned(), event.data.get(row.field)?.clone())));
            check(section, &own.collect(), &reference, &mut seen);
        }
    }
    for section in &reference {
        for row in &section.rows {
            let Seen { present, absent } = seen.get(&(section.heading, row.field)).copied().unwrap_or_default();
            assert!(present > 0, "{}: no run has {}", section.heading, row.field);
            // What the runtime always has and other producers need not is optional in its payload.
            let is_of_others = matches!(
                (section.heading, row.field),
                ("Agent: Started", "model")
                    | ("LlmRequest: Completed", "time_to_first_chunk_ms")
                    | ("Tool: Started", "agent" | "tool_call_id")
            );
            assert_eq!(absent > 0, !row.is_always && !is_of_others, "{}: {}", section.heading, row.field);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_error_code_is_in_the_table_and_nothing_else() {
    let listed = tables::codes(REFERENCE);
    let own = ["DIV_BY_ZERO"];
    let events = runs::events().await;
    let emitted: BTreeSet<_> = events.iter().filter_map(|event| event.data.error_code()).collect();
    assert_eq!(emitted, listed.iter().copied().chain(own).collect());
}

/// How many events had a field and how many did not.
#[derive(Clone, Copy, Default)]
struct Seen {
    present: usize,
    absent: usize,
}

/// The section that says what an event carries.
#[track_caller]
fn section_of<'a>(event: &Event, reference: &'a [Section<'a>]) -> &'a Section<'a> {
    let found = reference.iter().find(|section| match event.scope {
        EventScope::System => section.heading == format!("System: `{}`", event.component_id),
        _ => section.is_of(event.scope, event.event_type),
    });
    found.unwrap_or_else(|| panic!("no section has {} {}: {event:?}", event.scope, event.event_type))
}

/// Checks an object against the rows of its section, and the objects inside it against theirs.
#[track_caller]
fn check<'a>(
    section: &'a Section<'a>,
    data: &JsonValue,
    reference: &'a [Section<'a>],
    seen: &mut BTreeMap<(&'a str, &'a str), Seen>,
) {
    let heading = section.heading;
    let object = data.as_object().unwrap_or_else(|| panic!("{heading}: {data} is no object"));
    for field in object.keys() {
        assert!(section.rows.iter().any(|row| row.field == field), "{heading}: no row for {field} of {data}");
    }
    for row in &section.rows {
        let seen_of_row = seen.entry((heading, row.field)).or_default();
        let Some(value) = object.get(row.field) else {
            seen_of_row.absent += 1;
            continue;
        };
        seen_of_row.present += 1;
        let (of_array, json) = row.json.strip_prefix("array of ").map_or((false, row.json), |json| (true, json));
        assert!(!of_array || value.is_array(), "{heading}: {} = {value} is no array", row.field);
        let items = if of_array { value.as_array().map(Vec::as_slice) } else { None };
        for item in items.unwrap_or(std::slice::from_ref(value)) {
            match tables::linked(json) {
                Some(name) => {
                    let object = reference.iter().find(|section| section.heading == name).expect("it is described");
                    check(object, item, reference, seen);
                }
                None => assert!(tables::fits(json, item), "{heading}: {} = {item} is not {json}", row.field),
            }
        }
    }
}
