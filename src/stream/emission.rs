//! How an event reaches `tracing`, and how a layer answers.
//!
//! A `tracing` event carries fields, not objects, and every layer reads them. So [`dispatch`] fires one that says only
//! which kind of event it is and, during that call, lets a layer on this thread see the native event as the current
//! [`Emission`]. The layer may leave two things there: the span's ids, which are written into the event before any
//! subscriber sees it, and a [`ComponentContext`].

use std::{
    cell::{Cell, RefCell},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tracing::Level;

use crate::event::{Event, EventScope, EventType, TraceContext};

/// The target of the `tracing` events, for filters: started and ended components and events of the runtime itself at
/// `INFO`, progress at `DEBUG`.
///
/// Every layer sees them, also one that exports, and none of those knows what a bridge redacts. So they carry the event's
/// scope, type and offset, and no text of anybody's. They have no parent, so that they take no room on the user's span.
pub const TRACING_TARGET: &str = "agent_runtime::event";

/// A context in which the work of one component is polled, so that what it starts nests under the component's span.
pub trait ComponentContext: Send + Sync + fmt::Debug {
    /// Calls `work` once, inside the context.
    fn run(&self, work: &mut dyn FnMut());

    /// Returns the headers that carry the trace into another process, by name and value, without the baggage.
    fn headers(&self) -> Vec<(String, String)>;

    /// Returns the header with the caller's baggage, which may name customers and so goes only to whom the user chose.
    /// By default, there is none.
    fn baggage_header(&self) -> Option<(String, String)> {
        None
    }

    /// Returns the context that is current now if that is one inside this one, such as that of a user's span in the
    /// component. Work that is handed to another task is polled in it. By default, there is none.
    fn nearer(&self) -> Option<Arc<dyn ComponentContext>> {
        None
    }
}

/// The native event behind the `tracing` event that is being dispatched on this thread.
#[derive(Debug)]
pub struct Emission {
    event: Arc<Event>,
    trace: Cell<Option<TraceContext>>,
    context: RefCell<Option<Arc<dyn ComponentContext>>>,
    is_seen: Cell<bool>,
}

/// What came back from the layers.
pub(super) struct Dispatched {
    pub(super) event: Arc<Event>,
    pub(super) context: Option<Arc<dyn ComponentContext>>,
}

thread_local! {
    static CURRENT: RefCell<Option<Emission>> = const { RefCell::new(None) };
    static IN_LAYER: Cell<bool> = const { Cell::new(false) };
}

impl Emission {
    /// Calls `look` with the current emission, if an event is being dispatched on this thread.
    ///
    /// Meant for [`Layer::on_event`](tracing_subscriber::Layer::on_event), for events with the target
    /// [`TRACING_TARGET`].
    pub fn with_current<R>(look: impl FnOnce(&Self) -> R) -> Option<R> {
        CURRENT.with_borrow(|current| {
            current.as_ref().map(|emission| {
                emission.is_seen.set(true);
                look(emission)
            })
        })
    }

    /// The event, with its offset and time already set.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// Names the span that the event's component has; it is written into the event.
    pub fn set_trace(&self, trace: TraceContext) {
        self.trace.set(Some(trace));
    }

    /// Sets the context that the component's work is to be polled in.
    pub fn set_context(&self, context: Arc<dyn ComponentContext>) {
        self.context.replace(Some(context));
    }
}

/// Whether this thread is inside [`is_wanted`] or [`dispatch`], so that it is a layer that appends.
pub(super) fn in_layer() -> bool {
    IN_LAYER.get()
}

/// Whether some layer on this thread wants to see events like this one.
pub(super) fn is_wanted(event: &Event) -> bool {
    let wanted = call_layers(|| {
        if is_detail(event) {
            tracing::event_enabled!(target: TRACING_TARGET, Level::DEBUG)
        } else {
            tracing::event_enabled!(target: TRACING_TARGET, Level::INFO)
        }
    });
    let wanted = wanted.unwrap_or(false);
    if !wanted {
        count_unseen(event);
    }
    wanted
}

/// The events of the process that no layer looked at, but for progress, which may be filtered out on purpose.
static UNSEEN: AtomicU64 = AtomicU64::new(0);

fn count_unseen(event: &Event) {
    if !is_detail(event) {
        UNSEEN.fetch_add(1, Ordering::Relaxed);
    }
}

/// How many events of the process no layer has looked at, progress not counted.
#[cfg(feature = "otlp-http")]
pub(crate) fn unseen_events_in_process() -> u64 {
    UNSEEN.load(Ordering::Relaxed)
}

/// Whether an event is one of many that tell how a component gets on; what the runtime itself has to say is rare.
fn is_detail(event: &Event) -> bool {
    event.event_type == EventType::Progress && event.scope != EventScope::System
}

/// Shows the event to the layers of this thread's subscriber.
pub(super) fn dispatch(event: Arc<Event>) -> Dispatched {
    let (trace, context, is_seen) = (Cell::new(None), RefCell::new(None), Cell::new(false));
    let mut emission = Some(Emission { event, trace, context, is_seen });
    call_layers(|| {
        CURRENT.with(|current| current.replace(emission.take()));
        // Borrowed while the layers look. Nothing is put there meanwhile, as what a layer appends is not shown to layers.
        CURRENT.with_borrow(|current| current.as_ref().map(|emission| fire(&emission.event)));
    });
    let emission = emission.or_else(|| CURRENT.try_with(RefCell::take).ok().flatten());
    // A thread that is ending may have no place for it any more; then it was never taken.
    let Emission { mut event, trace, context, is_seen } =
        emission.expect("an emission is taken only to be put in its place");
    if !is_seen.get() {
        count_unseen(&event);
    }
    if let Some(trace) = trace.get() {
        // No layer can have a share of the event, so that this copies nothing.
        Arc::make_mut(&mut event).trace = Some(trace);
    }
    Dispatched { event, context: context.into_inner() }
}

/// Calls into the layers; `None` if one panicked.
///
/// The panic is contained, since telemetry must not fail the work; the panic hook has reported it.
fn call_layers<R>(call: impl FnOnce() -> R) -> Option<R> {
    IN_LAYER.set(true);
    let answer = catch_unwind(AssertUnwindSafe(call)).ok();
    IN_LAYER.set(false);
    answer
}

fn fire(event: &Event) {
    macro_rules! fire_at {
        ($level:expr) => {
            tracing::event!(
                name: TRACING_TARGET,
                target: TRACING_TARGET,
                parent: None,
                $level,
                scope = event.scope.as_str(),
                event_type = event.event_type.as_str(),
                offset = event.offset,
            )
        };
    }
    if is_detail(event) {
        fire_at!(Level::DEBUG);
    } else {
        fire_at!(Level::INFO);
    }
}
