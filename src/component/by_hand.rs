//! Events made by hand inside a component, which belong there.

use super::place::Place;
use crate::{
    event::{Event, EventScope, EventType},
    stream::StreamId,
};

/// Puts an event that is appended inside a component of its stream into that one's run, below the component, unless it names
/// another run. A run that it begins is nested in that one.
pub(super) fn put(stream: StreamId, event: &mut Event) {
    Place::with(|place| {
        let run = &place.voice.run;
        if run.stream.id() != stream {
            return;
        }
        let is_start = event.event_type == EventType::Started && event.scope != EventScope::System;
        if event.scope == EventScope::Workflow {
            let is_other = event.workflow_id.as_ref() != Some(&run.workflow_id);
            if is_start && is_other && event.parent_workflow_id.is_none() {
                event.parent_workflow_id = Some(run.workflow_id.clone());
            }
        } else if event.workflow_id.is_none() {
            event.workflow_id = Some(run.workflow_id.clone());
            event.parent_workflow_id = run.parent_workflow_id.clone();
            run.tags.put_into(event);
        }
        let is_inside =
            [&event.workflow_id, &event.parent_workflow_id].into_iter().any(|id| id.as_ref() == Some(&run.workflow_id));
        if is_start && is_inside && event.parent_start_id.is_none() {
            event.parent_start_id = Some(place.voice.position.start_id());
        }
    });
}
