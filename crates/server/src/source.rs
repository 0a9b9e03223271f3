//! Where the events come from.

use std::sync::Arc;

use agent_runtime::{store::EventStore, stream::EventStream};

/// What a server serves.
#[derive(Clone, Debug)]
pub struct Source {
    pub(crate) origin: Origin,
}

#[derive(Clone, Debug)]
pub(crate) enum Origin {
    Stream { stream: EventStream, store: Option<Arc<dyn EventStore>> },
    Store(Arc<dyn EventStore>),
}

impl Source {
    /// A live stream. What it keeps no longer is read from a store that a
    /// [`Recorder`](agent_runtime::store::Recorder) writes, where [`with_store`](Self::with_store) names one; otherwise it is
    /// named as a gap.
    #[must_use]
    pub const fn stream(stream: EventStream) -> Self {
        Self { origin: Origin::Stream { stream, store: None } }
    }

    /// A store, with the events of all processes that write it, in its order.
    #[must_use]
    pub fn store(store: Arc<dyn EventStore>) -> Self {
        Self { origin: Origin::Store(store) }
    }

    /// Reads from a store what the stream keeps no longer, and what an earlier life of the stream left there.
    ///
    /// A client that comes back with a position of an earlier life is sent the rest of that life, then those that the store was
    /// asked to hold after it, then the stream's. So have one service write the store, or serve the store by itself.
    #[must_use]
    pub fn with_store(mut self, store: Arc<dyn EventStore>) -> Self {
        match &mut self.origin {
            Origin::Stream { store: behind, .. } => *behind = Some(store),
            Origin::Store(behind) => *behind = store,
        }
        self
    }
}

impl From<EventStream> for Source {
    fn from(stream: EventStream) -> Self {
        Self::stream(stream)
    }
}

impl From<Arc<dyn EventStore>> for Source {
    fn from(store: Arc<dyn EventStore>) -> Self {
        Self::store(store)
    }
}
