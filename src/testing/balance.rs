//! Whether every component that began also ended, once.

use std::collections::HashMap;

use thiserror::Error;

use crate::event::{Event, EventScope, EventType};

/// How a sequence of events is not one of whole lives.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("event {index} ({scope} {component_id:?} {event_type}, workflow {workflow_id:?}): {problem}")]
pub struct Imbalance {
    /// The event's place in the sequence.
    pub index: usize,
    /// Its scope.
    pub scope: EventScope,
    /// Its type.
    pub event_type: EventType,
    /// Its component.
    pub component_id: String,
    /// Its workflow.
    pub workflow_id: Option<String>,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// Checks that every component begins before anything else is said of it, ends exactly once, and that nothing of a
/// workflow comes after the workflow's end. System events stand for themselves.
///
/// # Errors
///
/// The first event that breaks this; for a component that never ends, its Started event.
pub fn check_balance<'a>(events: impl IntoIterator<Item = &'a Event>) -> Result<(), Imbalance> {
    type Component<'a> = (Option<&'a str>, EventScope, &'a str);
    let mut open: HashMap<Component<'_>, Vec<(usize, &Event)>> = HashMap::new();
    let mut ended_workflows = Vec::new();
    for (index, event) in events.into_iter().enumerate() {
        if event.scope == EventScope::System {
            continue;
        }
        let workflow_id = event.workflow_id.as_deref();
        if workflow_id.is_some() && ended_workflows.contains(&workflow_id) {
            return Err(imbalance(index, event, "the workflow was over already"));
        }
        let starts = open.entry((workflow_id, event.scope, &event.component_id)).or_default();
        match event.event_type {
            EventType::Started => starts.push((index, event)),
            EventType::Progress if starts.is_empty() => return Err(imbalance(index, event, "it was not running")),
            EventType::Progress => {}
            EventType::Completed | EventType::Failed | EventType::Canceled => {
                if starts.is_empty() {
                    return Err(imbalance(index, event, "it ended without a start, or twice"));
                }
                starts.remove(0);
                if event.scope == EventScope::Workflow {
                    ended_workflows.push(workflow_id);
                }
            }
        }
    }
    match open.into_values().flatten().min_by_key(|(index, _)| *index) {
        Some((index, event)) => Err(imbalance(index, event, "it never ended")),
        None => Ok(()),
    }
}

/// Asserts that [`check_balance`] finds nothing.
///
/// # Panics
///
/// If it does; the message names the event.
#[track_caller]
pub fn assert_balanced<'a>(events: impl IntoIterator<Item = &'a Event>) {
    if let Err(imbalance) = check_balance(events) {
        panic!("{imbalance}");
    }
}

fn imbalance(index: usize, event: &Event, problem: &'static str) -> Imbalance {
    Imbalance {
        index,
        scope: event.scope,
        event_type: event.event_type,
        component_id: event.component_id.clone(),
        workflow_id: event.workflow_id.clone(),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_of_imbalance_is_named() {
        let id = || Some("w".to_owned());
        let started = || Event::tool_started("t", id(), None, json!({}));
        let completed = || Event::tool_completed("t", id(), None, json!({}));
        let workflow = || Event::workflow_started("f", id(), None, json!({}));
        let workflow_done = || Event::workflow_completed("f", id(), None, json!({}));
        let progress = || Event::tool_progress("t", None, id(), None, json!({}));
        let check = |events: &[Event]| check_balance(events).err().map(|found| (found.index, found.problem));
        assert_eq!(check(&[started(), started(), progress(), completed(), completed()]), None);
        assert_eq!(check(&[workflow(), started(), completed(), workflow_done()]), None);
        assert_eq!(check(&[started(), completed(), started()]), Some((2, "it never ended")));
        assert_eq!(check(&[started(), completed(), completed()]), Some((2, "it ended without a start, or twice")));
        assert_eq!(check(&[progress()]), Some((0, "it was not running")));
        assert_eq!(check(&[workflow(), workflow_done(), started()]), Some((2, "the workflow was over already")));
    }
}
