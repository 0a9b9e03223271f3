//! Which run something belongs to, without the run's stream.

use crate::{event::Event, stream::Dispatcher};

/// Which run it is and where it belongs. What outlives the run holds this alone, and so keeps no stream open.
#[derive(Debug)]
pub(super) struct Lineage {
    pub(super) workflow_id: String,
    pub(super) parent_workflow_id: Option<String>,
    pub(super) conversation_id: Option<String>,
    pub(super) dispatcher: Dispatcher,
}

impl Lineage {
    /// Puts an event into the run.
    pub(super) fn adopt(&self, event: Event) -> Event {
        event.in_workflow(Some(self.workflow_id.clone()), self.parent_workflow_id.clone())
    }
}
