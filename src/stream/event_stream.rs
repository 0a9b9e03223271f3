//! The stream: one writer at a time, one log, many cursors.

use std::{
    collections::VecDeque,
    fmt, iter,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::StdRng};
use uuid::Uuid;

use super::{
    ComponentContext, Subscription,
    clock::Clock,
    emission::{self, Dispatched},
    log::{Aftermath, Bounds, Kept, Log, READ_BATCH, Read},
};
use crate::event::{Event, EventError, EventType, version_7};

/// How many events the subscribers of all streams of the process have missed, for a bridge that sees them all.
static MISSED_IN_PROCESS: AtomicU64 = AtomicU64::new(0);

/// An ordered log of events: appended to by any thread, read by any number of subscribers.
///
/// [`append`](Self::append) numbers each event, keeps it among the last [`DEFAULT_CAPACITY`](Self::DEFAULT_CAPACITY) ones
/// and returns at once: it never awaits, never spawns and never waits for a reader. The order of offsets, of the history, of
/// every subscriber and of every `tracing` layer is the order of the calls. A clone is another handle to the same stream;
/// when the last handle is gone, subscribers read what is left and then see that the stream is closed.
///
/// ```
/// use agent_runtime::prelude::*;
///
/// let stream = EventStream::new();
/// let mut reader = stream.subscribe();
/// let event = Event::tool_started("search:0", Some("run-1".to_owned()), None, json!({"tool_name": "search"}));
/// let appended = stream.append(event)?;
/// assert_eq!((appended.offset, stream.next_offset()), (Some(0), 1));
/// assert_eq!(reader.try_recv()?.component_id, "search:0");
/// // A reader that comes later starts wherever it wants.
/// assert_eq!(stream.subscribe_from(0).try_recv()?.offset, Some(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct EventStream {
    handle: Arc<Handle>,
}

/// How an [`EventStream`] is set up.
#[derive(Clone, Debug)]
#[must_use]
pub struct EventStreamBuilder {
    capacity: usize,
    capacity_bytes: usize,
    seed: Option<u64>,
    epoch: Option<DateTime<Utc>>,
}

/// What handles and subscribers share.
pub(super) struct Shared {
    /// Held for a whole append, tracing layers included, so that they see the events in order. A layer that itself
    /// appends does without: it would wait for its own thread, or for one whose layer waits for a stream of this thread.
    turn: Mutex<()>,
    /// Held to number an event and to push it, never while a layer runs; taken before `log`.
    writer: Mutex<Writer>,
    /// Held only to push or to read, so that a reader never waits for a layer.
    pub(super) log: Mutex<Log>,
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
    /// While an event is shown to layers: what layers append meanwhile, which is to follow it.
    followers: Option<Followers>,
}

#[derive(Default)]
struct Followers {
    events: Vec<Kept>,
    bytes: usize,
}

/// An appended event and the context that a layer gave for its component.
pub(crate) struct Emitted {
    pub(crate) event: Arc<Event>,
    pub(crate) context: Option<Arc<dyn ComponentContext>>,
}

impl EventStream {
    /// How many events a stream keeps by default.
    pub const DEFAULT_CAPACITY: usize = 16_384;

    /// How much memory the events that a stream keeps may take by default, in bytes: 64 MiB.
    pub const DEFAULT_CAPACITY_BYTES: usize = 64 * 1024 * 1024;

    /// How many events layers may append while they are shown one event; more are refused.
    pub const MAX_FOLLOWERS: usize = 1_024;

    /// How many bytes those may take in memory: 16 MiB.
    pub const MAX_FOLLOWERS_BYTES: usize = 16 * 1024 * 1024;

    /// Makes an empty stream with the defaults of [`EventStream::builder`].
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Sets up a stream.
    pub fn builder() -> EventStreamBuilder {
        EventStreamBuilder {
            capacity: Self::DEFAULT_CAPACITY,
            capacity_bytes: Self::DEFAULT_CAPACITY_BYTES,
            seed: None,
            epoch: None,
        }
    }

    /// Appends an event and hands it to every subscriber and `tracing` layer.
    ///
    /// Sets the event's offset and its timestamp; keeps its id, unless that is nil. Works on any thread, inside or
    /// outside of an async runtime. Called by a layer that is shown an event of this stream, it puts the new event right
    /// behind that one. What a layer appends while it is shown an event, to whichever stream, is not shown to layers.
    ///
    /// # Errors
    ///
    /// Nothing is emitted then.
    ///
    /// - What [`Event::validate`] returns.
    /// - [`EventError::TooManyFollowers`] if a layer appends more than [`MAX_FOLLOWERS`](Self::MAX_FOLLOWERS) events or
    ///   [`MAX_FOLLOWERS_BYTES`](Self::MAX_FOLLOWERS_BYTES) while it is shown one event.
    pub fn append(&self, event: Event) -> Result<Arc<Event>, EventError> {
        self.emit(event).map(|emitted| emitted.event)
    }

    /// Appends as [`append`](Self::append) does and also gives what a layer answered.
    pub(crate) fn emit(&self, event: Event) -> Result<Emitted, EventError> {
        event.validate()?;
        let shared = &*self.handle.shared;
        // In its place from here on, so that it is moved no more.
        let event = Kept::new(event);
        let (emitted, aftermath) = if emission::in_layer() {
            shared.put(event)?
        } else {
            let wanted = emission::is_wanted(&event.event);
            let _turn = shared.turn.lock();
            if wanted { shared.show_and_put(event) } else { shared.put(event)? }
        };
        aftermath.settle();
        Ok(emitted)
    }

    /// Subscribes to the events that come from now on.
    ///
    /// The subscription ends when the last handle of the stream is gone, and a [`Runtime`](crate::runtime::Runtime) is such a
    /// handle; one that ends with a run is returned by [`Runtime::start`](crate::runtime::Runtime::start).
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
    /// Starts at the oldest event kept if the offset is older than that, and has no gap. Emitters are not held up
    /// meanwhile: the events are taken in small portions, and copied when all are taken.
    #[expect(clippy::unused_async, reason = "the guide fixes the signature; the log itself never has to be awaited")]
    pub async fn get_events(&self, offset: u64) -> Vec<Event> {
        let log = &self.handle.shared.log;
        let end = log.lock().kept().end;
        let mut cursor = offset;
        let (mut taken, mut rest) = (Vec::new(), VecDeque::new());
        while cursor < end {
            let limit = usize::try_from(end - cursor).map_or(READ_BATCH, |left| left.min(READ_BATCH));
            let read = log.lock().read(cursor, limit, &mut rest);
            match read {
                Read::Taken(event) => {
                    cursor += 1 + rest.len() as u64;
                    taken.push(event);
                    taken.extend(rest.drain(..));
                }
                Read::Missed(range) => {
                    // Overwritten between two portions: what was taken before the gap is no longer kept either.
                    taken.clear();
                    cursor = range.end;
                }
                Read::Empty | Read::Closed => break,
            }
        }
        taken.into_iter().map(Arc::unwrap_or_clone).collect()
    }

    /// Draws an id from the stream's own source and clock, so that a seeded stream gives the same one again.
    pub(crate) fn new_id(&self) -> Uuid {
        let mut writer = self.handle.shared.writer.lock();
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
#[cfg(feature = "otel")]
pub(crate) fn lagged_events_in_process() -> u64 {
    MISSED_IN_PROCESS.load(Ordering::Relaxed)
}

impl EventStreamBuilder {
    /// Sets how many events are kept; at least 1. By default, [`DEFAULT_CAPACITY`](EventStream::DEFAULT_CAPACITY).
    pub fn with_capacity(mut self, events: usize) -> Self {
        self.capacity = events.max(1);
        self
    }

    /// Sets how much memory the events kept may take, in bytes. By default,
    /// [`DEFAULT_CAPACITY_BYTES`](EventStream::DEFAULT_CAPACITY_BYTES).
    ///
    /// The bound and that of [`with_capacity`](Self::with_capacity) both hold. An event counts with all its texts and with the
    /// JSON that its data may be read as; the newest one is kept whatever its size.
    pub const fn with_capacity_bytes(mut self, bytes: usize) -> Self {
        self.capacity_bytes = bytes;
        self
    }

    /// Makes the ids that the stream gives a function of `seed`, for tests. By default, the system's random source.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Starts the stream's clock at a given time, 1970 or later, for tests; it runs with Tokio's clock, which a test can
    /// pause. By default, the wall clock.
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
            followers: None,
        };
        let shared = Shared {
            turn: Mutex::new(()),
            writer: Mutex::new(writer),
            log: Mutex::new(Log::new(Bounds { events: self.capacity, bytes: self.capacity_bytes })),
            missed: AtomicU64::new(0),
        };
        EventStream { handle: Arc::new(Handle { shared: Arc::new(shared) }) }
    }
}

impl Shared {
    pub(super) fn count_missed(&self, events: u64) {
        self.missed.fetch_add(events, Ordering::Relaxed);
        MISSED_IN_PROCESS.fetch_add(events, Ordering::Relaxed);
    }

    /// Numbers the event and makes it visible, or has it follow the one that is being shown to layers.
    fn put(&self, mut kept: Kept) -> Result<(Emitted, Aftermath), EventError> {
        let mut writer = self.writer.lock();
        if let Some(followers) = &writer.followers {
            followers.check_room(&kept)?;
        }
        writer.stamp(Arc::make_mut(&mut kept.event));
        let event = Arc::clone(&kept.event);
        let aftermath = match &mut writer.followers {
            Some(followers) => {
                followers.bytes += kept.bytes;
                followers.events.push(kept);
                Aftermath::default()
            }
            None => self.publish([kept]),
        };
        Ok((Emitted { event, context: None }, aftermath))
    }

    /// Numbers the event, shows it to the layers and then makes it and its followers visible; by the holder of `turn`.
    fn show_and_put(&self, Kept { mut event, bytes }: Kept) -> (Emitted, Aftermath) {
        let mut writer = self.writer.lock();
        writer.stamp(Arc::make_mut(&mut event));
        writer.followers = Some(Followers::default());
        drop(writer);
        let Dispatched { event, context } = emission::dispatch(event);
        let kept = Kept { event: Arc::clone(&event), bytes };
        let mut writer = self.writer.lock();
        let followers = writer.followers.take().unwrap_or_default();
        // Still with the writer's lock, so that no later number gets in between.
        let aftermath = self.publish(iter::once(kept).chain(followers.events));
        (Emitted { event, context }, aftermath)
    }

    /// Makes events visible, in their order.
    fn publish(&self, events: impl IntoIterator<Item = Kept>) -> Aftermath {
        let mut aftermath = Aftermath::default();
        let mut log = self.log.lock();
        events.into_iter().for_each(|kept| log.push(kept, &mut aftermath));
        aftermath
    }
}

impl Followers {
    fn check_room(&self, kept: &Kept) -> Result<(), EventError> {
        // Ends may take as much again, so that what began while there was room also ends.
        let share = if kept.event.event_type.is_terminal() { 2 } else { 1 };
        let bounds = [
            (self.events.len() + 1, EventStream::MAX_FOLLOWERS, "events"),
            (self.bytes.saturating_add(kept.bytes), EventStream::MAX_FOLLOWERS_BYTES, "bytes"),
        ];
        let over = bounds.into_iter().find(|(wanted, limit, _)| *wanted > share * limit);
        over.map_or(Ok(()), |(_, limit, unit)| Err(EventError::TooManyFollowers { limit, unit }))
    }
}

impl Writer {
    /// Gives the event its place, time and, if it has none, id.
    fn stamp(&mut self, event: &mut Event) {
        event.timestamp = match event.event_type {
            EventType::Progress => self.clock.now(),
            EventType::Started | EventType::Completed | EventType::Failed | EventType::Canceled => {
                self.clock.now_near_wall()
            }
        };
        if event.event_id.is_nil() {
            event.event_id = self.draw_id(event.timestamp);
        }
        event.offset = Some(self.next_offset);
        self.next_offset += 1;
    }

    fn draw_id(&mut self, now: DateTime<Utc>) -> Uuid {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or_default();
        let mut random = [0; 10];
        self.ids.fill_bytes(&mut random);
        version_7(Duration::from_millis(millis), random)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let closed = self.shared.log.lock().close();
        closed.settle();
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
