//! Which run something belongs to, without the run's stream.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;

use super::{foreign_words::ForeignWords, position::Position, tags::Tags};
use crate::{
    event::{Event, TraceContext},
    stream::{Dispatcher, WeakEventStream},
};

/// Which run it is and where it belongs. What outlives the run holds this alone, and so keeps no stream open.
#[derive(Debug)]
pub(super) struct Lineage {
    pub(super) workflow_id: String,
    pub(super) parent_workflow_id: Option<String>,
    /// Where in the run around it begins, if that is one of this process.
    pub(super) around: Option<Position>,
    /// Where its workflow begins, if the run is seeded.
    pub(super) root: Option<Position>,
    pub(super) attempt: Option<u32>,
    pub(super) conversation_id: Option<String>,
    pub(super) tags: Tags,
    pub(super) links: Vec<TraceContext>,
    pub(super) stream: WeakEventStream,
    pub(super) dispatcher: Dispatcher,
    /// The id of the run's workflow and its position, once that has begun.
    pub(super) workflow: OnceLock<(Arc<str>, Position)>,
    pub(super) foreign: ForeignWords,
    pub(super) numbers: Mutex<HashMap<String, u64>>,
}

impl Lineage {
    /// Puts an event into the run.
    pub(super) fn adopt(&self, mut event: Event) -> Event {
        self.tags.put_into(&mut event);
        event.in_workflow(Some(self.workflow_id.clone()), self.parent_workflow_id.clone())
    }

    /// The id `name:N` with the next free N, so that simultaneous calls of one tool are distinct.
    pub(super) fn numbered(&self, name: &str) -> String {
        let mut numbers = self.numbers.lock();
        let number = numbers.entry(name.to_owned()).or_default();
        let id = format!("{name}:{number}");
        *number += 1;
        id
    }
}
