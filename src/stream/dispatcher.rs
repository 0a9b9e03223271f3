//! The `tracing` subscriber that a run belongs to.

use tracing::{Dispatch, dispatcher, subscriber::NoSubscriber};

use super::within::Within;

/// The subscriber that a run began under, which sees the run to its last event: whatever the default is where the run is
/// polled, and where it is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Dispatcher(Option<Dispatch>);

impl Dispatcher {
    /// The current thread's. A run that began under none has none, and its events go to whichever is there.
    ///
    /// In a callback of a layer it is none: what the subscriber holds must not hold the subscriber.
    pub(crate) fn current() -> Self {
        #[cfg(feature = "ingest")]
        if Within::current() == Within::Callback {
            return Self(None);
        }
        Self(dispatcher::get_default(|current| (!current.is::<NoSubscriber>()).then(|| current.clone())))
    }

    /// This one, or the current thread's if this is none.
    pub(crate) fn or_current(&self) -> Self {
        if self.0.is_some() { self.clone() } else { Self::current() }
    }

    /// Calls `work` with this subscriber as the thread's default.
    ///
    /// A thread that is in a layer stays as it is: a new default would lead it into the layers once more.
    pub(crate) fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        match &self.0 {
            Some(own) if Within::current() == Within::Nothing && !is_default(own) => {
                dispatcher::with_default(own, work)
            }
            _ => work(),
        }
    }
}

/// Whether a subscriber is known to be the thread's default, as the registry in it says: setting the default costs more than
/// the question, and on most threads it is set already.
#[cfg(any(feature = "ingest", feature = "otel"))]
fn is_default(own: &Dispatch) -> bool {
    let Some(registry) = own.downcast_ref::<tracing_subscriber::Registry>() else { return false };
    dispatcher::get_default(|current| current.downcast_ref().is_some_and(|current| std::ptr::eq(current, registry)))
}

#[cfg(not(any(feature = "ingest", feature = "otel")))]
const fn is_default(_: &Dispatch) -> bool {
    false
}
