//! One run of a workflow: where its events go and under which ids.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;

use super::{
    foreign_words::ForeignWords,
    lineage::Lineage,
    position::Position,
    seed::Seed,
    tags::{self, Tags},
};
use crate::{
    event::TraceContext,
    stream::{Dispatcher, EventStream},
};

/// A run of a workflow, which all its components share. Cheap to clone.
///
/// A [`Step`](crate::runtime::Step) is handed the run that it belongs to; everything else that runs in a component, a tool
/// say, asks for [`Run::current`]. A clone keeps the run's stream open, so drop it with the work that needs it.
#[derive(Clone)]
pub struct Run {
    stream: EventStream,
    lineage: Arc<Lineage>,
}

/// What one run is to be like.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct RunOptions {
    seed: Option<Seed>,
    workflow_id: Option<String>,
    parent_workflow_id: Option<String>,
    around: Option<Position>,
    conversation_id: Option<String>,
    tags: Vec<String>,
    links: Vec<TraceContext>,
    /// What others have said in the run around.
    foreign: ForeignWords,
}

impl Run {
    /// Begins a run of a workflow on a stream, under a subscriber.
    pub(super) fn new(stream: EventStream, workflow: &str, options: RunOptions, dispatcher: Dispatcher) -> Self {
        let RunOptions { seed, workflow_id, parent_workflow_id, around, conversation_id, tags, links, foreign } =
            options;
        let attempt = seed.as_ref().map(Seed::attempt);
        let root = match &seed {
            Some(seed) => Some(Position::root(seed)),
            None => around.as_ref().and_then(|around| around.root_of_nested(workflow)),
        };
        let workflow_id = seed.map(|seed| seed.run_id().to_owned()).or(workflow_id).unwrap_or_else(|| {
            let id = root.as_ref().map_or_else(|| stream.new_id(), Position::start_id);
            format!("wf_{}", id.simple())
        });
        let lineage = Lineage {
            workflow_id,
            parent_workflow_id,
            around,
            root,
            attempt,
            conversation_id,
            tags: Tags::new(tags),
            links,
            stream: stream.downgrade(),
            dispatcher,
            workflow: OnceLock::new(),
            foreign,
            numbers: Mutex::default(),
        };
        Self { stream, lineage: Arc::new(lineage) }
    }

    /// The run of a lineage, unless its stream is closed.
    pub(super) fn of(lineage: &Arc<Lineage>) -> Option<Self> {
        lineage.stream.upgrade().map(|stream| Self { stream, lineage: Arc::clone(lineage) })
    }

    /// The run's id, which all its events carry.
    #[must_use]
    pub fn workflow_id(&self) -> &str {
        &self.lineage.workflow_id
    }

    /// The id of the run that this one is nested in.
    #[must_use]
    pub fn parent_workflow_id(&self) -> Option<&str> {
        self.lineage.parent_workflow_id.as_deref()
    }

    /// The conversation that the run belongs to, if the application named one.
    #[must_use]
    pub fn conversation_id(&self) -> Option<&str> {
        self.lineage.conversation_id.as_deref()
    }

    /// The run's tags, those of the run around it first.
    #[must_use]
    pub fn tags(&self) -> &[String] {
        self.lineage.tags.list()
    }

    /// The stream of the run's events.
    #[must_use]
    pub fn stream(&self) -> &EventStream {
        &self.stream
    }

    pub(crate) fn links(&self) -> &[TraceContext] {
        &self.lineage.links
    }

    pub(crate) fn attempt(&self) -> Option<u32> {
        self.lineage.attempt
    }

    pub(super) fn lineage(&self) -> &Arc<Lineage> {
        &self.lineage
    }

    /// The id `name:N` with the next free N, so that simultaneous calls of one tool are distinct.
    pub(crate) fn numbered(&self, name: &str) -> String {
        self.lineage.numbered(name)
    }
}

impl RunOptions {
    /// How many tags a run may have, those of the run around it included: 32.
    pub const MAX_TAGS: usize = tags::MAX_TAGS;

    /// Nests the run in another one, where the options name none, and puts it into that one's conversation likewise. It has
    /// that one's tags besides its own. The position is where in the other one it begins.
    pub(super) fn inside(mut self, around: &Lineage, position: Option<Position>) -> Self {
        self.tags.splice(..0, around.tags.list().iter().cloned());
        if self.parent_workflow_id.is_none() {
            self.parent_workflow_id = Some(around.workflow_id.clone());
            self.around = position;
        }
        self.conversation_id = self.conversation_id.or_else(|| around.conversation_id.clone());
        self.foreign = around.foreign.clone();
        self
    }

    /// Has the ids of the run's events and spans follow from a seed, and makes the seed's run id the run's, whatever
    /// [`with_workflow_id`](Self::with_workflow_id) says. Runs that are nested in it follow from their positions in it, unless
    /// they are given seeds of their own. By default, ids are drawn at random.
    ///
    /// A run inside a caller's trace stays in that; any other has a trace whose id follows from the run's id alone.
    pub fn with_seed(mut self, seed: Seed) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets the run's id, which should not be that of another run. By default, `wf_` and a UUID: of version 7, or in a seeded run
    /// of version 5.
    pub fn with_workflow_id(mut self, id: impl Into<String>) -> Self {
        self.workflow_id = Some(id.into());
        self
    }

    /// Nests the run in another one, which may run in another process. By default, the run in whose component this one
    /// is started, if any.
    pub fn with_parent_workflow_id(mut self, id: impl Into<String>) -> Self {
        self.parent_workflow_id = Some(id.into());
        self
    }

    /// Puts the run, and all that is nested in it, into a conversation of the application's. By default, none: the
    /// conventions forbid to make one up.
    pub fn with_conversation_id(mut self, id: impl Into<String>) -> Self {
        self.conversation_id = Some(id.into());
        self
    }

    /// Adds a word of the application's by which to find the run, and all that is nested in it: `production`, `user:17`. By
    /// default, there is none.
    ///
    /// The tags are a list of texts in [`data["tags"]`](crate::event#tags) of each event, and an attribute of each
    /// workflow's span. A tag has 1 to [`MAX_TAG_BYTES`](crate::event::EventScope::MAX_TAG_BYTES) bytes, without control
    /// characters and without space at an end, and a run has at most [`MAX_TAGS`](Self::MAX_TAGS); else it fails before
    /// its first event.
    pub fn with_tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Adds tags as [`with_tag`](Self::with_tag) does.
    pub fn with_tags(mut self, tags: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.tags.extend(tags.into_iter().map(Into::into));
        self
    }

    /// Links the run to a span that it has to do with and that is not above it: the run that it repeats, say.
    pub fn with_link(mut self, to: TraceContext) -> Self {
        self.links.push(to);
        self
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("workflow_id", &self.workflow_id())
            .field("parent_workflow_id", &self.parent_workflow_id())
            .finish_non_exhaustive()
    }
}
