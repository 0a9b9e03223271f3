//! What the tests of the stream share: events to append, ways to read, a witness layer, a watchdog.

use std::{
    collections::BTreeMap,
    fmt,
    panic::resume_unwind,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use agent_runtime::{
    prelude::*,
    stream::{Emission, TRACING_TARGET, TryRecvError},
    testing::dispatch,
};
use parking_lot::Mutex;
use tracing::{Level, Subscriber, dispatcher, field::Field};
use tracing_subscriber::{Layer, layer::Context};

/// How long work may take before it counts as stuck; far above what any of it needs.
const STUCK: Duration = Duration::from_secs(60);

/// An id that follows the rule of the scope.
pub(crate) const fn id_of(scope: EventScope) -> &'static str {
    match scope {
        EventScope::Workflow => "pipeline",
        EventScope::WorkflowStep => "pipeline:step:1",
        EventScope::Agent => "researcher",
        EventScope::LlmRequest => "researcher:llm:2",
        EventScope::Tool => "calculator:3",
        EventScope::System => "system:limiter",
        _ => panic!("a scope without an id in these tests"),
    }
}

/// An event of a scope and a type, with little in it.
pub(crate) fn event_of(scope: EventScope, event_type: EventType) -> Event {
    Event::new(scope, event_type, id_of(scope), None, json!({}))
}

/// Every scope with every type.
pub(crate) fn all_kinds() -> impl Iterator<Item = (EventScope, EventType)> {
    EventScope::ALL
        .iter()
        .copied()
        .flat_map(|scope| EventType::ALL.iter().copied().map(move |event_type| (scope, event_type)))
}

/// An event that carries a number.
pub(crate) fn numbered(number: u64) -> Event {
    Event::agent_progress("worker", None, None, None, json!({ "number": number }))
}

/// A streamed piece of an answer, as the runtime makes it.
pub(crate) fn chunk(request: &str, text: &str) -> Event {
    Event::llm_progress(request, Some(text.to_owned()), None, None, EventData::chunk(text))
}

/// Appends events that carry the numbers.
pub(crate) fn append_numbers(stream: &EventStream, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        stream.append(numbered(number)).expect("a numbered event is valid");
    }
}

/// The offsets of stored events.
pub(crate) fn offsets<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<u64> {
    events.into_iter().map(|event| event.offset.expect("a stored event has an offset")).collect()
}

/// All that waits in a subscription; a lag is a failure.
pub(crate) fn drain(subscription: &mut Subscription) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        match subscription.try_recv() {
            Ok(event) => events.push(event),
            Err(TryRecvError::Empty | TryRecvError::Closed) => return events,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The next `count` events; a lag is a failure.
pub(crate) async fn read(subscription: &mut Subscription, count: usize) -> Vec<Event> {
    let mut events = Vec::with_capacity(count);
    while events.len() < count {
        events.push(subscription.recv().await.expect("the reader keeps up"));
    }
    events
}

/// Runs work on a thread of its own and fails if it gets stuck, so that a deadlock is a failed test and not a hung one.
pub(crate) fn watched<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, result) = mpsc::channel();
    let worker = thread::spawn(move || done.send(work()).expect("the watcher waits"));
    match result.recv_timeout(STUCK) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("stuck"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            resume_unwind(worker.join().expect_err("the worker is gone without a result"))
        }
    }
}

/// The text of an error and of all its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Runs work on a thread that has a subscriber.
pub(crate) fn with_layers<R>(subscriber: impl Subscriber + Send + Sync + 'static, work: impl FnOnce() -> R) -> R {
    dispatcher::with_default(&dispatch(subscriber), work)
}

/// What a layer saw of one event.
#[derive(Clone, Debug)]
pub(crate) struct Sighting {
    pub(crate) level: Level,
    pub(crate) fields: BTreeMap<&'static str, String>,
    pub(crate) event: Event,
}

/// What happens when a [`Witness`] sees an event.
type Reaction = dyn Fn(&Emission) + Send + Sync;

/// A layer that writes down the native events it sees and then does what the test wants done.
#[derive(Clone)]
pub(crate) struct Witness {
    seen: Arc<Mutex<Vec<Sighting>>>,
    react: Arc<Reaction>,
}

impl Witness {
    pub(crate) fn new() -> Self {
        Self::reacting(|_| {})
    }

    pub(crate) fn reacting(react: impl Fn(&Emission) + Send + Sync + 'static) -> Self {
        Self { seen: Arc::default(), react: Arc::new(react) }
    }

    pub(crate) fn seen(&self) -> Vec<Sighting> {
        self.seen.lock().clone()
    }

    pub(crate) fn seen_events(&self) -> Vec<Event> {
        self.seen.lock().iter().map(|sighting| sighting.event.clone()).collect()
    }
}

impl<S: Subscriber> Layer<S> for Witness {
    fn on_event(&self, event: &tracing::Event<'_>, _ctx: Context<'_, S>) {
        if event.metadata().target() != TRACING_TARGET {
            return;
        }
        let mut fields = BTreeMap::new();
        event.record(&mut |field: &Field, value: &dyn fmt::Debug| {
            fields.insert(field.name(), format!("{value:?}"));
        });
        let level = *event.metadata().level();
        let shown = Emission::with_current(|emission| {
            self.seen.lock().push(Sighting { level, fields, event: emission.event().clone() });
            (self.react)(emission);
        });
        assert!(shown.is_some(), "an event of our target comes with the native one");
    }
}
