//! The position of a component in the tree: what begins in it names it as its parent and, in a seeded run, has ids that follow
//! from it.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use uuid::Uuid;

use super::seed::Seed;
use crate::event::{Event, EventScope, EventType, ids};

/// The position of a component that others begin in.
#[derive(Clone, Debug)]
pub(super) struct Position {
    start_id: Uuid,
    /// Only in a seeded run.
    counts: Option<Arc<Counts>>,
}

/// How many there have been, of what nothing else distinguishes.
#[derive(Debug, Default)]
struct Counts {
    /// Components by scope and name, and runs by the names of their workflows.
    begun: Mutex<HashMap<(Option<EventScope>, String), u64>>,
    progress: AtomicU64,
}

impl Position {
    /// The position of a component with a given Started event.
    pub(super) fn of(started: &Event, is_seeded: bool) -> Self {
        Self { start_id: started.event_id, counts: is_seeded.then(Arc::default) }
    }

    /// Where the workflow of a seeded run begins. It is no component's, and its id that of no event.
    pub(super) fn root(seed: &Seed) -> Self {
        Self { start_id: seed.root(), counts: Some(Arc::default()) }
    }

    /// The id of the component's Started event.
    pub(super) const fn start_id(&self) -> Uuid {
        self.start_id
    }

    /// Whether ids follow from it.
    pub(super) const fn is_seeded(&self) -> bool {
        self.counts.is_some()
    }

    /// The id for the start of a component that begins in this one, or for an event of the runtime's; nil where the stream is to
    /// draw one.
    pub(super) fn id_of_start(&self, scope: EventScope, name: &str) -> Uuid {
        let before = self.count(Some(scope), name);
        before.map_or(Uuid::nil(), |before| ids::of_start(self.start_id, scope, name, before))
    }

    /// The id for what the component reports of itself after its start; nil where the stream is to draw one.
    pub(super) fn id_of_report(&self, event_type: EventType) -> Uuid {
        let Some(counts) = &self.counts else { return Uuid::nil() };
        let is_progress = event_type == EventType::Progress;
        let number = if is_progress { counts.progress.fetch_add(1, Ordering::Relaxed) } else { 0 };
        ids::of_report(self.start_id, event_type, number)
    }

    /// Where the workflow of a run begins that is nested in a seeded one.
    pub(super) fn root_of_nested(&self, workflow: &str) -> Option<Self> {
        let before = self.count(None, workflow)?;
        Some(Self { start_id: ids::of_nested_run(self.start_id, workflow, before), counts: Some(Arc::default()) })
    }

    /// How many of a name have begun before, this one left out.
    fn count(&self, scope: Option<EventScope>, name: &str) -> Option<u64> {
        let mut begun = self.counts.as_ref()?.begun.lock();
        let count = begun.entry((scope, name.to_owned())).or_default();
        *count += 1;
        Some(*count - 1)
    }
}
