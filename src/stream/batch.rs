//! Progress merged in time windows, for readers that redraw or send over a network.
//!
//! Two lanes, one order: progress is merged, every other event passes as it is, and whatever progress came before it is
//! delivered first. Text is joined and every update is kept, so nothing is lost.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::Stream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{Lagged, RecvError, Subscription};
use crate::event::{ComponentStatus, Event, EventData, EventFilter, EventScope, EventType, Merged};

/// How long progress is gathered before it is delivered as one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchWindow {
    /// For the chunks of a model's answer.
    pub llm: Duration,
    /// For the progress of every other component.
    pub tool: Duration,
}

/// A [`Subscription`] that merges progress; made by [`Subscription::batched`].
///
/// A merged event is the last one of its component's run of progress, with the texts joined in `message` and, for chunks,
/// in `data["chunk"]`; where the data held more than a chunk, `data["updates"]` lists the data of each. `data["merged"]`
/// says what it stands for, see [`Merged`]. It is a [`Stream`] too.
///
/// Waiting needs a Tokio runtime with its timer.
///
/// ```
/// use agent_runtime::prelude::*;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
/// let stream = EventStream::new();
/// let mut pieces = stream.subscribe().batched(BatchWindow::default());
/// for text in ["Half ", "past ", "nine"] {
///     stream.append(Event::llm_progress("clock:llm:0", Some(text.to_owned()), None, None, EventData::chunk(text)))?;
/// }
/// let merged = pieces.recv().await?;
/// assert_eq!(merged.data["chunk"], "Half past nine");
/// assert_eq!(merged.data.merged().map(|merged| merged.count), Some(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct Batched {
    subscription: Subscription,
    window: BatchWindow,
    gathered: Vec<Gathered>,
    count: usize,
    due: Option<Pin<Box<Sleep>>>,
    ready: VecDeque<Result<Event, RecvError>>,
}

/// The progress of one component since the last delivery.
#[derive(Debug)]
struct Gathered {
    last: Event,
    first_offset: u64,
    messages: Vec<String>,
    updates: Vec<EventData>,
}

impl BatchWindow {
    /// How long the chunks of a model's answer are gathered by default: 50 ms.
    pub const DEFAULT_LLM: Duration = Duration::from_millis(50);

    /// How long the progress of tools and of all other components is gathered by default: 100 ms.
    pub const DEFAULT_TOOL: Duration = Duration::from_millis(100);

    /// Sets one window for a model's chunks and one for all other progress.
    #[must_use]
    pub const fn new(llm: Duration, tool: Duration) -> Self {
        Self { llm, tool }
    }
}

impl Subscription {
    /// Merges progress that comes in quick succession, for readers that cannot use every token.
    ///
    /// A plain [`Duration`](std::time::Duration) sets both windows; [`BatchWindow::default`] has 50 ms for model
    /// chunks and 100 ms for tool progress.
    pub fn batched(self, window: impl Into<BatchWindow>) -> Batched {
        Batched::new(self, window.into())
    }
}

impl Batched {
    /// How many events are gathered at the most; then they are delivered before their window ends.
    pub const MAX_GATHERED_EVENTS: usize = 4_096;

    pub(super) const fn new(subscription: Subscription, window: BatchWindow) -> Self {
        Self { subscription, window, gathered: Vec::new(), count: 0, due: None, ready: VecDeque::new() }
    }

    /// Waits for the next event, merged or not.
    ///
    /// # Errors
    ///
    /// Those of [`Subscription::recv`]; what was gathered before is delivered first.
    ///
    /// # Panics
    ///
    /// If called outside a Tokio runtime with a timer.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was gathered is kept for the next call.
    pub async fn recv(&mut self) -> Result<Event, RecvError> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Filters as [`Subscription::filter`] does. For `StreamExt::filter`, which has the same name, call that by its path.
    pub fn filter(self, scope: EventScope) -> Self {
        self.narrowed(|events| events.filter(scope))
    }

    /// Filters as [`Subscription::filter_status`] does.
    pub fn filter_status(self, status: ComponentStatus) -> Self {
        self.narrowed(|events| events.filter_status(status))
    }

    /// Filters as [`Subscription::filter_type`] does.
    pub fn filter_type(self, event_type: EventType) -> Self {
        self.narrowed(|events| events.filter_type(event_type))
    }

    /// Filters as [`Subscription::filter_workflow`] does.
    pub fn filter_workflow(self, workflow_id: impl Into<String>) -> Self {
        self.narrowed(|events| events.filter_workflow(workflow_id))
    }

    /// Filters as [`Subscription::filter_run`] does.
    pub fn filter_run(self, workflow_id: impl Into<String>) -> Self {
        self.narrowed(|events| events.filter_run(workflow_id))
    }

    /// Filters as [`Subscription::filter_component`] does.
    pub fn filter_component(self, component_id: impl Into<String>) -> Self {
        self.narrowed(|events| events.filter_component(component_id))
    }

    /// Filters as [`Subscription::filter_by`] does.
    pub fn filter_by(self, filter: EventFilter) -> Self {
        self.narrowed(|events| events.filter_by(filter))
    }

    /// Filters what comes, and what has come and is not delivered yet.
    fn narrowed(mut self, filter: impl FnOnce(Subscription) -> Subscription) -> Self {
        self.subscription = filter(self.subscription);
        // A merged event has the ids, scope, type and status of each that it stands for.
        let filter = self.subscription.filter_mut();
        self.ready.retain(|next| next.as_ref().map_or(true, |event| filter.passes(event)));
        self.gathered.retain(|gathered| filter.passes(&gathered.last));
        self.count = self.gathered.iter().map(|gathered| gathered.updates.len()).sum();
        self
    }

    /// Where to subscribe again to miss nothing of what was not delivered yet.
    ///
    /// Not the offset of the event delivered last: merged events stand for offsets that interleave.
    #[must_use]
    pub fn offset(&self) -> u64 {
        let waiting = self.ready.iter().filter_map(|next| next.as_ref().ok());
        let waiting = waiting.filter_map(|event| event.data.merged().map(|m| m.first_offset).or(event.offset));
        let gathered = self.gathered.iter().map(|gathered| gathered.first_offset);
        waiting.chain(gathered).min().unwrap_or_else(|| self.subscription.offset())
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, RecvError>> {
        loop {
            if let Some(next) = self.ready.pop_front() {
                return Poll::Ready(next);
            }
            // The window ends even while events keep coming, so the clock is asked before the log. The timer would not
            // do: it may only move on when this task has yielded.
            if self.due.as_ref().is_some_and(|due| due.deadline() <= Instant::now()) {
                self.deliver();
                continue;
            }
            match self.subscription.poll_recv(cx) {
                Poll::Ready(Ok(event)) if event.event_type == EventType::Progress => {
                    self.gather(Arc::unwrap_or_clone(event));
                }
                Poll::Ready(other) => {
                    self.deliver();
                    self.ready.push_back(other.map(Arc::unwrap_or_clone));
                }
                Poll::Pending => match self.due.as_mut().map(|due| due.as_mut().poll(cx)) {
                    Some(Poll::Ready(())) => self.deliver(),
                    Some(Poll::Pending) | None => return Poll::Pending,
                },
            }
        }
    }

    fn gather(&mut self, event: Event) {
        let window = match event.scope {
            EventScope::LlmRequest => self.window.llm,
            EventScope::Workflow
            | EventScope::WorkflowStep
            | EventScope::Agent
            | EventScope::Tool
            | EventScope::System => self.window.tool,
        };
        // A window beyond the range of the clock never ends by itself.
        if let Some(due) = Instant::now().checked_add(window)
            && self.due.as_ref().is_none_or(|earlier| due < earlier.deadline())
        {
            self.due = Some(Box::pin(sleep_until(due)));
        }
        match self.gathered.iter_mut().find(|gathered| gathered.is_of(&event)) {
            Some(gathered) => gathered.add(event),
            None => self.gathered.push(Gathered::of(event)),
        }
        self.count += 1;
        if self.count == Self::MAX_GATHERED_EVENTS {
            self.deliver();
        }
    }

    fn deliver(&mut self) {
        self.due = None;
        self.count = 0;
        self.ready.extend(self.gathered.drain(..).map(|gathered| Ok(gathered.merge())));
    }
}

impl Gathered {
    fn of(event: Event) -> Self {
        let first_offset = event.offset.unwrap_or_default();
        let mut gathered = Self { last: event.clone(), first_offset, messages: Vec::new(), updates: Vec::new() };
        gathered.add(event);
        gathered
    }

    fn is_of(&self, event: &Event) -> bool {
        self.last.component_id == event.component_id
            && self.last.workflow_id == event.workflow_id
            && self.last.scope == event.scope
            && self.last.start_id == event.start_id
    }

    fn add(&mut self, event: Event) {
        self.messages.extend(event.message.clone());
        self.updates.push(event.data.clone());
        self.last = event;
    }

    fn merge(self) -> Event {
        if self.updates.len() == 1 {
            return self.last;
        }
        let count = self.updates.len() as u64;
        let merged = Merged::new(count, self.first_offset, self.last.offset.unwrap_or_default());
        let separator = if self.updates.iter().all(|update| update.chunk_text().is_some()) { "" } else { "\n" };
        let message = (!self.messages.is_empty()).then(|| self.messages.join(separator));
        Event { message, data: EventData::merge(self.updates, merged), ..self.last }
    }
}

impl Default for BatchWindow {
    /// [`DEFAULT_LLM`](Self::DEFAULT_LLM) and [`DEFAULT_TOOL`](Self::DEFAULT_TOOL).
    fn default() -> Self {
        Self { llm: Self::DEFAULT_LLM, tool: Self::DEFAULT_TOOL }
    }
}

impl From<Duration> for BatchWindow {
    /// One window for all progress.
    fn from(window: Duration) -> Self {
        Self { llm: window, tool: window }
    }
}

impl Stream for Batched {
    type Item = Result<Event, Lagged>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx).map(|received| match received {
            Ok(event) => Some(Ok(event)),
            Err(RecvError::Lagged(lagged)) => Some(Err(lagged)),
            Err(RecvError::Closed) => None,
        })
    }
}
