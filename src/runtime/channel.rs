//! A run's events in a channel.

use std::{
    future::{Future, poll_fn},
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use futures_util::Stream as _;
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::mpsc::{self, OwnedPermit, error::TrySendError},
};

use super::RunError;
use crate::{
    event::{Event, MissedEvents},
    stream::{EndOfRun, EventStream, Lagged, Subscription, TryRecvError},
};

/// The way of a run's events into a channel; it ends with the run, whoever still holds the run's stream.
///
/// A task moves the events. When the run is over, the run's own future moves what fits, so that it is there when the caller
/// goes on; the rest is the task's.
pub(super) struct Channel {
    end: EndOfRun,
    baton: Arc<Baton>,
}

/// Passes the pump between the task and the run, so that none holds a lock while a receiver is woken.
struct Baton(Mutex<State>);

enum State {
    /// Nobody works the pump; the task waits, once it has been polled.
    Free { pump: Box<Pump>, task: Option<Waker> },
    /// Somebody works the pump, and the other one may wait for it.
    Taken { waiting: Option<Waker> },
    /// All events are moved, or the receiver is gone.
    Done,
}

/// Moves events one by one.
struct Pump {
    events: Subscription,
    channel: mpsc::Sender<Event>,
    /// The next event, which found no room, and the room that is waited for.
    next: Option<(Event, Pin<Box<Reservation>>)>,
}

type Reservation = dyn Future<Output = Result<OwnedPermit<Event>, mpsc::error::SendError<()>>> + Send;

/// Makes a stream whose events are moved into a channel.
pub(super) fn stream_into(channel: mpsc::Sender<Event>) -> Result<(EventStream, Channel), RunError> {
    let tokio = Handle::try_current().map_err(|_| RunError::NoTokioRuntime)?;
    let stream = EventStream::new();
    let (events, end) = stream.subscribe().until_dropped();
    let pump = Box::new(Pump { events, channel, next: None });
    let baton = Arc::new(Baton(Mutex::new(State::Free { pump, task: None })));
    let task = Arc::clone(&baton);
    tokio.spawn(poll_fn(move |cx| task.poll_task(cx)));
    Ok((stream, Channel { end, baton }))
}

impl Channel {
    /// Moves what fits, now that the run is over.
    pub(super) async fn finish(self) {
        let Self { end, baton } = self;
        drop(end);
        if let Some((mut pump, task)) = poll_fn(|cx| baton.take(cx.waker())).await {
            let is_done = pump.move_what_fits();
            baton.give_back((!is_done).then_some(pump), None);
            if let Some(task) = task {
                task.wake();
            }
        }
    }
}

impl Baton {
    fn poll_task(&self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((mut pump, _)) = ready!(self.take(cx.waker())) else { return Poll::Ready(()) };
        let moved = pump.poll_move(cx);
        self.give_back(moved.is_pending().then_some(pump), Some(cx.waker().clone()));
        moved
    }

    /// Takes the pump, waiting for it if it is being worked; `None` if there is nothing to be moved any more.
    fn take(&self, waker: &Waker) -> Poll<Option<(Box<Pump>, Option<Waker>)>> {
        let mut state = self.0.lock();
        match mem::replace(&mut *state, State::Taken { waiting: None }) {
            State::Free { pump, task } => Poll::Ready(Some((pump, task))),
            State::Taken { waiting } => {
                *state = State::Taken { waiting: Some(waker.clone()) };
                drop(state);
                drop(waiting);
                Poll::Pending
            }
            State::Done => {
                *state = State::Done;
                Poll::Ready(None)
            }
        }
    }

    /// Puts the pump back, unless it is done, and wakes the one that waits for it.
    fn give_back(&self, pump: Option<Box<Pump>>, task: Option<Waker>) {
        let state = pump.map_or(State::Done, |pump| State::Free { pump, task });
        let before = mem::replace(&mut *self.0.lock(), state);
        if let State::Taken { waiting: Some(waiting) } = before {
            waiting.wake();
        }
    }
}

impl Pump {
    /// Moves events as they come and find room; ready when all are moved or the receiver is gone.
    fn poll_move(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some((_, room)) = &mut self.next {
                let Ok(permit) = ready!(room.as_mut().poll(cx)) else { return Poll::Ready(()) };
                if let Some((event, _)) = self.next.take() {
                    permit.send(event);
                }
            }
            let Some(event) = ready!(Pin::new(&mut self.events).poll_next(cx)) else { return Poll::Ready(()) };
            if self.send(event.unwrap_or_else(|lagged| gap(&lagged))).is_err() {
                return Poll::Ready(());
            }
        }
    }

    /// Moves what is there and finds room; returns whether that was all, or the receiver is gone.
    fn move_what_fits(&mut self) -> bool {
        loop {
            let event = match self.next.take() {
                Some((event, _)) => event,
                None => match self.events.try_recv() {
                    Ok(event) => event,
                    Err(TryRecvError::Lagged(lagged)) => gap(&lagged),
                    Err(TryRecvError::Empty) => return false,
                    Err(TryRecvError::Closed) => return true,
                },
            };
            if self.send(event).is_err() {
                return true;
            }
            if self.next.is_some() {
                return false;
            }
        }
    }

    /// Sends an event, or keeps it until there is room; fails if the receiver is gone.
    fn send(&mut self, event: Event) -> Result<(), ()> {
        match self.channel.try_send(event) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(event)) => {
                self.next = Some((event, Box::pin(self.channel.clone().reserve_owned())));
                Ok(())
            }
            Err(TrySendError::Closed(_)) => Err(()),
        }
    }
}

/// The event that stands for those that a slow receiver missed.
fn gap(lagged: &Lagged) -> Event {
    let data = MissedEvents::from(lagged.clone());
    Event::system_progress("system:event_stream", Some(lagged.to_string()), None, None, data)
}
