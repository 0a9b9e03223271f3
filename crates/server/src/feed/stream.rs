//! A stream, with a store behind it or not.

use std::{collections::VecDeque, sync::Arc};

use agent_runtime::{
    event::EventFilter,
    store::{EventStore, StoreError},
    stream::{BatchWindow, Epoch, EventStream, RecvError},
};

use super::{
    Delivery, FeedError, From,
    catch_up::{CatchUp, Caught},
    reader::Reader,
};
use crate::{LossReason, LostRange, Place};

/// Reads a stream; what that keeps no longer, and what lies in front of it, from a store.
#[derive(Debug)]
pub(super) struct StreamFeed {
    epoch: Epoch,
    store: Option<Arc<dyn EventStore>>,
    filter: EventFilter,
    reader: Reader,
    /// Read first, before the reader.
    catch_up: Option<CatchUp>,
    /// The lives of the stream between what is read and its own.
    earlier: VecDeque<Epoch>,
    /// Named first, before anything is read.
    lost: Option<LostRange>,
    is_merged: bool,
}

impl StreamFeed {
    pub(super) async fn new(
        stream: &EventStream,
        store: Option<Arc<dyn EventStore>>,
        from: From,
        filter: EventFilter,
        window: Option<BatchWindow>,
    ) -> Result<Self, FeedError> {
        let epoch = stream.epoch();
        let next = stream.next_offset();
        let offset = match from {
            From::Now => next,
            From::Place(place) => match place.next() {
                Some((of, offset)) if of == epoch && offset > next => {
                    return Err(FeedError::Ahead { next: Place::before(epoch, next) });
                }
                Some((of, offset)) if of == epoch => offset,
                _ => 0,
            },
        };
        let subscription = stream.subscribe_from(offset).filter_by(filter.clone());
        let reader = Reader::new(epoch, subscription, window);
        let mut feed = Self {
            epoch,
            store,
            filter,
            reader,
            catch_up: None,
            earlier: VecDeque::new(),
            lost: None,
            is_merged: window.is_some(),
        };
        if let From::Place(place) = from
            && let Some((of, offset)) = place.next().filter(|(of, _)| *of != epoch)
        {
            feed.begin_earlier(of, offset).await?;
        }
        Ok(feed)
    }

    /// Begins in an earlier life of the stream, if the store knows it.
    async fn begin_earlier(&mut self, of: Epoch, offset: u64) -> Result<(), StoreError> {
        let known = match &self.store {
            Some(store) => store.epochs().await?,
            None => Vec::new(),
        };
        let mut since = known.into_iter().map(|record| record.epoch).skip_while(|epoch| *epoch != of);
        if since.next().is_some() {
            self.earlier = since.take_while(|epoch| *epoch != self.epoch).collect();
            self.begin_catch_up(of, offset, None);
        } else {
            self.lost =
                Some(LostRange::from_offset(of, offset, LossReason::UnknownEpoch, Place::before(self.epoch, 0)));
        }
        Ok(())
    }

    fn begin_catch_up(&mut self, epoch: Epoch, offset: u64, until: Option<u64>) {
        self.catch_up = self.store.clone().map(|store| CatchUp::new(store, epoch, offset, until));
    }

    pub(super) fn place(&self) -> Place {
        match (&self.lost, &self.catch_up) {
            (Some(lost), _) => Place::before(lost.epoch, lost.first_offset),
            (None, Some(catch_up)) => catch_up.place(),
            (None, None) => self.reader.place(),
        }
    }

    pub(super) async fn next(&mut self) -> Result<Delivery, FeedError> {
        loop {
            if let Some(delivery) = self.before_live().await? {
                return Ok(delivery);
            }
            let received = self.reader.next().await;
            if let Some(delivery) = self.received(received.map(Some))? {
                return Ok(delivery);
            }
        }
    }

    /// The same without a wait for what has not happened yet.
    pub(super) async fn next_of_present(&mut self) -> Result<Option<Delivery>, FeedError> {
        loop {
            if let Some(delivery) = self.before_live().await? {
                return Ok(Some(delivery));
            }
            let received = self.reader.try_next();
            let is_end = matches!(received, Ok(None));
            match self.received(received) {
                Ok(None) if is_end => return Ok(None),
                Ok(None) => {}
                Err(FeedError::Closed) => return Ok(None),
                other => return other,
            }
        }
    }

    /// What comes before the stream itself is read.
    async fn before_live(&mut self) -> Result<Option<Delivery>, FeedError> {
        if let Some(lost) = self.lost.take() {
            return Ok(Some(Delivery::Gap(lost)));
        }
        while let Some(catch_up) = &mut self.catch_up {
            match catch_up.next(&self.filter).await? {
                Caught::Event(place, event) if self.is_merged => {
                    return Ok(Some(Delivery::Merged(place, vec![event])));
                }
                Caught::Event(place, event) => return Ok(Some(Delivery::Events(vec![(place, event)]))),
                Caught::Gap(lost) => return Ok(Some(Delivery::Gap(lost))),
                Caught::End => match self.earlier.pop_front() {
                    Some(epoch) => self.begin_catch_up(epoch, 0, None),
                    None => self.catch_up = None,
                },
            }
        }
        Ok(None)
    }

    /// What a look at the stream brought; `None` if it is to be looked at again.
    fn received(&mut self, received: Result<Option<Delivery>, RecvError>) -> Result<Option<Delivery>, FeedError> {
        match received {
            Ok(delivery) => Ok(delivery),
            Err(RecvError::Lagged(lagged)) if self.store.is_some() => {
                let missing = lagged.missing();
                self.begin_catch_up(self.epoch, missing.start, Some(missing.end));
                Ok(None)
            }
            Err(RecvError::Lagged(lagged)) => {
                Ok(Some(Delivery::Gap(LostRange::of(self.epoch, &lagged.missing(), LossReason::NotKept))))
            }
            Err(_) => Err(FeedError::Closed),
        }
    }
}
