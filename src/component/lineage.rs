//! Which run something belongs to, without the run's stream.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use foldhash::fast::RandomState;
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
    /// The last number of each name.
    pub(super) numbers: Mutex<HashMap<String, u64, RandomState>>,
}

impl Lineage {
    /// Puts an event into the run.
    pub(super) fn adopt(&self, event: &mut Event) {
        self.tags.put_into(event);
        event.workflow_id = Some(self.workflow_id.clone());
        event.parent_workflow_id.clone_from(&self.parent_workflow_id);
    }

    /// The id `name:N` with the next free N, so that simultaneous calls of one tool are distinct.
    pub(super) fn numbered(&self, name: &str) -> String {
        let mut numbers = self.numbers.lock();
        let number = match numbers.get_mut(name) {
            Some(last) => {
                *last += 1;
                *last
            }
            None => {
                numbers.insert(name.to_owned(), 0);
                0
            }
        };
        drop(numbers);
        [name, ":", &number.to_string()].concat()
    }
}
