//! What a subscription lets through.

use std::collections::HashSet;

use crate::event::{ComponentStatus, Event, EventScope, EventType};

/// The conditions that an event must meet, all of them; an empty one lets everything through.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    pub(super) scope: Option<EventScope>,
    pub(super) status: Option<ComponentStatus>,
    pub(super) event_type: Option<EventType>,
    pub(super) workflow_id: Option<String>,
    pub(super) component_id: Option<String>,
    run: Option<Family>,
}

/// A run and the runs nested in it, as far as their events have been seen.
#[derive(Clone, Debug)]
struct Family {
    run: String,
    /// The nested runs that are open.
    nested: HashSet<String>,
}

impl Filter {
    pub(super) fn set_run(&mut self, workflow_id: String) {
        self.run = Some(Family { run: workflow_id, nested: HashSet::new() });
    }

    /// Whether an event meets every condition. Call it for each event in order: a run's nested runs are learned from them.
    pub(super) fn passes(&mut self, event: &Event) -> bool {
        let is_in_run = self.run.as_mut().is_none_or(|family| family.has(event));
        let in_workflow =
            |id: &String| event.workflow_id.as_ref() == Some(id) || event.parent_workflow_id.as_ref() == Some(id);
        is_in_run
            && self.scope.is_none_or(|scope| event.scope == scope)
            && self.status.is_none_or(|status| event.status == status)
            && self.event_type.is_none_or(|event_type| event.event_type == event_type)
            && self.workflow_id.as_ref().is_none_or(in_workflow)
            && self.component_id.as_ref().is_none_or(|id| event.component_id == *id)
    }
}

impl Family {
    fn has(&mut self, event: &Event) -> bool {
        let Some(workflow_id) = &event.workflow_id else { return false };
        let is_known = |id: &String| *id == self.run || self.nested.contains(id);
        if is_known(workflow_id) {
            let is_over = event.scope == EventScope::Workflow && event.event_type.is_terminal();
            if is_over {
                self.nested.remove(workflow_id);
            }
            return true;
        }
        let is_nested = event.parent_workflow_id.as_ref().is_some_and(is_known);
        if is_nested {
            self.nested.insert(workflow_id.clone());
        }
        is_nested
    }
}
