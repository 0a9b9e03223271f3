//! What an event takes in memory, so that a history can be bounded by it.

use super::Event;

impl Event {
    /// The bytes in memory, about and never much less: those of the JSON that may yet be built of its data included, and
    /// those that it shares with other events counted for each.
    pub(crate) fn size(&self) -> usize {
        let texts = [self.message.as_ref(), self.workflow_id.as_ref(), self.parent_workflow_id.as_ref()];
        let texts = texts.into_iter().flatten().map(String::len).sum::<usize>();
        size_of::<Self>() + self.component_id.len() + texts + self.data.size()
    }
}
