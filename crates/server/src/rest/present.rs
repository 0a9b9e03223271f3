//! What has happened up to now, read within a bounded time.

use std::{sync::Arc, time::Duration};

use agent_runtime::event::{Event, EventFilter};
use tokio::time::{Instant, timeout_at};

use crate::{
    LostRange, Place,
    feed::{Delivery, Feed, FeedError, From},
    refusal::Refusal,
    request::StreamRequest,
    shared::Shared,
};

/// How long is read for one answer.
const READING_TIME: Duration = Duration::from_secs(5);

/// Reads a feed up to its present end.
pub(super) struct Present {
    feed: Feed,
    deadline: Instant,
    /// Whether the end was reached.
    pub(super) is_complete: bool,
    pub(super) gaps: Vec<LostRange>,
}

impl Present {
    /// The most gaps that are named in one answer, which ends there.
    const MAX_GAPS: usize = 64;

    pub(super) async fn new(shared: &Shared, from: From, filter: EventFilter) -> Result<Self, Refusal> {
        let feed = shared.feed(StreamRequest { from, filter, window: None }).await?;
        Ok(Self { feed, deadline: Instant::now() + READING_TIME, is_complete: false, gaps: Vec::new() })
    }

    pub(super) fn place(&self) -> Place {
        self.feed.place()
    }

    /// The next events; `None` at the end, or when the time is over.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<(Place, Arc<Event>)>>, Refusal> {
        while self.gaps.len() < Self::MAX_GAPS {
            match timeout_at(self.deadline, self.feed.next_of_present()).await {
                Ok(Ok(Some(Delivery::Events(events)))) => return Ok(Some(events)),
                Ok(Ok(Some(Delivery::Merged(place, events)))) => {
                    return Ok(Some(events.into_iter().map(|event| (place, event)).collect()));
                }
                Ok(Ok(Some(Delivery::Gap(gap)))) => self.gaps.push(gap),
                Ok(Ok(None) | Err(FeedError::Closed)) => {
                    self.is_complete = true;
                    return Ok(None);
                }
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => return Ok(None),
            }
        }
        Ok(None)
    }
}
