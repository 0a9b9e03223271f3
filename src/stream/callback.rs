//! Events that are appended in a callback of a `tracing` layer, about a span say.
//!
//! No `tracing` event can be fired there: `tracing` drops one that is fired inside another under a scoped subscriber, and it
//! would undo what the filters of other layers have decided on the span at hand. So each [`Bridge`] puts itself down at its
//! subscriber, and what is appended inside [`Callbacks::enter`] is handed to those of the subscriber directly.

use std::{
    cell::RefCell,
    sync::{Arc, OnceLock, Weak},
};

use parking_lot::Mutex;
use tracing::{Dispatch, dispatcher::WeakDispatch, span::Id};
use tracing_subscriber::Registry;

use super::within::{In, Within};

/// A layer that turns native events into something else.
pub(crate) trait Bridge: Send + Sync {
    /// Looks at the current [`Emission`](super::Emission), as the layer's `on_event` would.
    fn observe(&self);
}

/// The subscriber whose layer is called back.
#[derive(Debug)]
pub(crate) struct Callbacks {
    #[cfg_attr(not(feature = "adopt-spans"), expect(dead_code, reason = "only an adoption asks"))]
    dispatch: WeakDispatch,
    registry: Option<usize>,
    bridges: OnceLock<Vec<Weak<dyn Bridge>>>,
}

/// The callback that a thread is in: of which subscriber, and about which span.
#[derive(Clone, Debug)]
pub(super) struct Callback {
    callbacks: Arc<Callbacks>,
    #[cfg_attr(not(feature = "adopt-spans"), expect(dead_code, reason = "only an adoption asks"))]
    span: Id,
}

/// The bridges of the process, each with the address of its subscriber's registry.
static BRIDGES: Mutex<Vec<(usize, Weak<dyn Bridge>)>> = Mutex::new(Vec::new());

thread_local! {
    static CURRENT: RefCell<Option<Callback>> = const { RefCell::new(None) };
}

/// Puts down a bridge at the subscriber that its layer is part of; it does not keep the bridge alive.
#[cfg(feature = "otel")]
pub(crate) fn register(subscriber: &Dispatch, bridge: &Arc<dyn Bridge>) {
    let Some(registry) = registry_of(subscriber) else { return };
    let mut bridges = BRIDGES.lock();
    bridges.retain(|(_, bridge)| bridge.strong_count() > 0);
    bridges.push((registry, Arc::downgrade(bridge)));
}

impl Callbacks {
    /// Those of a layer in `subscriber`.
    pub(crate) fn of(subscriber: &Dispatch) -> Arc<Self> {
        let registry = registry_of(subscriber);
        Arc::new(Self { dispatch: subscriber.downgrade(), registry, bridges: OnceLock::new() })
    }

    /// Does what a layer does in a callback about `span`.
    pub(crate) fn enter<R>(self: &Arc<Self>, span: &Id, work: impl FnOnce() -> R) -> R {
        /// Leaves the callback also when `work` unwinds.
        struct Leave(Option<Callback>);
        impl Drop for Leave {
            fn drop(&mut self) {
                CURRENT.set(self.0.take());
            }
        }
        let callback = Callback { callbacks: Arc::clone(self), span: span.clone() };
        let _leave = Leave(CURRENT.replace(Some(callback)));
        // Inside a layer that is shown an event it stays there.
        let _in = (Within::current() != Within::Layer).then(|| In::enter(Within::Callback));
        work()
    }

    /// The bridges are known when the first event comes: the whole subscriber is there by then.
    fn bridges(&self) -> &[Weak<dyn Bridge>] {
        self.bridges.get_or_init(|| {
            let bridges = BRIDGES.lock();
            let own = bridges.iter().filter(|(registry, _)| Some(*registry) == self.registry);
            own.map(|(_, bridge)| Weak::clone(bridge)).collect()
        })
    }
}

impl Callback {
    pub(super) fn with_current<R>(look: impl FnOnce(&Self) -> R) -> Option<R> {
        CURRENT.with_borrow(|current| current.as_ref().map(look))
    }

    pub(super) fn has_bridges(&self) -> bool {
        self.callbacks.bridges().iter().any(|bridge| bridge.strong_count() > 0)
    }

    /// Calls `look` with each bridge.
    pub(super) fn each_bridge(&self, look: impl FnMut(Arc<dyn Bridge>)) {
        self.callbacks.bridges().iter().filter_map(Weak::upgrade).for_each(look);
    }

    /// The subscriber and the span.
    #[cfg(feature = "adopt-spans")]
    pub(super) fn span(&self) -> Option<(Dispatch, &Id)> {
        Some((self.callbacks.dispatch.upgrade()?, &self.span))
    }
}

/// The address of a subscriber's registry, which no two subscribers share.
fn registry_of(subscriber: &Dispatch) -> Option<usize> {
    subscriber.downcast_ref::<Registry>().map(|registry| std::ptr::from_ref(registry).addr())
}
