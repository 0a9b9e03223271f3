//! A feed as its readers hold it.

use std::sync::Arc;

use agent_runtime::{
    event::{Event, EventFilter},
    store::Disclosure,
    stream::BatchWindow,
};

use super::{Delivery, FeedError, From, follow::StoreFeed, stream::StreamFeed};
use crate::{
    Place,
    source::{Origin, Source},
};

/// The events that one client wants, as they may be disclosed.
#[derive(Debug)]
pub(crate) struct Feed {
    kind: Kind,
    disclosure: Disclosure,
}

#[derive(Debug)]
enum Kind {
    Stream(Box<StreamFeed>),
    Store(Box<StoreFeed>),
}

impl Feed {
    pub(crate) async fn new(
        source: &Source,
        disclosure: Disclosure,
        from: From,
        filter: EventFilter,
        window: Option<BatchWindow>,
    ) -> Result<Self, FeedError> {
        let kind = match &source.origin {
            Origin::Stream { stream, store } => {
                Kind::Stream(Box::new(StreamFeed::new(stream, store.clone(), from, filter, window).await?))
            }
            Origin::Store(store) => {
                Kind::Store(Box::new(StoreFeed::new(Arc::clone(store), from, filter, window.is_some()).await?))
            }
        };
        Ok(Self { kind, disclosure })
    }

    /// Where a client has to begin to go on. It moves on also where nothing passes the filter.
    pub(crate) fn place(&self) -> Place {
        match &self.kind {
            Kind::Stream(feed) => feed.place(),
            Kind::Store(feed) => feed.place(),
        }
    }

    /// Waits for what comes next. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Delivery, FeedError> {
        let delivery = match &mut self.kind {
            Kind::Stream(feed) => feed.next().await?,
            Kind::Store(feed) => feed.next().await?,
        };
        Ok(self.admit(delivery))
    }

    /// What comes next of what has happened already; `None` at the end.
    pub(crate) async fn next_of_present(&mut self) -> Result<Option<Delivery>, FeedError> {
        let delivery = match &mut self.kind {
            Kind::Stream(feed) => feed.next_of_present().await?,
            Kind::Store(feed) => feed.next_of_present().await?,
        };
        Ok(delivery.map(|delivery| self.admit(delivery)))
    }

    fn admit(&self, delivery: Delivery) -> Delivery {
        let admit = |event: Arc<Event>| self.disclosure.admit(&event);
        match delivery {
            Delivery::Events(events) => {
                Delivery::Events(events.into_iter().map(|(place, event)| (place, admit(event))).collect())
            }
            Delivery::Merged(place, events) => Delivery::Merged(place, events.into_iter().map(admit).collect()),
            gap @ Delivery::Gap(_) => gap,
        }
    }
}
