//! How an event becomes part of a stream: numbered, shown to the layers, kept, and readers woken.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use rand::{Rng as _, rngs::StdRng};
use uuid::Uuid;

use super::{
    ComponentContext,
    emission::{self, Dispatched},
    from_layers::{self, Follower, Followers, Hidden, MAX_ENDS, Origin, Refused},
    log::{Aftermath, Kept, Log},
    timeline::Timeline,
};
use crate::event::{Event, EventType, version_7};

/// How many events the subscribers of all streams of the process have missed, for a bridge that sees them all.
static MISSED_IN_PROCESS: AtomicU64 = AtomicU64::new(0);

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
    panics: AtomicU64,
}

struct Writer {
    next_offset: u64,
    timeline: Timeline,
    ids: StdRng,
    /// While an event is shown to layers: what layers append meanwhile, which is to follow it.
    followers: Option<Followers>,
    hidden: Hidden,
}

/// An appended event and the context that a layer has for its component.
pub(crate) struct Emitted {
    pub(crate) event: Arc<Event>,
    pub(crate) context: Option<Arc<dyn ComponentContext>>,
    /// Whether it was shown to layers.
    pub(crate) shown: bool,
    /// Whether one of them looked at the native event.
    pub(crate) seen: bool,
}

impl Shared {
    pub(super) fn new(timeline: Timeline, ids: StdRng, log: Log) -> Self {
        let writer = Writer { next_offset: 0, timeline, ids, followers: None, hidden: Hidden::default() };
        Self {
            turn: Mutex::new(()),
            writer: Mutex::new(writer),
            log: Mutex::new(log),
            missed: AtomicU64::new(0),
            panics: AtomicU64::new(0),
        }
    }

    /// Appends a valid event.
    pub(super) fn emit(self: &Arc<Self>, mut event: Event, origin: Origin<'_>) -> Result<Emitted, Refused> {
        let is_forwarded = event.offset.is_some() || matches!(origin, Origin::Store);
        if !is_forwarded {
            event.trace = None;
        }
        // In its place from here on, so that it is moved no more.
        let event = Kept::new(event);
        if emission::in_layer() {
            return self.put_by_layer(event, origin);
        }
        if !is_forwarded && !origin.may_be_shown() {
            emission::count_unseen(&event.event);
        }
        let is_shown = !is_forwarded && origin.may_be_shown() && emission::is_wanted(&event.event);
        let turn = self.turn.lock();
        let put = if is_shown { self.show_and_put(event, origin) } else { self.put(event, origin) };
        drop(turn);
        let (emitted, aftermath) = put?;
        aftermath.settle();
        emission::do_what_is_left();
        from_layers::show_ends();
        Ok(emitted)
    }

    pub(super) fn new_id(&self) -> Uuid {
        let mut writer = self.writer.lock();
        let now = writer.timeline.now();
        writer.draw_id(now)
    }

    pub(super) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    pub(super) fn count_missed(&self, events: u64) {
        self.missed.fetch_add(events, Ordering::Relaxed);
        MISSED_IN_PROCESS.fetch_add(events, Ordering::Relaxed);
    }

    pub(super) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// Numbers the event and makes it visible.
    fn put(&self, kept: Kept, origin: Origin<'_>) -> Result<(Emitted, Aftermath), Refused> {
        let mut writer = self.writer.lock();
        if !origin.claim(kept.event.event_type) {
            return Err(Refused::TooLate(kept.event));
        }
        Ok(self.put_unseen(&mut writer, kept, origin))
    }

    fn put_unseen(&self, writer: &mut Writer, mut kept: Kept, origin: Origin<'_>) -> (Emitted, Aftermath) {
        writer.stamp(Arc::make_mut(&mut kept.event), origin, &self.log);
        let event = Arc::clone(&kept.event);
        (Emitted { event, context: None, shown: false, seen: false }, self.publish([kept]))
    }

    /// Numbers an event that a layer appends and makes it visible, or has it follow the one that is being shown to layers.
    fn put_by_layer(self: &Arc<Self>, mut kept: Kept, origin: Origin<'_>) -> Result<Emitted, Refused> {
        let mut writer = self.writer.lock();
        if let Some(followers) = &writer.followers {
            followers.check_room(&kept)?;
        }
        if !origin.claim(kept.event.event_type) {
            return Err(Refused::TooLate(kept.event));
        }
        let ends_shown = writer.ends_shown(&kept.event, origin);
        writer.stamp(Arc::make_mut(&mut kept.event), origin, &self.log);
        let event = Arc::clone(&kept.event);
        let aftermath = match &mut writer.followers {
            Some(followers) => {
                followers.push(kept, ends_shown);
                Aftermath::default()
            }
            None => {
                if ends_shown {
                    let (shared, end) = (Arc::clone(self), Arc::clone(&event));
                    from_layers::show_later(move || shared.show_end(end));
                }
                self.publish([kept])
            }
        };
        drop(writer);
        aftermath.settle();
        Ok(Emitted { event, context: None, shown: false, seen: false })
    }

    /// Numbers the event, shows it to the layers and then makes it and its followers visible; by the holder of `turn`.
    fn show_and_put(&self, kept: Kept, origin: Origin<'_>) -> Result<(Emitted, Aftermath), Refused> {
        let mut writer = self.writer.lock();
        if !origin.claim(kept.event.event_type) {
            return Err(Refused::TooLate(kept.event));
        }
        if matches!(origin, Origin::Hand) && writer.hidden.has(&kept.event) {
            return Ok(self.put_unseen(&mut writer, kept, origin));
        }
        let Kept { mut event, bytes } = kept;
        writer.stamp(Arc::make_mut(&mut event), origin, &self.log);
        writer.followers = Some(Followers::default());
        drop(writer);
        let Dispatched { event, context, is_seen, .. } = self.show(event, origin.start_is_unseen());
        let aftermath = self.put_followers(Some(Kept { event: Arc::clone(&event), bytes }));
        Ok((Emitted { event, context, shown: true, seen: is_seen }, aftermath))
    }

    /// Shows the layers the end of a component that one of them appended when no event of this stream was being shown.
    fn show_end(&self, end: Arc<Event>) {
        let turn = self.turn.lock();
        self.writer.lock().followers = Some(Followers::default());
        self.show(end, false);
        let aftermath = self.put_followers(None);
        drop(turn);
        aftermath.settle();
        emission::do_what_is_left();
    }

    fn show(&self, event: Arc<Event>, start_is_unseen: bool) -> Dispatched {
        let dispatched = emission::dispatch(event, start_is_unseen);
        if dispatched.panicked && self.panics.fetch_add(1, Ordering::Relaxed) == 0 {
            emission::report_panic();
        }
        dispatched
    }

    /// Makes an event visible, and behind it what layers appended meanwhile, once the ends among that are shown.
    fn put_followers(&self, shown: Option<Kept>) -> Aftermath {
        let (mut behind, mut ends) = (Vec::new(), 0);
        loop {
            let mut writer = self.writer.lock();
            let followers = writer.followers.as_mut().map(Followers::take).unwrap_or_default();
            if followers.is_empty() {
                writer.followers = None;
                // Still with the writer's lock, so that no later number gets in between.
                return self.publish(shown.into_iter().chain(behind));
            }
            drop(writer);
            for Follower { kept: Kept { event, bytes }, ends_shown } in followers {
                let is_shown = ends_shown && ends < MAX_ENDS;
                ends += usize::from(is_shown);
                let event = if is_shown { self.show(event, false).event } else { event };
                behind.push(Kept { event, bytes });
            }
        }
    }

    /// Makes events visible, in their order.
    fn publish(&self, events: impl IntoIterator<Item = Kept>) -> Aftermath {
        let mut aftermath = Aftermath::default();
        let mut log = self.log.lock();
        events.into_iter().for_each(|kept| log.push(kept, &mut aftermath));
        aftermath
    }
}

impl Writer {
    /// Sets the event's place, its time, unless it is a stored one's, and, if it has none, its id.
    fn stamp(&mut self, event: &mut Event, origin: Origin<'_>, log: &Mutex<Log>) {
        if !matches!(origin, Origin::Store) {
            event.timestamp = self.timeline.time_of(event, log);
        }
        if event.event_id.is_nil() {
            event.event_id = self.draw_id(event.timestamp);
        }
        event.offset = Some(self.next_offset);
        self.next_offset += 1;
    }

    /// Whether an event that a layer appends is the end of a component whose start was shown.
    fn ends_shown(&mut self, event: &Event, origin: Origin<'_>) -> bool {
        if event.offset.is_some() {
            return false;
        }
        let is_by_hand = matches!(origin, Origin::Hand);
        if is_by_hand && event.event_type == EventType::Started {
            self.hidden.add(event);
        }
        let is_hidden = !origin.may_be_shown() || is_by_hand && self.hidden.has(event);
        from_layers::is_end(event) && !is_hidden
    }

    fn draw_id(&mut self, now: DateTime<Utc>) -> Uuid {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or_default();
        let mut random = [0; 10];
        self.ids.fill_bytes(&mut random);
        version_7(Duration::from_millis(millis), random)
    }
}

/// What [`EventStream::lagged_events`](super::EventStream::lagged_events) says, over all streams of the process, those that
/// are gone included.
#[cfg(feature = "otel")]
pub(crate) fn lagged_events_in_process() -> u64 {
    MISSED_IN_PROCESS.load(Ordering::Relaxed)
}
