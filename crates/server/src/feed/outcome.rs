//! What a feed brings.

use std::sync::Arc;

use agent_runtime::{event::Event, store::StoreError};

use crate::{LostRange, Place};

/// What a client is sent next.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// Events, each with the place behind it.
    Events(Vec<(Place, Arc<Event>)>),
    /// Merged events that stand for offsets which interleave, so that they are read all or none; the place is behind all of them.
    Merged(Place, Vec<Arc<Event>>),
    /// Events that will not come.
    Gap(LostRange),
}

/// Why a feed ends, or does not begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FeedError {
    /// The stream is closed.
    #[error("the stream is closed")]
    Closed,
    /// The place lies behind the end of the stream.
    #[error("the position lies ahead: the next event of {next} has not happened yet")]
    Ahead { next: Place },
    /// The store cannot be read now.
    #[error(transparent)]
    Store(#[from] StoreError),
}
