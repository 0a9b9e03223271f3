//! Stored events shown again, at their own pace or another.

use std::{pin::pin, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use futures_util::future::{Either, select};
use tokio::{
    sync::watch,
    task::yield_now,
    time::{Instant, sleep},
};

use super::{Cursor, EventStore, Query, StoreError, StoredEvent};
use crate::{event::Event, stream::EventStream};

/// How many events are read at once.
const PAGE_SIZE: usize = 256;

/// Shows what a store holds, up to its end, once more: to a function, such as one that draws or one that makes spans, or to the
/// subscribers of a stream.
///
/// Events keep their ids and times. By default all are shown, as fast as they can be read.
///
/// ```
/// use std::sync::Arc;
///
/// use agent_runtime::{prelude::*, store::{MemoryStore, Recorder, Replay}, view::Tree};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let store = Arc::new(MemoryStore::new());
/// let runtime = Runtime::new();
/// let recorder = Recorder::builder(store.clone()).start(runtime.event_stream()).await?;
/// runtime.execute(&Workflow::new("empty").build(), "input").await?;
/// assert!(recorder.flush().await);
///
/// let mut events = Vec::new();
/// Replay::of(store).run(|stored| events.push(Arc::unwrap_or_clone(stored.event))).await?;
/// let again = Tree::of(&events).to_string();
/// assert_eq!(again, Tree::of(&runtime.event_stream().get_events(0).await).to_string());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct Replay {
    store: Arc<dyn EventStore>,
    from: Cursor,
    query: Query,
    longest_pause: Duration,
    control: ReplayControl,
}

/// Changes a replay while it runs.
#[derive(Clone, Debug)]
pub struct ReplayControl {
    pace: watch::Sender<Pace>,
}

/// How much faster than they happened events are shown.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Speed(f64);

/// What a replay has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplayReport {
    /// How many events.
    pub events: u64,
    /// Where another replay has to begin to go on.
    pub cursor: Cursor,
}

#[derive(Clone, Copy, Debug)]
struct Pace {
    speed: Speed,
    is_paused: bool,
}

/// Waits between the events.
struct Pacer {
    pace: watch::Receiver<Pace>,
    longest_pause: Duration,
    last: Option<DateTime<Utc>>,
}

impl Replay {
    /// Replays what a store holds.
    pub fn of(store: Arc<dyn EventStore>) -> Self {
        let pace = watch::Sender::new(Pace { speed: Speed::UNLIMITED, is_paused: false });
        Self {
            store,
            from: Cursor::Beginning,
            query: Query::default(),
            longest_pause: Duration::MAX,
            control: ReplayControl { pace },
        }
    }

    /// Sets where it begins. By default, with the oldest event.
    pub const fn with_from(mut self, from: Cursor) -> Self {
        self.from = from;
        self
    }

    /// Sets which events are shown. By default, all.
    pub fn with_query(mut self, query: Query) -> Self {
        self.query = query;
        self
    }

    /// Sets how fast. By default, [`Speed::UNLIMITED`].
    pub fn with_speed(self, speed: Speed) -> Self {
        self.control.set_speed(speed);
        self
    }

    /// Sets how long a pause between two events may be, in their own time, so that nobody waits for a night between two runs.
    /// By default, as long as it was.
    pub const fn with_longest_pause(mut self, pause: Duration) -> Self {
        self.longest_pause = pause;
        self
    }

    /// What pauses it and changes its speed while it runs.
    #[must_use]
    pub fn control(&self) -> ReplayControl {
        self.control.clone()
    }

    /// Calls a function with each event, in the store's order.
    ///
    /// With [`SpanMapper::observe`](https://docs.rs/agent-runtime-otel/latest/agent_runtime/otel/struct.SpanMapper.html) the
    /// events become the same spans again, to the id.
    ///
    /// # Errors
    ///
    /// Those of [`EventStore::read`].
    ///
    /// # Cancel safety
    ///
    /// When it is dropped, it has shown each event up to some place once.
    pub async fn run(self, mut show: impl FnMut(StoredEvent)) -> Result<ReplayReport, StoreError> {
        let mut pacer = Pacer { pace: self.control.pace.subscribe(), longest_pause: self.longest_pause, last: None };
        let mut report = ReplayReport { events: 0, cursor: self.from };
        loop {
            let page = self.store.read(report.cursor, &self.query, PAGE_SIZE).await?;
            for stored in page.events {
                pacer.wait_for(&stored.event).await;
                report.events += 1;
                show(stored);
            }
            report.cursor = page.next;
            if page.is_last {
                return Ok(report);
            }
            yield_now().await;
        }
    }

    /// Appends each event to a stream, whose subscribers then see it as if it happened, with the times that it had; layers do
    /// not see it.
    ///
    /// Take a stream of its own for it. Its offsets are its own: a gap in what is stored is none there.
    ///
    /// # Errors
    ///
    /// Those of [`EventStore::read`].
    pub async fn into_stream(self, stream: &EventStream) -> Result<ReplayReport, StoreError> {
        let mut is_damaged = None;
        let report = self
            .run(|stored| {
                let position = stored.position;
                if let Err(error) = stream.append_stored(Arc::unwrap_or_clone(stored.event)) {
                    is_damaged.get_or_insert((position, error));
                }
            })
            .await?;
        match is_damaged {
            None => Ok(report),
            Some((position, error)) => Err(StoreError::Damaged {
                what: format!("the event at {position} is not valid"),
                source: Some(error.into()),
            }),
        }
    }
}

impl ReplayControl {
    /// Shows nothing more until [`resume`](Self::resume).
    pub fn pause(&self) {
        self.pace.send_modify(|pace| pace.is_paused = true);
    }

    /// Goes on.
    pub fn resume(&self) {
        self.pace.send_modify(|pace| pace.is_paused = false);
    }

    /// Changes the speed, from now on.
    pub fn set_speed(&self, speed: Speed) {
        self.pace.send_modify(|pace| pace.speed = speed);
    }
}

impl Speed {
    /// As it happened.
    pub const ORIGINAL: Self = Self(1.0);

    /// Without any wait.
    pub const UNLIMITED: Self = Self(f64::INFINITY);

    /// The slowest: a thousandth of the original.
    pub const MIN: Self = Self(0.001);

    /// So many times as fast as it happened; at least [`MIN`](Self::MIN).
    #[must_use]
    pub const fn times(factor: f64) -> Self {
        // `max` also takes the place of what is not a number.
        Self(factor.max(Self::MIN.0))
    }
}

impl Pacer {
    async fn wait_for(&mut self, event: &Event) {
        let before = self.last.replace(event.timestamp);
        // Runs that were side by side may lie a little backwards.
        let gap = before.and_then(|before| (event.timestamp - before).to_std().ok()).unwrap_or_default();
        let mut left = gap.min(self.longest_pause);
        loop {
            let Pace { speed: Speed(speed), is_paused } = *self.pace.borrow_and_update();
            if is_paused {
                // The replay holds the sender.
                drop(self.pace.changed().await);
                continue;
            }
            let wait = Duration::try_from_secs_f64(left.as_secs_f64() / speed).unwrap_or(Duration::MAX);
            if wait.is_zero() {
                return;
            }
            let began = Instant::now();
            match select(pin!(sleep(wait)), pin!(self.pace.changed())).await {
                Either::Left(_) => return,
                Either::Right(_) => {
                    let shown = Duration::try_from_secs_f64(began.elapsed().as_secs_f64() * speed);
                    left = left.saturating_sub(shown.unwrap_or(Duration::MAX));
                }
            }
        }
    }
}
