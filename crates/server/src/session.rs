//! One client's stream of messages: where it stands at once, events, heartbeats, an end.

use std::{collections::VecDeque, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, sleep_until},
};

use crate::{
    Place,
    feed::{Delivery, Feed, FeedError},
    message::{EndReason, Message},
};

/// A client that is connected.
#[derive(Debug)]
pub(crate) struct Session {
    feed: Feed,
    waiting: VecDeque<Message>,
    heartbeat: Duration,
    next_beat: Instant,
    shutdown: watch::Receiver<bool>,
    /// Where the client stands, as far as it was sent.
    place: Place,
    is_over: bool,
    /// Its place among the connections.
    _permit: OwnedSemaphorePermit,
}

enum Turn {
    Delivered(Result<Delivery, FeedError>),
    Beat,
    Shutdown,
}

impl Session {
    pub(crate) fn new(
        feed: Feed,
        heartbeat: Duration,
        shutdown: watch::Receiver<bool>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let place = feed.place();
        // At once, so that a disconnect before the first event loses nothing.
        let waiting = VecDeque::from([Message::Cursor { id: place }]);
        let next_beat = Instant::now() + heartbeat;
        Self { feed, waiting, heartbeat, next_beat, shutdown, place, is_over: false, _permit: permit }
    }

    /// Waits for the next message; `None` behind the end. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        if self.waiting.is_empty() && !self.is_over {
            let turn = tokio::select! {
                biased;
                _ = self.shutdown.wait_for(|has_begun| *has_begun) => Turn::Shutdown,
                delivered = self.feed.next() => Turn::Delivered(delivered),
                () = sleep_until(self.next_beat) => Turn::Beat,
            };
            match turn {
                Turn::Delivered(Ok(delivery)) => self.take(delivery),
                Turn::Delivered(Err(FeedError::Store(error))) => {
                    tracing::warn!(target: "agent_runtime::server", %error, "a client has to come back: the store cannot be read");
                    self.end(EndReason::StoreUnavailable);
                }
                Turn::Delivered(Err(FeedError::Closed | FeedError::Ahead { .. })) => self.end(EndReason::Closed),
                Turn::Beat => self.waiting.push_back(Message::Cursor { id: self.feed.place() }),
                Turn::Shutdown => self.end(EndReason::Shutdown),
            }
        }
        let message = self.waiting.pop_front()?;
        self.place = message.id();
        self.next_beat = Instant::now() + self.heartbeat;
        Some(message)
    }

    fn take(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Events(events) => {
                self.waiting.extend(events.into_iter().map(|(id, event)| Message::Event { id, event }));
            }
            Delivery::Merged(id, events) => self.waiting.push_back(Message::Events { id, events }),
            Delivery::Gap(gap) => self.waiting.push_back(Message::Gap { id: gap.resumes_at, gap }),
        }
    }

    fn end(&mut self, reason: EndReason) {
        self.is_over = true;
        self.waiting.push_back(Message::End { id: self.place, reason });
    }
}
