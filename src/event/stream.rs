//! The stream: one writer at a time, one log, many cursors.

use std::{
    cell::RefCell,
    collections::VecDeque,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Waker,
};

use chrono::{DateTime, Utc};
use parking_lot::{Mutex, ReentrantMutex};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use uuid::Uuid;

use super::{
    Event, EventError, EventType, SpanScope, Subscription,
    clock::Clock,
    emission,
    log::{Log, READ_BATCH, Read},
};

/// How many events a stream keeps by default.
pub const DEFAULT_CAPACITY: usize = 16_384;

/// How many events the subscribers of all streams of the process have missed, for a bridge that sees them all.
static MISSED_IN_PROCESS: AtomicU64 = AtomicU64::new(0);

/// An ordered log of events: appended to by any thread, read by any number of subscribers.
///
/// [`append`](Self::append) gives each event its offset, keeps it among the last [`DEFAULT_CAPACITY`] ones and returns
/// at once: it never awaits, never spawns and never waits for a reader. The order of offsets, of the history, of every
/// subscriber and of every `tracing` layer is the order of the calls. Cloning gives another handle to the same stream;
/// when the last handle is gone, subscribers read what is left and are then told that the stream is closed.
#[derive(Clone)]
pub struct EventStream {
    handle: Arc<Handle>,
}

/// How an [`EventStream`] is set up.
#[derive(Clone, Debug)]
#[must_use]
pub struct EventStreamBuilder {
    capacity: usize,
    seed: Option<u64>,
    epoch: Option<DateTime<Utc>>,
}

/// What handles and subscribers share.
pub(super) struct Shared {
    /// Held for a whole append, tracing layers included, so that they see the events in order. It is re-entrant since
    /// a layer may itself append; the cell inside is never borrowed while a layer runs.
    writer: ReentrantMutex<RefCell<Writer>>,
    /// Held only to push or to read, so that a reader never waits for a layer.
    pub(super) log: Mutex<Log>,
    next_reader: AtomicU64,
    missed: AtomicU64,
}

/// The strong end: its drop closes the stream.
struct Handle {
    shared: Arc<Shared>,
}

struct Writer {
    next_offset: u64,
    clock: Clock,
    ids: StdRng,
    dispatching: bool,
    deferred: Vec<Arc<Event>>,
}

/// An appended event and the context that a layer gave for its component.
pub(crate) struct Emitted {
    pub(crate) event: Arc<Event>,
    pub(crate) scope: Option<Arc<dyn SpanScope>>,
}

impl EventStream {
    /// Makes an empty stream with the defaults of [`EventStream::builder`].
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Sets up a stream.
    pub fn builder() -> EventStreamBuilder {
        EventStreamBuilder { capacity: DEFAULT_CAPACITY, seed: None, epoch: None }
    }

    /// Appends an event and hands it to every subscriber and `tracing` layer.
    ///
    /// Sets the event's offset and its timestamp; keeps its id. Works on any thread, inside or outside of an async
    /// runtime. Called by a layer for an event that is being appended, it puts the new event right behind that one and
    /// does not show it to the layers.
    ///
    /// # Errors
    ///
    /// What [`Event::validate`] returns; nothing is emitted then.
    pub fn append(&self, event: Event) -> Result<Arc<Event>, EventError> {
        self.emit(event).map(|emitted| emitted.event)
    }

    /// Appends as [`append`](Self::append) does and also gives what a layer answered.
    pub(crate) fn emit(&self, mut event: Event) -> Result<Emitted, EventError> {
        event.validate()?;
        let shared = &*self.handle.shared;
        let writer = shared.writer.lock();
        let nested = writer.borrow_mut().stamp(&mut event);
        if nested {
            let event = Arc::new(event);
            writer.borrow_mut().deferred.push(Arc::clone(&event));
            return Ok(Emitted { event, scope: None });
        }
        let emitted = if emission::is_wanted(event.event_type) {
            writer.borrow_mut().dispatching = true;
            let dispatched = emission::dispatch(event);
            Emitted { event: Arc::new(dispatched.event), scope: dispatched.scope }
        } else {
            Emitted { event: Arc::new(event), scope: None }
        };
        let deferred = writer.borrow_mut().end_dispatch();
        let sleepers = shared.publish(&emitted.event, deferred);
        drop(writer);
        sleepers.into_iter().for_each(Waker::wake);
        Ok(emitted)
    }

    /// Subscribes to the events that come from now on.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        let cursor = self.next_offset();
        self.subscribe_from(cursor)
    }

    /// Subscribes from an offset on: first what is kept, then what comes, without a gap and without a duplicate.
    ///
    /// An offset that is no longer kept gives [`Lagged`](super::Lagged) first; one that lies ahead waits for it.
    #[must_use]
    pub fn subscribe_from(&self, offset: u64) -> Subscription {
        Subscription::new(Arc::clone(&self.handle.shared), offset)
    }

    /// Gives the kept events from an offset on, up to those that were there when the call began.
    ///
    /// Starts at the oldest event kept if the offset is older than that. Emitters are not held up meanwhile: the events
    /// are taken in small portions.
    #[expect(clippy::unused_async, reason = "the guide fixes the signature; the log itself never has to be awaited")]
    pub async fn get_events(&self, offset: u64) -> Vec<Event> {
        let log = &self.handle.shared.log;
        let end = log.lock().kept().end;
        let mut cursor = offset;
        let mut portion = VecDeque::with_capacity(READ_BATCH);
        let mut events = Vec::new();
        while cursor < end {
            let limit = usize::try_from(end - cursor).map_or(READ_BATCH, |left| left.min(READ_BATCH));
            let read = log.lock().read(cursor, limit, &mut portion);
            match read {
                Read::Taken => {
                    cursor += portion.len() as u64;
                    events.extend(portion.drain(..).map(|event| (*event).clone()));
                }
                Read::Missed(range) => cursor = range.end,
                Read::Empty | Read::Closed => break,
            }
        }
        events
    }

    /// Draws an id from the stream's own source and clock, so that a seeded stream gives the same one again.
    pub(crate) fn new_id(&self) -> Uuid {
        let writer = self.handle.shared.writer.lock();
        let mut writer = writer.borrow_mut();
        let now = writer.clock.now();
        writer.draw_id(now)
    }

    /// The offset of the oldest event kept; equal to [`next_offset`](Self::next_offset) while there is none.
    #[must_use]
    pub fn first_offset(&self) -> u64 {
        self.handle.shared.log.lock().kept().start
    }

    /// The offset that the next event will get, which is also the number of events so far.
    #[must_use]
    pub fn next_offset(&self) -> u64 {
        self.handle.shared.log.lock().kept().end
    }

    /// How many events this stream's subscribers have missed so far, added up over all of them.
    ///
    /// A subscriber counts when it reads and is told so, see [`Lagged`](super::Lagged).
    #[must_use]
    pub fn lagged_events(&self) -> u64 {
        self.handle.shared.missed.load(Ordering::Relaxed)
    }
}

/// What [`EventStream::lagged_events`] says, over all streams of the process, those that are gone included.
pub(crate) fn lagged_events_in_process() -> u64 {
    MISSED_IN_PROCESS.load(Ordering::Relaxed)
}

impl EventStreamBuilder {
    /// Sets how many events are kept; at least 1. By default, [`DEFAULT_CAPACITY`].
    pub fn with_capacity(mut self, events: usize) -> Self {
        self.capacity = events.max(1);
        self
    }

    /// Makes the ids that the stream gives a function of `seed`, for tests. By default, the system's random source.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Starts the stream's clock at a given time, for tests; it runs with Tokio's clock, which a test can pause. By
    /// default, the wall clock.
    pub fn with_epoch(mut self, epoch: DateTime<Utc>) -> Self {
        self.epoch = Some(epoch);
        self
    }

    /// Makes the stream.
    #[must_use]
    pub fn build(self) -> EventStream {
        let writer = Writer {
            next_offset: 0,
            clock: self.epoch.map_or_else(Clock::system, Clock::starting_at),
            ids: self.seed.map_or_else(rand::make_rng, StdRng::seed_from_u64),
            dispatching: false,
            deferred: Vec::new(),
        };
        let shared = Shared {
            writer: ReentrantMutex::new(RefCell::new(writer)),
            log: Mutex::new(Log::new(self.capacity)),
            next_reader: AtomicU64::new(0),
            missed: AtomicU64::new(0),
        };
        EventStream { handle: Arc::new(Handle { shared: Arc::new(shared) }) }
    }
}

impl Shared {
    pub(super) fn new_reader(&self) -> u64 {
        self.next_reader.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn count_missed(&self, events: u64) {
        self.missed.fetch_add(events, Ordering::Relaxed);
        MISSED_IN_PROCESS.fetch_add(events, Ordering::Relaxed);
    }

    /// Makes the event and those that layers appended meanwhile visible; gives the readers to wake once no lock is held.
    fn publish(&self, event: &Arc<Event>, deferred: Vec<Arc<Event>>) -> Vec<Waker> {
        let mut log = self.log.lock();
        log.push(Arc::clone(event));
        for event in deferred {
            log.push(event);
        }
        log.take_sleepers()
    }
}

impl Writer {
    /// Gives the event its place, time and, if it has none, id. Returns whether a layer is being served.
    fn stamp(&mut self, event: &mut Event) -> bool {
        if event.event_type != EventType::Progress {
            self.clock.reanchor();
        }
        event.timestamp = self.clock.now();
        if event.event_id.is_nil() {
            event.event_id = self.draw_id(event.timestamp);
        }
        event.offset = Some(self.next_offset);
        self.next_offset += 1;
        self.dispatching
    }

    fn draw_id(&mut self, now: DateTime<Utc>) -> Uuid {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or_default();
        uuid::Builder::from_unix_timestamp_millis(millis, &self.ids.random()).into_uuid()
    }

    fn end_dispatch(&mut self) -> Vec<Arc<Event>> {
        self.dispatching = false;
        std::mem::take(&mut self.deferred)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut log = self.shared.log.lock();
        log.close();
        let sleepers = log.take_sleepers();
        drop(log);
        sleepers.into_iter().for_each(Waker::wake);
    }
}

impl Default for EventStream {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").field("kept", &self.handle.shared.log.lock().kept()).finish_non_exhaustive()
    }
}
