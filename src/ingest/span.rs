//! One span as a component: when it starts, what it says, how it ends.

use std::{
    mem,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use parking_lot::Mutex;
use serde_json::json;
use tracing::span::{Id, Record};

use super::{
    facts::{Facts, LoggedError},
    names::{Declared, Name, Operation},
    payload::{self, Start},
};
use crate::{
    component::{Component, Current, EnteredSpan, Place, RunOptions, begin_run},
    event::{Event, EventScope},
    stream::{Callbacks, WeakEventStream},
};

/// How many spans may be components at once; a span beyond it is none.
pub const MAX_OPEN: usize = 65_536;

/// What all spans of a layer share.
#[derive(Debug)]
pub(super) struct Shared {
    stream: WeakEventStream,
    callbacks: OnceLock<Arc<Callbacks>>,
    open: AtomicUsize,
    refused: AtomicU64,
}

/// A span that is a component, or may become one.
#[derive(Debug)]
pub(super) struct IngestedSpan {
    shared: Arc<Shared>,
    id: Id,
    declared: Arc<Declared>,
    /// The component around it when it was made.
    around: Current,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    facts: Facts,
    error: Option<LoggedError>,
    /// Whether it was entered, and so will be left.
    is_entered: bool,
    /// When it was made, if it did not start at once.
    waiting_since: Option<Instant>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Not all of the start is known yet.
    Waiting,
    Starting,
    Open(Open),
    /// It is about what the component around it is about, too.
    Same(EventScope),
    /// It is no component.
    Ignored,
}

#[derive(Debug)]
struct Open {
    scope: EventScope,
    component: Component,
    here: Current,
    _room: Room,
}

/// A component's place among the open ones.
#[derive(Debug)]
struct Room(Arc<Shared>);

impl Shared {
    pub(super) const fn new(stream: WeakEventStream) -> Self {
        Self { stream, callbacks: OnceLock::new(), open: AtomicUsize::new(0), refused: AtomicU64::new(0) }
    }

    /// Puts down the subscriber that the layer is part of.
    pub(super) fn set_callbacks(&self, callbacks: Arc<Callbacks>) {
        // A layer that is in several subscribers belongs to the first.
        self.callbacks.set(callbacks).unwrap_or_default();
    }

    fn room(self: &Arc<Self>) -> Option<Room> {
        let take = |open: usize| (open < MAX_OPEN).then_some(open + 1);
        self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        Some(Room(Arc::clone(self)))
    }

    /// Says how many spans were refused, at the first and whenever that has doubled.
    fn refuse(&self) {
        let refused = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        if refused.is_power_of_two()
            && let Some(stream) = self.stream.upgrade()
        {
            let message = format!("{refused} spans were not taken in: {MAX_OPEN} are open");
            let event = Event::system_progress("system:ingest", Some(message), None, None, json!({"refused": refused}));
            // That this too may be refused is nobody's to hear.
            drop(stream.append(event));
        }
    }
}

impl IngestedSpan {
    pub(super) fn new(shared: &Arc<Shared>, id: &Id, declared: Arc<Declared>, facts: Facts, around: Current) -> Self {
        let inner = Inner { facts, error: None, is_entered: false, waiting_since: None, stage: Stage::Waiting };
        Self { shared: Arc::clone(shared), id: id.clone(), declared, around, inner: Mutex::new(inner) }
    }

    /// Whether the start is waited with from now on, since there may be more to say of it.
    pub(super) fn waits(&self) -> bool {
        let mut inner = self.inner.lock();
        let is_waiting = inner.is_waiting();
        inner.waiting_since = is_waiting.then(Instant::now);
        is_waiting
    }

    /// Starts the component unless more of its start may come: at once where all that the span has room for is there.
    pub(super) fn start_if_known(&self) {
        let inner = self.inner.lock();
        let Some(scope) = inner.facts.operation().and_then(Operation::scope) else { return };
        let missing = self.declared.names().of_start().without(inner.facts.names());
        let is_waited_for = self.around.is_recording() || inner.is_entered;
        let is_known = missing.is_empty() || !is_waited_for && !missing.has(Name::identity(scope));
        drop(inner);
        if is_known {
            self.start();
        }
    }

    /// Starts the component if what names it is there, or has no room in the span: when it, or what is around it, is left.
    pub(super) fn start_if_named(&self) {
        let inner = self.inner.lock();
        if !inner.is_waiting() {
            return;
        }
        let Some(scope) = inner.facts.operation().and_then(Operation::scope) else { return };
        let missing = self.declared.names().without(inner.facts.names());
        drop(inner);
        if !missing.has(Name::identity(scope)) {
            self.start();
        }
    }

    /// Takes in what was recorded; what can only come later starts the component.
    pub(super) fn record(&self, values: &Record<'_>) {
        // Not with the lock: a value writes itself by code of others.
        let mut facts = Facts::default();
        values.record(&mut facts.recorder(&self.declared));
        let is_late = !facts.names().without(facts.names().of_start()).is_empty();
        let mut inner = self.inner.lock();
        let is_waiting = inner.is_waiting();
        inner.facts.add(facts);
        drop(inner);
        if is_waiting && is_late {
            self.start();
        } else if is_waiting {
            self.start_if_known();
        }
    }

    /// Takes in an error that was logged in the span.
    pub(super) fn log_error(&self, error: LoggedError) {
        self.start();
        self.inner.lock().error = Some(error);
    }

    /// Starts the component, if it has not started and its operation is one of a component.
    pub(super) fn start(&self) {
        let mut inner = self.inner.lock();
        if !inner.is_waiting() {
            return;
        }
        let Some(operation) = inner.facts.operation() else { return };
        let Some(scope) = operation.scope() else {
            inner.stage = Stage::Ignored;
            return;
        };
        if self.is_same(scope, &inner.facts) {
            inner.stage = Stage::Same(scope);
            return;
        }
        inner.stage = Stage::Starting;
        let mut facts = mem::take(&mut inner.facts);
        drop(inner);
        let stage = self.begin(scope, &facts).map_or(Stage::Ignored, Stage::Open);
        let mut inner = self.inner.lock();
        // What was recorded meanwhile, on another thread.
        facts.add(mem::take(&mut inner.facts));
        inner.facts = facts;
        inner.stage = stage;
    }

    /// Ends the component, when the span closes; `outer` finds the nearest span above it that may be a component.
    pub(super) fn end(&self, outer: impl FnOnce() -> Option<Arc<Self>>) {
        self.start();
        let mut inner = self.inner.lock();
        let stage = mem::replace(&mut inner.stage, Stage::Ignored);
        let (facts, error, waiting_since) = (mem::take(&mut inner.facts), inner.error.take(), inner.waiting_since);
        drop(inner);
        let Some(callbacks) = self.shared.callbacks.get() else { return };
        match stage {
            Stage::Open(Open { scope, component, here, _room }) => {
                drop(here);
                // One that started at once measures its own.
                let duration = waiting_since.map(|since| since.elapsed()).unwrap_or_default();
                callbacks
                    .enter(&self.id, || payload::end(component, scope, &facts, self.declared.names(), error, duration));
            }
            Stage::Same(scope) => {
                if let Some(outer) = outer().filter(|outer| outer.is(&self.around)) {
                    outer.fill(facts);
                } else if scope == EventScope::LlmRequest
                    && let Some(usage) = payload::usage(&facts)
                {
                    self.around.reporter().usage(usage);
                }
            }
            Stage::Waiting | Stage::Starting | Stage::Ignored => {}
        }
    }

    /// The component that the span is, without starting it.
    fn here(&self) -> Option<Current> {
        match &self.inner.lock().stage {
            Stage::Open(open) => Some(open.here.clone()),
            Stage::Waiting | Stage::Starting | Stage::Same(_) | Stage::Ignored => None,
        }
    }

    /// Whether a component is the one that the span is.
    pub(super) fn is(&self, current: &Current) -> bool {
        matches!(&self.inner.lock().stage, Stage::Open(open) if open.here.is(current))
    }

    /// Takes in what a span inside says of the same component.
    fn fill(&self, facts: Facts) {
        self.inner.lock().facts.fill(facts);
    }

    /// Whether the component around is the same: two spans for one request, as where a library is wrapped in another.
    fn is_same(&self, scope: EventScope, facts: &Facts) -> bool {
        match scope {
            EventScope::LlmRequest => self.around.scope() == Some(scope),
            _ => self.around.is_called(scope, payload::name(scope, facts)),
        }
    }

    fn begin(&self, scope: EventScope, facts: &Facts) -> Option<Open> {
        let callbacks = self.shared.callbacks.get()?;
        let Some(room) = self.shared.room() else {
            callbacks.enter(&self.id, || self.shared.refuse());
            return None;
        };
        let component = callbacks.enter(&self.id, || {
            if self.around.is_recording() {
                return payload::start(scope, facts, &Start::In(&self.around)).ok();
            }
            let options = facts.text(Name::Conversation).map(|id| RunOptions::default().with_conversation_id(id));
            let (stream, workflow) = (self.shared.stream.upgrade()?, payload::name(scope, facts));
            let run = begin_run(stream, workflow, options.unwrap_or_default());
            payload::start(scope, facts, &Start::Root(&run)).ok()
        })?;
        let here = component.current();
        component.is_recording().then_some(Open { scope, component, here, _room: room })
    }
}

impl Inner {
    const fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Waiting)
    }
}

impl EnteredSpan for IngestedSpan {
    fn enter(&self) -> Option<Place> {
        self.inner.lock().is_entered = true;
        self.here()?.place()
    }

    fn leave(&self) {
        self.start_if_named();
    }

    fn place(&self) -> Option<Place> {
        self.start();
        self.here().unwrap_or_else(|| self.around.clone()).place()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
