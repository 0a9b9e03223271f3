//! A component that is running: whatever becomes of it, its end is reported exactly once.

use std::{error::Error, future::Future, sync::Arc};

use tokio::time::Instant;
use uuid::Uuid;

use super::{Run, current::Current, lineage::Lineage, with_sources};
use crate::{
    event::{Event, EventData, EventError, EventScope, EventType, Failure, FailureDetails, TraceContext},
    stream::{ComponentContext, Dispatcher, OpenFlag, Origin, WeakEventStream, monotonic_now},
};

/// The guard of a started component.
///
/// Consumed by [`complete`](Self::complete) or [`fail`](Self::fail); dropped, it reports Canceled, or Failed while the
/// thread is unwinding from a panic.
#[derive(Debug)]
pub(crate) struct Component {
    reporter: Reporter,
    /// Keeps the stream open until the end.
    run: Run,
    context: Option<Arc<dyn ComponentContext>>,
    trace: Option<TraceContext>,
    started: Instant,
}

/// The component's voice, which may outlive it, falls silent then, and keeps no stream open.
#[derive(Clone, Debug)]
pub(crate) struct Reporter(Arc<Voice>);

#[derive(Debug)]
struct Voice {
    stream: WeakEventStream,
    run: Arc<Lineage>,
    scope: EventScope,
    component_id: String,
    /// The id of the Started event, by which an end finds its start.
    start_id: Uuid,
    open: OpenFlag,
    /// The subscriber that saw the start and sees all that follows; none if no layer was shown it.
    dispatcher: Option<Dispatcher>,
    /// Whether a bridge looked at the start.
    seen: bool,
}

impl Component {
    /// Reports the start of a component.
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
        let lineage = run.lineage();
        let event = lineage.adopt(Event::unstamped(scope, EventType::Started, component_id.clone(), None, data));
        event.validate()?;
        let dispatcher = lineage.dispatcher.or_current();
        let emitted = dispatcher.enter(|| run.stream().emit(event, Origin::Start));
        let emitted = match emitted {
            Ok(emitted) => emitted,
            Err(refused) => {
                return Err(refused.outcome().expect_err("only what follows a start can come too late"));
            }
        };
        let voice = Voice {
            stream: run.stream().downgrade(),
            run: Arc::clone(lineage),
            scope,
            component_id,
            start_id: emitted.event.event_id,
            open: OpenFlag::new(),
            dispatcher: emitted.shown.then_some(dispatcher),
            seen: emitted.seen,
        };
        Ok(Self {
            reporter: Reporter(Arc::new(voice)),
            run: run.clone(),
            context: emitted.context,
            trace: emitted.event.trace,
            started: monotonic_now(),
        })
    }

    /// Polls the component's work inside its span.
    pub(crate) async fn run<F: Future>(&self, work: F) -> F::Output {
        let current = Current { run: Arc::clone(self.run.lineage()), context: self.context.clone() };
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
        u64::try_from(monotonic_now().saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX)
    }

    /// Reports a good end.
    pub(crate) fn complete(self, data: impl Into<EventData>) {
        self.reporter.append(EventType::Completed, None, data);
    }

    /// Reports a failure, with the error's sources and what else is known.
    pub(crate) fn fail(self, error: &dyn Error, code: &str, details: FailureDetails) {
        let failure = Failure { error_code: code.to_owned(), duration_ms: self.elapsed_ms(), details };
        self.reporter.append(EventType::Failed, Some(with_sources(error)), failure);
    }
}

impl Reporter {
    /// Reports progress; does nothing once the component has ended.
    pub(crate) fn progress(&self, message: Option<String>, data: impl Into<EventData>) {
        self.append(EventType::Progress, message, data);
    }

    fn append(&self, event_type: EventType, message: Option<String>, data: impl Into<EventData>) {
        let Voice { stream, run, scope, component_id, start_id, open, dispatcher, seen } = &*self.0;
        // Asked again when the event is numbered; what comes long after the end is not even built.
        if !open.is_open() {
            return;
        }
        let Some(stream) = stream.upgrade() else { return };
        let mut event = run.adopt(Event::unstamped(*scope, event_type, component_id.clone(), message, data));
        event.start_id = Some(*start_id);
        let origin = Origin::Guard { open, shown: dispatcher.is_some(), seen: *seen };
        let append = || drop(stream.emit(event, origin));
        match dispatcher {
            Some(dispatcher) => dispatcher.enter(append),
            None => append(),
        }
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
        self.reporter.append(event_type, Some(message.to_owned()), failure);
    }
}
