//! Where code runs, as others know it: the room above, for events made by hand, and a bridge, whose context may have been
//! carried to where nothing else was.

use std::{
    any::Any,
    sync::{Arc, OnceLock},
};

use super::{ComponentContext, contain, emission};
use crate::event::Event;

/// A component by the context of a bridge that is current.
pub(crate) struct Carried {
    pub(crate) component: Arc<dyn Any + Send + Sync>,
    pub(crate) context: Arc<dyn ComponentContext>,
}

/// Which stream it is, as long as there is a handle to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamId(pub(super) usize);

type PutByHand = fn(StreamId, &mut Event);
type FindCarried = fn() -> Option<Carried>;

static PUT_BY_HAND: OnceLock<PutByHand> = OnceLock::new();
static FIND_CARRIED: OnceLock<FindCarried> = OnceLock::new();

/// Sets what puts an event made by hand where it is appended.
pub(crate) fn put_events_by(put: PutByHand) {
    PUT_BY_HAND.get_or_init(|| put);
}

/// Sets what finds a component by the current context of a bridge.
#[cfg(feature = "otel")]
pub(crate) fn find_carried_by(find: FindCarried) {
    FIND_CARRIED.get_or_init(|| find);
}

/// Puts an event made by hand where it is appended, unless it was appended before or a layer speaks for itself.
pub(super) fn put(stream: StreamId, event: &mut Event) {
    if let Some(put) = PUT_BY_HAND.get().filter(|_| event.offset.is_none() && !emission::in_layer()) {
        put(stream, event);
    }
}

/// The component whose context a bridge has current here.
pub(crate) fn carried() -> Option<Carried> {
    let find = FIND_CARRIED.get()?;
    contain(find).flatten()
}
