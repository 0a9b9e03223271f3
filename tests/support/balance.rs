//! Whether a sequence of events is one that the runtime may tell.

use std::{collections::HashMap, fmt::Write as _};

use agent_runtime::prelude::*;

/// Panics with every fault and the whole sequence if the events do not balance.
#[track_caller]
pub(crate) fn assert_balanced(events: &[Event]) {
    let faults = balance_faults(events);
    assert!(faults.is_empty(), "{}\nin these events:\n{}", faults.join("\n"), listing(events));
}

/// What is wrong with a sequence of events, nothing if it balances.
///
/// It balances if offsets and times do not go back, each Started has exactly one end, which comes later, progress comes
/// in between, and nothing of a workflow comes after its end. Where a bridge gave spans, whatever lies inside of a
/// component ends before it.
pub(crate) fn balance_faults(events: &[Event]) -> Vec<String> {
    let mut faults = Vec::new();
    for pair in events.windows(2) {
        if pair[0].offset >= pair[1].offset {
            faults.push(format!("offset {:?} comes before {:?}", pair[0].offset, pair[1].offset));
        }
        if pair[0].timestamp > pair[1].timestamp {
            faults.push(format!("time goes back at offset {:?}", pair[1].offset));
        }
    }
    let mut open = HashMap::new();
    let mut over = HashMap::new();
    let mut spans = Vec::new();
    for event in events.iter().filter(|event| event.scope != EventScope::System) {
        let key = (event.workflow_id.clone(), event.scope, event.component_id.clone());
        let name = format!("{} {} (offset {:?})", event.scope, event.component_id, event.offset);
        if let Some(end) = over.get(&event.workflow_id) {
            faults.push(format!("{name} {} after its workflow's end at offset {end:?}", event.event_type));
        }
        match event.event_type {
            EventType::Started => {
                spans.extend(event.trace.map(|trace| (trace.span_id, trace.parent_span_id, name.clone())));
                if open.insert(key, name.clone()).is_some() {
                    faults.push(format!("{name} started while one of that id was open"));
                }
            }
            EventType::Progress => {
                if !open.contains_key(&key) {
                    faults.push(format!("{name} has progress while it is not open"));
                }
            }
            EventType::Completed | EventType::Failed | EventType::Canceled => {
                if open.remove(&key).is_none() {
                    faults.push(format!("{name} {} while it is not open", event.event_type));
                }
                let span = event.trace.map(|trace| trace.span_id);
                spans.retain(|(own, _, _)| Some(*own) != span);
                let inside = spans.iter().filter(|(_, parent, _)| parent.is_some() && *parent == span);
                faults.extend(inside.map(|(_, _, inner)| format!("{name} ends while {inner} inside of it is open")));
                if event.scope == EventScope::Workflow {
                    over.insert(event.workflow_id.clone(), event.offset);
                }
            }
        }
        if event.status != event.event_type.status() {
            faults.push(format!("{name} has type {} and status {}", event.event_type, event.status));
        }
    }
    faults.extend(open.into_values().map(|name| format!("{name} has no end")));
    faults
}

/// The events, a line for each.
pub(crate) fn listing(events: &[Event]) -> String {
    let mut text = String::new();
    for event in events {
        let Event { offset, scope, event_type, component_id, workflow_id, message, .. } = event;
        writeln!(
            text,
            "{:>5} {:9} {:13} {component_id} in {} {}",
            offset.unwrap_or_default(),
            event_type.as_str(),
            scope.as_str(),
            workflow_id.as_deref().unwrap_or("none"),
            message.as_deref().unwrap_or_default(),
        )
        .expect("a string takes everything");
    }
    text
}
