//! A component that is running: whatever becomes of it, its end is told exactly once.

use std::{cell::Cell, error::Error, future::Future, sync::Arc};

use parking_lot::ReentrantMutex;
use tokio::time::Instant;

use super::{Run, current::Current, with_sources};
use crate::{
    event::{Event, EventData, EventError, EventScope, EventType, Failure, FailureDetails, TraceContext},
    stream::ComponentContext,
};

/// The guard of a started component.
///
/// Consumed by [`complete`](Self::complete) or [`fail`](Self::fail); dropped, it says Canceled, or Failed while the thread
/// is unwinding from a panic.
#[derive(Debug)]
pub(crate) struct Component {
    reporter: Reporter,
    context: Option<Arc<dyn ComponentContext>>,
    trace: Option<TraceContext>,
    started: Instant,
}

/// The component's voice, which may outlive it and then falls silent.
#[derive(Clone, Debug)]
pub(crate) struct Reporter(Arc<Voice>);

#[derive(Debug)]
struct Voice {
    run: Run,
    scope: EventScope,
    component_id: String,
    /// Held while an event is appended, so that no progress can come after the end. Re-entrant, since a tracing layer
    /// may report from inside of an append.
    open: ReentrantMutex<Cell<bool>>,
}

impl Component {
    /// Tells the start of a component.
    pub(crate) fn start(
        run: &Run,
        scope: EventScope,
        component_id: impl Into<String>,
        data: impl Into<EventData>,
    ) -> Result<Self, EventError> {
        let component_id = component_id.into();
        let data = match run.conversation_id() {
            Some(id) => data.into().in_conversation(id),
            None => data.into(),
        };
        let event = Event::unstamped(scope, EventType::Started, component_id.clone(), None, data);
        let emitted = run.emit(event)?;
        let voice = Voice { run: run.clone(), scope, component_id, open: ReentrantMutex::new(Cell::new(true)) };
        Ok(Self {
            reporter: Reporter(Arc::new(voice)),
            context: emitted.context,
            trace: emitted.event.trace,
            started: Instant::now(),
        })
    }

    /// Polls the component's work inside of its span.
    pub(crate) async fn run<F: Future>(&self, work: F) -> F::Output {
        let current = Current { run: self.reporter.0.run.clone(), context: self.context.clone() };
        current.run(work).await
    }

    /// Reports progress.
    pub(crate) fn progress(&self, message: Option<String>, data: impl Into<EventData>) {
        self.reporter.progress(message, data);
    }

    /// A voice for others to report progress with.
    pub(crate) fn reporter(&self) -> Reporter {
        self.reporter.clone()
    }

    /// The headers that carry the component's trace into another process, and the caller's baggage if that is to go
    /// there, too; none without a bridge.
    pub(crate) fn headers(&self, with_baggage: bool) -> Vec<(String, String)> {
        let Some(context) = &self.context else { return Vec::new() };
        let baggage = with_baggage.then(|| context.baggage_header()).flatten();
        context.headers().into_iter().chain(baggage).collect()
    }

    /// The span that a bridge made of the component.
    pub(crate) const fn trace(&self) -> Option<TraceContext> {
        self.trace
    }

    /// Since the start, in milliseconds.
    pub(crate) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Tells a good end.
    pub(crate) fn complete(self, data: impl Into<EventData>) {
        self.reporter.end(EventType::Completed, None, data);
    }

    /// Tells a failure, with the error's sources and what else is known.
    pub(crate) fn fail(self, error: &dyn Error, code: &str, details: FailureDetails) {
        let failure = Failure { error_code: code.to_owned(), duration_ms: self.elapsed_ms(), details };
        self.reporter.end(EventType::Failed, Some(with_sources(error)), failure);
    }
}

impl Reporter {
    /// Reports progress; does nothing once the component has ended.
    pub(crate) fn progress(&self, message: Option<String>, data: impl Into<EventData>) {
        let open = self.0.open.lock();
        if open.get() {
            self.append(EventType::Progress, message, data);
        }
    }

    fn end(&self, event_type: EventType, message: Option<String>, data: impl Into<EventData>) {
        let open = self.0.open.lock();
        if open.replace(false) {
            self.append(event_type, message, data);
        }
    }

    fn append(&self, event_type: EventType, message: Option<String>, data: impl Into<EventData>) {
        let Voice { run, scope, component_id, .. } = &*self.0;
        let event = Event::unstamped(*scope, event_type, component_id.clone(), message, data);
        // Only a bad id is refused, and this id passed when the component started.
        drop(run.emit(event));
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        let (event_type, code, message) = if std::thread::panicking() {
            (EventType::Failed, "panic", "panicked")
        } else {
            (EventType::Canceled, "canceled", "dropped before its end")
        };
        let failure =
            Failure { error_code: code.to_owned(), duration_ms: self.elapsed_ms(), details: FailureDetails::default() };
        self.reporter.end(event_type, Some(message.to_owned()), failure);
    }
}
