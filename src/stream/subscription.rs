//! A reader's cursor in the log, and what it lets through.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker, ready},
};

use futures_util::Stream;
use tokio::task::coop::poll_proceed;

use super::{
    Lagged, RecvError, TryRecvError,
    blocking::block_on,
    filter::{Filter, Topic},
    log::{READ_BATCH, Read},
    shared::Shared,
    waiters::Place,
};
use crate::event::{ComponentStatus, Event, EventFilter, EventScope, EventType};

/// A cursor in an [`EventStream`](super::EventStream).
///
/// A slow subscriber reads later and holds nobody up. Only one that falls behind the whole log loses events, and it is
/// shown which. It is also a [`Stream`] of `Result<Event, Lagged>`, which ends when the stream is closed.
///
/// ```
/// use agent_runtime::prelude::*;
///
/// let stream = EventStream::builder().with_capacity(2).build();
/// let mut tools = stream.subscribe().filter(EventScope::Tool);
/// for id in ["add", "sub", "mul"] {
///     stream.append(Event::tool_started(id, None, None, json!({})))?;
/// }
/// // The log keeps two events: the first is gone, which the reader is not left to guess.
/// let Err(TryRecvError::Lagged(lagged)) = tools.try_recv() else { panic!("nothing was missed") };
/// assert_eq!(lagged.missing(), 0..1);
/// assert_eq!(tools.try_recv()?.component_id, "sub");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Filters
///
/// Filters of different kinds narrow, and filters of one kind widen: `.filter(Tool).filter(Agent).filter_status(Failed)` lets
/// the failures of tools and of agents through. They hold for what is read from then on.
pub struct Subscription {
    shared: Arc<Shared>,
    /// Its place among the waiters, once it has waited under its filter.
    place: Option<Place>,
    cursor: u64,
    /// Events taken from the log and not yet handed out.
    taken: VecDeque<Arc<Event>>,
    filter: Filter,
    /// Set when the one run that the subscription is for is over, with the log's lock held.
    is_over: Option<Arc<AtomicBool>>,
}

/// Ends the subscription of one run: dropped when the run is over, after its last event.
pub(crate) struct EndOfRun {
    shared: Arc<Shared>,
    is_over: Arc<AtomicBool>,
    /// What its subscription waits for.
    topics: Vec<Topic>,
}

/// How many events one poll passes over at the most; then other tasks of its thread go first.
const MAX_PASSED_OVER: usize = 1_024;

/// What a look at the log gave.
enum Next {
    Event(Arc<Event>),
    Lagged(Lagged),
    Empty,
    Closed,
    /// Nothing so far, and more to look at.
    Unfinished,
}

impl Subscription {
    pub(super) fn new(shared: Arc<Shared>, cursor: u64) -> Self {
        Self { shared, place: None, cursor, taken: VecDeque::new(), filter: Filter::default(), is_over: None }
    }

    /// Waits for the next event that passes the filters.
    ///
    /// # Errors
    ///
    /// - [`RecvError::Lagged`] if events were overwritten before they were read; the next call goes on at the oldest
    ///   event kept.
    /// - [`RecvError::Closed`] if no event will come.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: an event is only taken by the poll that returns it.
    pub async fn recv(&mut self) -> Result<Event, RecvError> {
        self.recv_shared().await.map(Arc::unwrap_or_clone)
    }

    /// Waits as [`recv`](Self::recv) does and returns the event shared with the log, which spares a copy.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: an event is only taken by the poll that returns it.
    pub async fn recv_shared(&mut self) -> Result<Arc<Event>, RecvError> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Returns the next event that passes the filters if there is one now.
    ///
    /// # Errors
    ///
    /// - [`TryRecvError::Empty`] if nothing is waiting.
    /// - [`TryRecvError::Lagged`] and [`TryRecvError::Closed`] as for [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<Event, TryRecvError> {
        self.try_recv_shared().map(Arc::unwrap_or_clone)
    }

    /// Returns what [`try_recv`](Self::try_recv) does, the event shared with the log, which spares a copy.
    ///
    /// # Errors
    ///
    /// Those of [`try_recv`](Self::try_recv).
    pub fn try_recv_shared(&mut self) -> Result<Arc<Event>, TryRecvError> {
        match self.next_taken(None) {
            Next::Event(event) => Ok(event),
            Next::Lagged(lagged) => Err(TryRecvError::Lagged(lagged)),
            Next::Empty | Next::Unfinished => Err(TryRecvError::Empty),
            Next::Closed => Err(TryRecvError::Closed),
        }
    }

    /// Waits as [`recv`](Self::recv) does and blocks the thread meanwhile, for threads that are not async.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    ///
    /// # Panics
    ///
    /// If called in async code, where it would block the executor, as Tokio's channels do. It may be called in
    /// [`spawn_blocking`](tokio::task::spawn_blocking), and on any thread outside a runtime. On the thread that alone emits
    /// the events it waits for ever.
    pub fn blocking_recv(&mut self) -> Result<Event, RecvError> {
        block_on(self.recv())
    }

    /// Returns another subscription with the same filters, to the events that come from now on.
    #[must_use]
    pub fn resubscribe(&self) -> Self {
        let cursor = self.shared.log.lock().kept().end;
        let mut subscription = Self::new(Arc::clone(&self.shared), cursor);
        subscription.filter = self.filter.clone();
        subscription.is_over = self.is_over.clone();
        subscription
    }

    /// Has the subscription end, once all events are read, when the returned guard is dropped.
    pub(crate) fn until_dropped(mut self) -> (Self, EndOfRun) {
        let is_over = Arc::new(AtomicBool::new(false));
        self.is_over = Some(Arc::clone(&is_over));
        let end = EndOfRun { shared: Arc::clone(&self.shared), is_over, topics: self.filter.topics() };
        (self, end)
    }

    /// The offset of the next event that this subscription looks at.
    #[must_use]
    pub fn offset(&self) -> u64 {
        match &self.place {
            Some(place) if self.taken.is_empty() => self.shared.log.lock().position_of(place, self.cursor),
            _ => self.cursor - self.taken.len() as u64,
        }
    }

    /// The offset that the next event of the stream will get, or would if it were not closed.
    pub(crate) fn end_of_stream(&self) -> u64 {
        self.shared.log.lock().kept().end
    }

    /// Lets through only events of a scope, or of one of several if called again. For `StreamExt::filter`, which has the same name, call that by its path.
    #[must_use]
    pub fn filter(self, scope: EventScope) -> Self {
        self.filter_by(EventFilter::default().with_scope(scope))
    }

    /// Lets through only events with a status.
    #[must_use]
    pub fn filter_status(self, status: ComponentStatus) -> Self {
        self.filter_by(EventFilter::default().with_status(status))
    }

    /// Lets through only events of a type.
    #[must_use]
    pub fn filter_type(self, event_type: EventType) -> Self {
        self.filter_by(EventFilter::default().with_type(event_type))
    }

    /// Lets through only events of one run of a workflow and of the runs directly inside it.
    #[must_use]
    pub fn filter_workflow(self, workflow_id: impl Into<String>) -> Self {
        self.filter_by(EventFilter::default().with_workflow(workflow_id))
    }

    /// Lets through only events of one run of a workflow and of all runs nested in it, however deep.
    ///
    /// A nested run is known by its first event that names the run around it, so subscribe before the run starts.
    #[must_use]
    pub fn filter_run(mut self, workflow_id: impl Into<String>) -> Self {
        self.leave();
        self.filter.add_run(workflow_id.into());
        self
    }

    /// Lets through only events of one component.
    #[must_use]
    pub fn filter_component(self, component_id: impl Into<String>) -> Self {
        self.filter_by(EventFilter::default().with_component(component_id))
    }

    /// Lets through only what passes a filter too.
    #[must_use]
    pub fn filter_by(mut self, filter: EventFilter) -> Self {
        self.leave();
        self.filter.add(filter);
        self
    }

    pub(super) const fn filter_mut(&mut self) -> &mut Filter {
        &mut self.filter
    }

    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Arc<Event>, RecvError>> {
        // A reader with a long backlog lets the other tasks of its thread run, as one of Tokio's own channels does.
        let turn = ready!(poll_proceed(cx));
        let received = match self.next_taken(Some(cx.waker())) {
            Next::Event(event) => Ok(event),
            Next::Lagged(lagged) => Err(RecvError::Lagged(lagged)),
            Next::Closed => Err(RecvError::Closed),
            Next::Empty => return Poll::Pending,
            Next::Unfinished => {
                turn.made_progress();
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        };
        turn.made_progress();
        Poll::Ready(received)
    }

    /// Looks for the next event; where there is none, the waker is registered under the same lock that said so, so that
    /// an event appended in between cannot be slept through.
    ///
    /// Without a waker it looks at all that is there.
    fn next_taken(&mut self, waker: Option<&Waker>) -> Next {
        let mut passed_over = 0;
        loop {
            while let Some(event) = self.taken.pop_front() {
                if self.filter.passes(&event) {
                    return Next::Event(event);
                }
                passed_over += 1;
            }
            if waker.is_some() && passed_over >= MAX_PASSED_OVER {
                return Next::Unfinished;
            }
            let mut log = self.shared.log.lock();
            if let Some(place) = &self.place {
                self.cursor = log.position_of(place, self.cursor);
                log.waiters().look(place);
            }
            match log.read(self.cursor, READ_BATCH, &mut self.taken) {
                Read::Taken(event) => {
                    drop(log);
                    self.cursor += 1 + self.taken.len() as u64;
                    if self.filter.passes(&event) {
                        return Next::Event(event);
                    }
                }
                Read::Missed(missing) => {
                    self.cursor = missing.end;
                    let lagged = Lagged { missing };
                    self.shared.count_missed(lagged.count());
                    return Next::Lagged(lagged);
                }
                Read::Closed => return Next::Closed,
                Read::Empty if self.is_over.as_ref().is_some_and(|over| over.load(Ordering::Relaxed)) => {
                    return Next::Closed;
                }
                Read::Empty => {
                    let waiters = log.waiters();
                    // It reads, so that it has no waker there.
                    let left = self.place.take_if(|_| self.filter.has_learned()).and_then(|old| waiters.leave(old));
                    let replaced = waker.and_then(|waker| {
                        let place = self.place.get_or_insert_with(|| waiters.join(self.filter.topics()));
                        waiters.wait(place, waker)
                    });
                    drop(log);
                    drop((left, replaced));
                    return Next::Empty;
                }
            }
        }
    }

    /// Leaves the place among the waiters: the reader is gone, or wants other events from now on.
    fn leave(&mut self) {
        if let Some(place) = self.place.take() {
            let mut log = self.shared.log.lock();
            self.cursor = log.position_of(&place, self.cursor);
            let replaced = log.waiters().leave(place);
            drop(log);
            drop(replaced);
        }
    }
}

impl Stream for Subscription {
    type Item = Result<Event, Lagged>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx).map(|received| match received {
            Ok(event) => Some(Ok(Arc::unwrap_or_clone(event))),
            Err(RecvError::Lagged(lagged)) => Some(Err(lagged)),
            Err(RecvError::Closed) => None,
        })
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Drop for EndOfRun {
    fn drop(&mut self) {
        let mut log = self.shared.log.lock();
        // Set with the lock held, under which a reader looks at it and goes to wait.
        self.is_over.store(true, Ordering::Relaxed);
        let woken = log.wake(&self.topics);
        drop(log);
        woken.settle();
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("offset", &self.offset())
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}
