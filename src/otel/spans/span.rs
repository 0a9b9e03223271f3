//! The span of one component: the context around its work, what is gathered for it, and what is still to be written on it.

use std::{any::Any, collections::VecDeque, ops::Deref, sync::Arc};

use chrono::{DateTime, Utc};
use opentelemetry::{
    Context, KeyValue,
    trace::{SpanRef, TraceContextExt as _},
};
use parking_lot::{Mutex, MutexGuard};

use super::context::OtelContext;
use crate::{
    event::{Event, EventScope, SharedIds},
    otel::{
        coalesce::{Coalescer, ProgressEvent},
        content::{Budget, PartialAnswer, Share},
        unfinished::Ticket,
    },
    stream::{ComponentContext, contain},
};

/// A component's span, also when it has ended.
#[derive(Debug)]
pub(super) struct ComponentSpan {
    /// Holds the span.
    context: OtelContext,
    /// `None` for a span that does not record, since it is not sampled or is adopted, and once the end has been written.
    notes: Mutex<Option<Notes>>,
    queue: Mutex<Queue>,
}

/// What is gathered for a span until its end.
#[derive(Debug)]
pub(super) struct Notes {
    pub(super) progress: Coalescer,
    /// Only gathered for content on the span.
    pub(super) answer: PartialAnswer,
    pub(super) system_events: u32,
    /// What the start said beyond what the span was started with, which is written last.
    pub(super) details: Vec<KeyValue>,
    /// The room that the content in all of this takes.
    pub(super) share: Share,
}

/// Something to be written on a span.
#[derive(Debug)]
pub(super) enum Task<'a> {
    /// What the start says beyond what the span was started with.
    Start {
        event: Said<'a>,
        ids: SharedIds,
    },
    Progress(Box<ProgressEvent>),
    System(Said<'a>),
    /// The end of a component that has been open since a time.
    End {
        event: Said<'a>,
        started: DateTime<Utc>,
    },
    /// The end of a component whose start was never seen.
    Unmatched {
        event: Said<'a>,
        ids: SharedIds,
    },
    /// A component was abandoned, at a time.
    Interrupt {
        scope: EventScope,
        started: DateTime<Utc>,
        at: DateTime<Utc>,
    },
}

/// An event, borrowed as long as nothing is left to be written; small, since each event goes through here.
#[derive(Debug)]
pub(super) enum Said<'a> {
    Now(&'a Event),
    Kept(Box<Event>),
}

/// The tasks of one span, which are done in the order of its events, one at a time.
#[derive(Debug, Default)]
struct Queue {
    tasks: VecDeque<(Task<'static>, Ticket)>,
    is_worked_on: bool,
}

impl ComponentSpan {
    pub(super) fn new(context: Context, notes: Option<Notes>) -> Arc<Self> {
        let context = OtelContext::new(context);
        Arc::new(Self { context, notes: Mutex::new(notes), queue: Mutex::default() })
    }

    pub(super) const fn context(&self) -> &Context {
        self.context.context()
    }

    pub(super) fn span(&self) -> SpanRef<'_> {
        self.context().span()
    }

    pub(super) fn notes(&self) -> MutexGuard<'_, Option<Notes>> {
        self.notes.lock()
    }

    /// Leaves a task to whoever calls [`work_off`](Self::work_off) next, or is in it.
    pub(super) fn queue(&self, task: Task<'static>, ticket: Ticket) {
        self.queue.lock().tasks.push_back((task, ticket));
    }

    /// Does all tasks, without a lock held, as redactors and processors of the user's are called. If another thread is at it,
    /// that one does them.
    pub(super) fn work_off(&self, write: impl Fn(Task<'static>)) {
        while let Some((task, _ticket)) = self.next_task() {
            contain(|| write(task));
            self.queue.lock().is_worked_on = false;
        }
    }

    fn next_task(&self) -> Option<(Task<'static>, Ticket)> {
        let mut queue = self.queue.lock();
        let next = if queue.is_worked_on { None } else { queue.tasks.pop_front() };
        queue.is_worked_on |= next.is_some();
        next
    }
}

impl ComponentContext for ComponentSpan {
    fn run(&self, work: &mut dyn FnMut()) {
        self.context.run(work);
    }

    fn headers(&self) -> Vec<(String, String)> {
        self.context.headers()
    }

    fn baggage_header(&self) -> Option<(String, String)> {
        self.context.baggage_header()
    }

    fn nearer(&self) -> Option<Arc<dyn ComponentContext>> {
        self.context.nearer()
    }

    fn carry(&self, component: Arc<dyn Any + Send + Sync>) {
        self.context.carry(component);
    }

    fn activate(&self) -> Option<Box<dyn Any>> {
        self.context.activate()
    }
}

impl Notes {
    pub(super) fn new(scope: EventScope, max_progress_events: u32, budget: &Budget) -> Self {
        Self {
            progress: Coalescer::new(scope, max_progress_events),
            answer: PartialAnswer::default(),
            system_events: 0,
            details: Vec::new(),
            share: budget.share(),
        }
    }
}

impl Deref for Said<'_> {
    type Target = Event;

    fn deref(&self) -> &Event {
        match self {
            Self::Now(event) => event,
            Self::Kept(event) => event,
        }
    }
}

impl Task<'_> {
    /// The same, to be kept.
    pub(super) fn into_owned(self) -> Task<'static> {
        let owned = |event: Said<'_>| Said::Kept(Box::new(event.clone()));
        match self {
            Self::Start { event, ids } => Task::Start { event: owned(event), ids },
            Self::Progress(progress) => Task::Progress(progress),
            Self::System(event) => Task::System(owned(event)),
            Self::End { event, started } => Task::End { event: owned(event), started },
            Self::Unmatched { event, ids } => Task::Unmatched { event: owned(event), ids },
            Self::Interrupt { scope, started, at } => Task::Interrupt { scope, started, at },
        }
    }
}
