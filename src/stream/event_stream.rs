//! The stream: one writer at a time, one log, many cursors.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Weak},
};

use chrono::{DateTime, Utc};
use rand::{SeedableRng as _, rngs::StdRng};
use uuid::Uuid;

use super::{
    Epoch, Subscription,
    clock::Clock,
    from_layers::{self, Origin, Refused},
    log::{Bounds, Log, READ_BATCH, Read},
    placement::{self, StreamId},
    shared::{Emitted, Shared},
    timeline::Timeline,
};
use crate::event::{Event, EventError};

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
    start_time: Option<DateTime<Utc>>,
}

/// A handle that does not keep the stream open.
#[derive(Clone, Debug)]
pub(crate) struct WeakEventStream(Weak<Handle>);

/// The strong end: its drop closes the stream.
struct Handle {
    shared: Arc<Shared>,
    epoch: Epoch,
}

impl EventStream {
    /// How many events a stream keeps by default.
    pub const DEFAULT_CAPACITY: usize = 16_384;

    /// How much memory the events that a stream keeps may take by default, in bytes: 64 MiB.
    pub const DEFAULT_CAPACITY_BYTES: usize = 64 * 1024 * 1024;

    /// How many events layers may append while they are shown one event; more are refused.
    pub const MAX_FOLLOWERS: usize = from_layers::MAX_FOLLOWERS;

    /// How many bytes those may take in memory: 16 MiB.
    pub const MAX_FOLLOWERS_BYTES: usize = from_layers::MAX_FOLLOWERS_BYTES;

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
            start_time: None,
        }
    }

    /// Appends an event and hands it to every subscriber and `tracing` layer.
    ///
    /// Sets the event's offset and its timestamp; keeps its id, unless that is nil. Within a run time never runs backwards; a
    /// run that starts after the wall clock was set back lies on the new time. Works on any thread, inside or outside an async
    /// runtime.
    ///
    /// An event that has an offset has been appended before, to this stream or to another, and was shown to layers then.
    /// It goes to the subscribers alone and keeps its [`trace`](Event::trace), so that no bridge counts it twice; on any
    /// other event `trace` has no effect.
    ///
    /// Appended inside a component of a run on this stream, an event that names no run is put into that one, and a component that it
    /// begins lies below that one. An event made by hand says what it is made to say and no more: nothing ends its component if
    /// the code does not, nothing that the code starts nests below it, and its component's place is a guess by the ids where
    /// it is appended outside every component. All of that comes by [`component`](crate::component).
    ///
    /// Called by a layer that is shown an event of this stream, it puts the new event right behind that one. What a layer
    /// appends while it is shown an event, to whichever stream, is not shown to layers, except for the end of a component
    /// whose start was.
    ///
    /// # Errors
    ///
    /// Nothing is emitted then.
    ///
    /// - What [`Event::validate`] returns.
    /// - [`EventError::TooManyFollowers`] if a layer appends more than [`MAX_FOLLOWERS`](Self::MAX_FOLLOWERS) events or
    ///   [`MAX_FOLLOWERS_BYTES`](Self::MAX_FOLLOWERS_BYTES) while it is shown one event.
    pub fn append(&self, mut event: Event) -> Result<Arc<Event>, EventError> {
        placement::put(StreamId(Arc::as_ptr(&self.handle).addr()), &mut event);
        event.validate()?;
        self.emit(event, Origin::Hand).map_or_else(Refused::outcome, |emitted| Ok(emitted.event))
    }

    /// Appends an event that a store has kept, so that it is shown again: as [`append`](Self::append), but the event also keeps
    /// its time, and it goes to the subscribers alone.
    ///
    /// For a stream of its own: among events that happen now, its times would run backwards.
    ///
    /// # Errors
    ///
    /// Those of [`append`](Self::append).
    pub fn append_stored(&self, event: Event) -> Result<Arc<Event>, EventError> {
        event.validate()?;
        self.emit(event, Origin::Store).map_or_else(Refused::outcome, |emitted| Ok(emitted.event))
    }

    /// Appends a valid event and also returns what a layer answered.
    pub(crate) fn emit(&self, event: Event, origin: Origin<'_>) -> Result<Emitted, Refused> {
        self.handle.shared.emit(event, origin)
    }

    /// A handle that does not keep the stream open.
    pub(crate) fn downgrade(&self) -> WeakEventStream {
        WeakEventStream(Arc::downgrade(&self.handle))
    }

    /// Subscribes to the events that come from now on.
    ///
    /// The subscription ends when every handle of the stream is gone, those of each `Runtime` and of runs that go on included.
    /// [`Runtime::start`](crate::runtime::Runtime::start) returns one that ends with its run.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        let cursor = self.next_offset();
        self.subscribe_from(cursor)
    }

    /// Subscribes from an offset on: first what is kept, then what comes, without a gap and without a duplicate.
    ///
    /// An offset that is no longer kept reads as [`Lagged`](super::Lagged) first; one that lies ahead waits for it.
    #[must_use]
    pub fn subscribe_from(&self, offset: u64) -> Subscription {
        Subscription::new(Arc::clone(&self.handle.shared), offset)
    }

    /// Returns the kept events from an offset on, up to those that were there when the call began.
    ///
    /// The offset is an integer of any type, a `usize` or the `u64` of [`Event::offset`]; a negative one counts as 0.
    /// Starts at the oldest event kept if the offset is older than that, and has no gap. Emitters are not held up
    /// meanwhile: the events are taken in small portions, and copied when all are taken.
    #[expect(clippy::unused_async, reason = "the guide fixes the signature; the log itself never has to be awaited")]
    pub async fn get_events(&self, offset: impl TryInto<u64>) -> Vec<Event> {
        self.kept_from(offset.try_into().unwrap_or(0))
    }

    fn kept_from(&self, offset: u64) -> Vec<Event> {
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

    /// Draws an id from the stream's own source and clock, so that a seeded stream draws the same one again.
    pub(crate) fn new_id(&self) -> Uuid {
        self.handle.shared.new_id()
    }

    /// What names this life of the stream, so that an offset means something after it: the next stream has another.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.handle.epoch
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
    /// A subscriber counts when it reads and gets [`Lagged`](super::Lagged).
    #[must_use]
    pub fn lagged_events(&self) -> u64 {
        self.handle.shared.missed()
    }

    /// How many events of this stream a `tracing` layer panicked at, so that the layers behind it may have missed them.
    ///
    /// The first one is reported in a `tracing` event. The layer of the telemetry goes first, where it misses nothing.
    #[must_use]
    pub fn layer_panics(&self) -> u64 {
        self.handle.shared.panics()
    }
}

impl WeakEventStream {
    /// Which stream it is.
    pub(crate) fn id(&self) -> StreamId {
        StreamId(self.0.as_ptr().addr())
    }

    /// The stream, unless it is closed.
    pub(crate) fn upgrade(&self) -> Option<EventStream> {
        self.0.upgrade().map(|handle| EventStream { handle })
    }
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

    /// Makes the ids that the stream draws a function of `seed`, for tests. By default, the system's random source.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Starts the stream's clock at a given time, 1970 or later, for tests; it runs with Tokio's clock, which a test can
    /// pause. By default, the wall clock.
    pub fn with_start_time(mut self, time: DateTime<Utc>) -> Self {
        self.start_time = Some(time);
        self
    }

    /// Makes the stream.
    #[must_use]
    pub fn build(self) -> EventStream {
        let clock = self.start_time.map_or_else(Clock::system, Clock::starting_at);
        let epoch = self.seed.map_or_else(Epoch::new, Epoch::of_seed);
        let ids = self.seed.map_or_else(rand::make_rng, StdRng::seed_from_u64);
        let log = Log::new(Bounds { events: self.capacity, bytes: self.capacity_bytes });
        let shared = Arc::new(Shared::new(Timeline::new(clock), ids, log));
        EventStream { handle: Arc::new(Handle { shared, epoch }) }
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
