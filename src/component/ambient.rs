//! What a thread is in right now: the components whose work it polls, and spans that are components and were entered, the
//! innermost last. There is nothing between polls, so that ancestry stays with the task.

#[cfg(feature = "ingest")]
use std::{any::Any, fmt};
use std::{cell::RefCell, sync::Arc};

use super::{lineage::Lineage, place::Place, position::Position, reporter::Voice};
#[cfg(feature = "ingest")]
use crate::stream::contain;
use crate::stream::{Carried, carried};

/// How deep a thread's components may lie in each other before spans that are entered no longer count.
#[cfg(feature = "ingest")]
const MAX_DEPTH: usize = 4_096;

/// How many spans may wait for a component to be left; what is beyond starts at once.
#[cfg(feature = "ingest")]
const MAX_WAITING: usize = 64;

/// A span that is a component, or becomes one when somebody asks.
#[cfg(feature = "ingest")]
pub(crate) trait EnteredSpan: Send + Sync + fmt::Debug {
    /// Is entered. Returns the component, if it has started.
    fn enter(&self) -> Option<Place>;

    /// The component, which starts if it has not; the one around it if it is none.
    fn place(&self) -> Option<Place>;

    /// It is left, or what it was made in, and with it what may be said of its start.
    fn leave(&self);
}

struct Entry {
    what: What,
    /// What keeps the component's context active while its span is entered.
    #[cfg(feature = "ingest")]
    active: Option<Box<dyn Any>>,
    /// The spans made in it that start when it is left, if not before.
    #[cfg(feature = "ingest")]
    waiting: Vec<Arc<dyn EnteredSpan>>,
}

enum What {
    Work(Place),
    #[cfg(feature = "ingest")]
    Span(u64, Arc<dyn EnteredSpan>),
    /// A span that was entered before, further out: what lies in between is nearer.
    #[cfg(feature = "ingest")]
    Again(u64),
}

impl What {
    #[cfg(feature = "ingest")]
    fn is_span(&self, key: u64) -> bool {
        match self {
            Self::Work(_) => false,
            Self::Span(own, _) | Self::Again(own) => *own == key,
        }
    }
}

thread_local! {
    static STACK: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
}

impl Place {
    /// The component that this is called in, if any.
    pub(super) fn get() -> Option<Self> {
        Self::with(Clone::clone)
    }

    /// Looks at the component that this is called in, if any; the look must not ask for it again.
    pub(super) fn with<R>(look: impl FnOnce(&Self) -> R) -> Option<R> {
        #[cfg(feature = "ingest")]
        if let Some((depth, span)) = innermost_span() {
            return of_span(depth, &span).map(|place| look(&place));
        }
        let mut look = Some(look);
        let innermost = |stack: &RefCell<Vec<Entry>>| match &innermost(&stack.borrow())?.1.what {
            What::Work(place) => look.take().map(|look| look(place)),
            #[cfg(feature = "ingest")]
            What::Span(..) | What::Again(_) => None,
        };
        match STACK.try_with(innermost) {
            Ok(Some(seen)) => Some(seen),
            _ => look.zip(Self::carried()).map(|(look, place)| look(&place)),
        }
    }

    /// The component whose context alone was carried here, by a bridge.
    fn carried() -> Option<Self> {
        let Carried { component, context } = carried()?;
        Some(Self { voice: component.downcast().ok()?, context: Some(context) })
    }

    /// The nearest agent of a run around what starts here.
    pub(super) fn agent_around(run: &Arc<Lineage>) -> Option<Arc<Voice>> {
        Self::with(|place| place.agent_in(run)).flatten()
    }

    /// The position that something of a run begins in: the current component if that is of the run, else the run's workflow,
    /// else, as the run begins, the current component if that is of the run around, else what the run was made in.
    pub(super) fn around(run: &Arc<Lineage>) -> Option<Position> {
        let current_if = |is_it: &dyn Fn(&Arc<Lineage>) -> bool| {
            Self::with(|place| is_it(&place.voice.run).then(|| place.voice.position.clone())).flatten()
        };
        current_if(&|current| Arc::ptr_eq(current, run))
            .or_else(|| run.workflow.get().map(|(_, position)| position.clone()))
            .or_else(|| current_if(&|current| Some(&current.workflow_id) == run.parent_workflow_id.as_ref()))
            .or_else(|| run.around.clone())
    }

    /// Calls `work` inside this component, under the subscriber that its run began under.
    pub(super) fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        /// Leaves the component also when `work` unwinds.
        struct Leave;
        impl Drop for Leave {
            fn drop(&mut self) {
                drop(leave(|what| matches!(what, What::Work(_))));
            }
        }
        let inside = || {
            enter(What::Work(self.clone()));
            let _leave = Leave;
            self.in_context(work)
        };
        self.voice.run.dispatcher.enter(inside)
    }
}

/// Enters a span on this thread: what starts here lies in it.
#[cfg(feature = "ingest")]
pub(crate) fn enter_span(key: u64, span: Arc<dyn EnteredSpan>) {
    let look = |stack: &RefCell<Vec<Entry>>| {
        let stack = stack.borrow();
        (stack.len() >= MAX_DEPTH, stack.iter().any(|entry| entry.what.is_span(key)))
    };
    match STACK.try_with(look) {
        Ok((false, true)) => enter(What::Again(key)),
        Ok((false, false)) => {
            let started = span.enter();
            enter(What::Span(key, span));
            if let Some(place) = started {
                activate(key, &place);
            }
        }
        Ok((true, _)) | Err(_) => {}
    }
}

/// Leaves a span on this thread, in whatever order. Returns whether that was where it was entered, so that it knows.
#[cfg(feature = "ingest")]
pub(crate) fn leave_span(key: u64) -> bool {
    let Some(What::Span(_, span)) = leave(|what| what.is_span(key)) else { return false };
    span.leave();
    true
}

/// Has a span start at the latest when what this thread is in is left; with nothing around, it waits for itself.
#[cfg(feature = "ingest")]
pub(crate) fn start_before_leaving(span: Arc<dyn EnteredSpan>) {
    let wait = |stack: &RefCell<Vec<Entry>>| {
        let mut stack = stack.borrow_mut();
        match stack.last_mut() {
            Some(entry) if entry.waiting.len() < MAX_WAITING => {
                entry.waiting.push(span);
                None
            }
            Some(_) => Some(span),
            None => None,
        }
    };
    if let Some(span) = STACK.try_with(wait).ok().flatten() {
        drop(span.place());
    }
}

fn enter(what: What) {
    let entry = Entry {
        what,
        #[cfg(feature = "ingest")]
        active: None,
        #[cfg(feature = "ingest")]
        waiting: Vec::new(),
    };
    STACK.try_with(|stack| stack.borrow_mut().push(entry)).unwrap_or_default();
}

/// Takes out the innermost entry of a kind. What it holds is dropped, and what waited for it starts, with nothing borrowed.
fn leave(is_it: impl Fn(&What) -> bool) -> Option<What> {
    let take = |stack: &RefCell<Vec<Entry>>| {
        let mut stack = stack.borrow_mut();
        let place = stack.iter().rposition(|entry| is_it(&entry.what))?;
        Some(stack.remove(place))
    };
    let left = STACK.try_with(take).ok().flatten()?;
    #[cfg(feature = "ingest")]
    left.waiting.into_iter().for_each(|span| span.leave());
    Some(left.what)
}

/// The innermost entry, not counting spans that are entered again, and how deep it lies.
fn innermost(stack: &[Entry]) -> Option<(usize, &Entry)> {
    #[cfg(feature = "ingest")]
    let is_nearest = |entry: &Entry| !matches!(entry.what, What::Again(_));
    #[cfg(not(feature = "ingest"))]
    let is_nearest = |_: &Entry| true;
    stack.iter().enumerate().rev().find(|(_, entry)| is_nearest(entry))
}

/// The innermost entry if that is a span, and how deep it lies.
#[cfg(feature = "ingest")]
fn innermost_span() -> Option<(usize, Arc<dyn EnteredSpan>)> {
    let look = |stack: &RefCell<Vec<Entry>>| {
        let stack = stack.borrow();
        let (depth, entry) = innermost(&stack)?;
        match &entry.what {
            What::Work(_) | What::Again(_) => None,
            What::Span(_, span) => Some((depth, Arc::clone(span))),
        }
    };
    STACK.try_with(look).ok().flatten()
}

/// The component of a span that is entered. It starts with nothing borrowed: its start asks for what is around.
#[cfg(feature = "ingest")]
fn of_span(depth: usize, span: &Arc<dyn EnteredSpan>) -> Option<Place> {
    let place = span.place()?;
    let key = STACK.try_with(|stack| match stack.borrow().get(depth)?.what {
        What::Span(key, _) => Some(key),
        What::Work(_) | What::Again(_) => None,
    });
    if let Some(key) = key.ok().flatten() {
        activate(key, &place);
    }
    Some(place)
}

/// Makes the context of an entered span's component the active one, until the span is left.
#[cfg(feature = "ingest")]
fn activate(key: u64, place: &Place) {
    let Some(context) = &place.context else { return };
    let find = |stack: &mut Vec<Entry>, active: Option<Box<dyn Any>>| {
        let entry = stack.iter_mut().rfind(|entry| matches!(entry.what, What::Span(own, _) if own == key))?;
        let is_inactive = entry.active.is_none();
        entry.active = entry.active.take().or(active);
        Some(is_inactive)
    };
    let is_inactive = STACK.try_with(|stack| find(&mut stack.borrow_mut(), None)).ok().flatten();
    if is_inactive == Some(true)
        && let Some(active) = contain(|| context.activate()).flatten()
    {
        STACK.try_with(|stack| find(&mut stack.borrow_mut(), Some(active))).ok();
    }
}
