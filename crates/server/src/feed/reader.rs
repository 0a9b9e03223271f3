//! The live part of a feed: a subscription, merging or not.

use std::{mem, sync::Arc};

use agent_runtime::{
    event::Event,
    stream::{BatchWindow, Batched, Epoch, RecvError, Subscription, TryRecvError},
};

use super::Delivery;
use crate::Place;

/// How many events are taken at once.
const MAX_TAKEN: usize = 32;

/// A subscription, and what was taken from it and not handed out.
#[derive(Debug)]
pub(super) struct Reader {
    epoch: Epoch,
    events: Events,
    /// Why no more could be taken with the last events.
    pending: Option<RecvError>,
}

#[derive(Debug)]
enum Events {
    Plain(Subscription),
    Merged { events: Batched, group: Vec<Arc<Event>> },
}

impl Reader {
    pub(super) fn new(epoch: Epoch, subscription: Subscription, window: Option<BatchWindow>) -> Self {
        let events = match window {
            None => Events::Plain(subscription),
            Some(window) => Events::Merged { events: subscription.batched(window), group: Vec::new() },
        };
        Self { epoch, events, pending: None }
    }

    /// Behind what was handed out, and behind what did not pass in front of what comes next.
    pub(super) fn place(&self) -> Place {
        let next = match &self.events {
            Events::Plain(events) => events.offset(),
            Events::Merged { events, .. } => events.offset(),
        };
        Place::before(self.epoch, next)
    }

    /// Waits for the next events. Cancel safe: what was taken is kept for the next call.
    pub(super) async fn next(&mut self) -> Result<Delivery, RecvError> {
        if let Some(error) = self.pending.take() {
            return Err(error);
        }
        match &mut self.events {
            Events::Plain(events) => {
                let first = events.recv_shared().await?;
                Ok(self.with_more(Some(first)))
            }
            Events::Merged { events, group } => loop {
                let event = Arc::new(events.recv().await?);
                group.push(event);
                let covered = group.iter().map(|event| last_offset(event)).max().unwrap_or_default();
                // What is still waiting stands for offsets in between.
                if events.offset() > covered {
                    return Ok(Delivery::Merged(Place::before(self.epoch, covered + 1), mem::take(group)));
                }
            },
        }
    }

    /// The events that are there now; `None` if there are none. Merging has to wait and brings nothing here.
    pub(super) fn try_next(&mut self) -> Result<Option<Delivery>, RecvError> {
        if let Some(error) = self.pending.take() {
            return Err(error);
        }
        match self.with_more(None) {
            Delivery::Events(events) if events.is_empty() => self.pending.take().map_or(Ok(None), Err),
            delivery => Ok(Some(delivery)),
        }
    }

    fn with_more(&mut self, first: Option<Arc<Event>>) -> Delivery {
        let Events::Plain(events) = &mut self.events else { return Delivery::Events(Vec::new()) };
        let mut taken: Vec<_> = first.into_iter().collect();
        while taken.len() < MAX_TAKEN {
            match events.try_recv_shared() {
                Ok(event) => taken.push(event),
                Err(TryRecvError::Lagged(lagged)) => {
                    self.pending = Some(RecvError::Lagged(lagged));
                    break;
                }
                // It is seen again.
                Err(_) => break,
            }
        }
        let place = |event: &Arc<Event>| Place::before(self.epoch, last_offset(event) + 1);
        Delivery::Events(taken.into_iter().map(|event| (place(&event), event)).collect())
    }
}

/// The offset of an event, or of the last that it stands for.
fn last_offset(event: &Event) -> u64 {
    event.data.merged().map(|merged| merged.last_offset).or(event.offset).unwrap_or_default()
}
