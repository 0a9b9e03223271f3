//! How an event reaches `tracing`, and how a layer answers.
//!
//! A `tracing` event carries fields, not objects, and every layer reads them. So [`dispatch`] fires one that says only
//! which kind of event it is and, during that call, lets a layer on this thread see the native event as the current
//! [`Emission`]. The layer may leave two things there: the span's ids, which are written into the event before any
//! subscriber sees it, and a [`ComponentContext`].

use std::{
    any::Any,
    cell::{Cell, RefCell},
    fmt,
    mem::{self, ManuallyDrop},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

#[cfg(feature = "adopt-spans")]
use tracing::span::Id;
use tracing::{Dispatch, Level, dispatcher};

#[cfg(feature = "ingest")]
use super::callback::Callback;
use super::{
    contain,
    within::{In, Within},
};
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

    /// Keeps what stands for the component, so that it is found again wherever the context is carried by means that know
    /// nothing of components, such as a span's own future. By default, it is not kept.
    fn carry(&self, component: Arc<dyn Any + Send + Sync>) {
        drop(component);
    }

    /// Makes the context the active one of this thread until what is returned is dropped, on this thread, where the work
    /// of a component is not one call: it is a span, which is entered and left. By default, it cannot be.
    fn activate(&self) -> Option<Box<dyn Any>> {
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
    #[cfg_attr(not(feature = "otel"), expect(dead_code, reason = "only a bridge asks"))]
    start_is_unseen: bool,
    panicked: Cell<bool>,
    #[cfg(feature = "ingest")]
    callback: Option<Callback>,
}

/// Work that a bridge leaves for when the stream's turn is over.
type Left = Box<dyn FnOnce()>;

/// The contexts of two bridges, one inside the other.
#[derive(Debug)]
struct Nested {
    outer: Arc<dyn ComponentContext>,
    inner: Arc<dyn ComponentContext>,
}

/// What came back from the layers.
pub(super) struct Dispatched {
    pub(super) event: Arc<Event>,
    pub(super) context: Option<Arc<dyn ComponentContext>>,
    /// Whether a layer looked at the native event.
    pub(super) is_seen: bool,
    /// Whether a layer panicked, so that those behind it may not have been shown the event.
    pub(super) panicked: bool,
}

thread_local! {
    /// Has no destructor, so that it is still there for what the last destructors of a thread append.
    static CURRENT: RefCell<Option<ManuallyDrop<Emission>>> = const { RefCell::new(None) };
    static LEFT: RefCell<Vec<Left>> = const { RefCell::new(Vec::new()) };
}

impl Emission {
    /// Calls `look` with the current emission, if an event is being dispatched on this thread.
    ///
    /// Meant for [`Layer::on_event`](tracing_subscriber::Layer::on_event), for events with the target
    /// [`TRACING_TARGET`].
    pub fn with_current<R>(look: impl FnOnce(&Self) -> R) -> Option<R> {
        CURRENT.with_borrow(|current| {
            current.as_deref().map(|emission| {
                emission.is_seen.set(true);
                look(emission)
            })
        })
    }

    /// Whether no bridge looked at the start of the component, so that what follows is none of theirs.
    #[cfg(feature = "otel")]
    pub(crate) const fn start_is_unseen(&self) -> bool {
        self.start_is_unseen
    }

    /// Calls one reader of the event, whose panic does not keep the others from it; `None` if it panicked.
    #[cfg(any(feature = "ingest", feature = "otel"))]
    pub(crate) fn contain<R>(&self, reader: impl FnOnce() -> R) -> Option<R> {
        let answer = contain(reader);
        self.panicked.set(self.panicked.get() || answer.is_none());
        answer
    }

    /// The span that the event is about, if a layer of ours made it of one; with the subscriber that has it.
    #[cfg(feature = "adopt-spans")]
    pub(crate) fn span(&self) -> Option<(Dispatch, &Id)> {
        self.callback.as_ref()?.span()
    }

    fn show(&self) {
        #[cfg(feature = "ingest")]
        if let Some(callback) = &self.callback {
            callback.each_bridge(|bridge| {
                self.contain(|| bridge.observe());
            });
            return;
        }
        fire(&self.event);
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

    /// Sets the context that the component's work is to be polled in. Where several bridges each have one, the work is
    /// polled in all of them, in that of the last one innermost.
    pub fn set_context(&self, context: Arc<dyn ComponentContext>) {
        let mut slot = self.context.borrow_mut();
        *slot = Some(match slot.take() {
            Some(outer) => Arc::new(Nested { outer, inner: context }),
            None => context,
        });
    }
}

impl ComponentContext for Nested {
    fn run(&self, work: &mut dyn FnMut()) {
        self.outer.run(&mut || self.inner.run(work));
    }

    fn headers(&self) -> Vec<(String, String)> {
        let headers = self.inner.headers();
        if headers.is_empty() { self.outer.headers() } else { headers }
    }

    fn baggage_header(&self) -> Option<(String, String)> {
        self.inner.baggage_header().or_else(|| self.outer.baggage_header())
    }

    fn carry(&self, component: Arc<dyn Any + Send + Sync>) {
        self.inner.carry(Arc::clone(&component));
        self.outer.carry(component);
    }

    fn nearer(&self) -> Option<Arc<dyn ComponentContext>> {
        self.inner.nearer().or_else(|| self.outer.nearer())
    }

    fn activate(&self) -> Option<Box<dyn Any>> {
        let outer = self.outer.activate();
        let inner = self.inner.activate();
        // The inner one is dropped first.
        Some(Box::new((inner, outer)))
    }
}

/// Whether this thread is inside [`is_wanted`] or [`dispatch`], so that it is a layer that appends.
pub(super) fn in_layer() -> bool {
    Within::current() == Within::Layer
}

/// Looks at the callback of a layer of ours that this thread is in.
#[cfg(feature = "ingest")]
fn callback<R>(look: impl FnOnce(&Callback) -> R) -> Option<R> {
    if Within::current() == Within::Callback { Callback::with_current(look) } else { None }
}

/// Whether some layer on this thread wants to see events like this one.
pub(super) fn is_wanted(event: &Event) -> bool {
    #[cfg(feature = "ingest")]
    let asked = callback(Callback::has_bridges);
    #[cfg(not(feature = "ingest"))]
    let asked = None;
    let ask = || {
        if is_detail(event) {
            tracing::event_enabled!(target: TRACING_TARGET, Level::DEBUG)
        } else {
            tracing::event_enabled!(target: TRACING_TARGET, Level::INFO)
        }
    };
    let wanted = asked.or_else(|| call_layers(ask)).unwrap_or(false);
    if !wanted {
        count_unseen(event);
    }
    wanted
}

/// The events of the process that no layer looked at, but for progress, which may be filtered out on purpose.
static UNSEEN: AtomicU64 = AtomicU64::new(0);

pub(super) fn count_unseen(event: &Event) {
    if !is_detail(event) {
        UNSEEN.fetch_add(1, Ordering::Relaxed);
    }
}

/// How many events of the process no layer has looked at, progress not counted.
#[cfg(feature = "otlp-http")]
pub(crate) fn unseen_events_in_process() -> u64 {
    UNSEEN.load(Ordering::Relaxed)
}

/// Whether an event is one of many about the progress of a component; those of the runtime itself are rare.
fn is_detail(event: &Event) -> bool {
    event.event_type == EventType::Progress && event.scope != EventScope::System
}

/// Shows the event to the layers of this thread's subscriber.
pub(super) fn dispatch(mut event: Arc<Event>, start_is_unseen: bool) -> Dispatched {
    let emission = Emission {
        event: Arc::clone(&event),
        trace: Cell::new(None),
        context: RefCell::new(None),
        is_seen: Cell::new(false),
        start_is_unseen,
        panicked: Cell::new(false),
        #[cfg(feature = "ingest")]
        callback: callback(Clone::clone),
    };
    CURRENT.set(Some(ManuallyDrop::new(emission)));
    // Borrowed while the layers look. Nothing is put there meanwhile, as what a layer appends is not shown to layers.
    let looked = call_layers(|| CURRENT.with_borrow(|current| current.as_deref().map(Emission::show)));
    let Some(emission) = CURRENT.take() else {
        return Dispatched { event, context: None, is_seen: false, panicked: true };
    };
    let Emission { event: shown, trace, context, is_seen, panicked, .. } = ManuallyDrop::into_inner(emission);
    drop(shown);
    let is_seen = is_seen.get() && !start_is_unseen;
    if !is_seen {
        count_unseen(&event);
    }
    if let Some(trace) = trace.get() {
        // No layer can have a share of the event, so that this copies nothing.
        Arc::make_mut(&mut event).trace = Some(trace);
    }
    let panicked = panicked.get() || looked.is_none();
    Dispatched { event, context: context.into_inner(), is_seen, panicked }
}

/// Leaves work for when the turn of the event's stream is over, so that no other append waits for it. The thread that appends
/// the event does it before its append returns; what it appends is not shown to layers. Called in a layer that is shown an event.
#[cfg(feature = "otel")]
pub(crate) fn leave(work: impl FnOnce() + 'static) {
    let mut work = Some(work);
    LEFT.try_with(|left| left.borrow_mut().extend(work.take().map(|work| Box::new(work) as Left))).unwrap_or_default();
    // In a thread that is ending there may be no place for it any more, nor a later.
    if let Some(work) = work {
        work();
    }
}

/// Does what bridges have left, with no turn held. As in a layer, what it appends is not shown to layers, nor what it traces:
/// a redactor that logs would else be called for that too, and so for ever.
pub(super) fn do_what_is_left() {
    let left = LEFT.try_with(|left| mem::take(&mut *left.borrow_mut())).unwrap_or_default();
    if left.is_empty() {
        return;
    }
    let work = || {
        for work in left {
            call_layers(work);
        }
    };
    match Within::current() {
        // The default of a thread that is called back cannot be set.
        #[cfg(feature = "ingest")]
        Within::Callback => work(),
        Within::Nothing | Within::Layer => dispatcher::with_default(&Dispatch::none(), work),
    }
}

/// Says that a layer panicked, to the same layers: those that log have a place to say it.
pub(super) fn report_panic() {
    call_layers(|| {
        tracing::error!(
            target: "agent_runtime::stream",
            "a tracing layer panicked at an event of this stream; the layers behind it were not shown the event, so put \
             the one of the telemetry first"
        );
    });
}

/// Calls into the layers; `None` if one panicked, which must not fail the work.
fn call_layers<R>(call: impl FnOnce() -> R) -> Option<R> {
    let _in = In::enter(Within::Layer);
    contain(call)
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
