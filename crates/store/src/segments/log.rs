//! The chain as one handle knows it: read up to its end, and made longer.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use agent_runtime::store::{StoreError, StoredEvent};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::task::spawn_blocking;

use super::{
    checkpoint,
    format::{self, Extent, Header, damaged, name_of},
    index::Index,
    objects::{Created, Objects, Tag},
};

/// How many segments are read at once while a store is opened.
const AT_ONCE: usize = 16;

/// How many decoded segments a handle keeps.
const CACHED: usize = 16;

/// How many segments come between two checkpoints at the least.
const CHECKPOINT_EVERY: u64 = 256;

/// How often a store is read anew before it is said to be busy.
const MAX_ATTEMPTS: usize = 16;

/// The chain up to where it was read.
#[derive(Debug)]
pub(super) struct Log {
    objects: Objects,
    pub(super) index: Index,
    /// The last segment that is known to have been the end of the chain, as it was then.
    end: (u64, Tag),
    /// The segment that comes after the last checkpoint.
    checkpoint: u64,
}

/// Segments that were read lately.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<VecDeque<(u64, Arc<Vec<StoredEvent>>)>>);

impl Log {
    /// Reads a store up to its end, and makes it if there is none.
    pub(super) async fn open(objects: Objects) -> Result<Self, StoreError> {
        for _ in 0..MAX_ATTEMPTS {
            if objects.numbers("log").await?.is_empty() && objects.numbers("checkpoint").await?.is_empty() {
                // The first segment, which says nothing, so that there is always one before the one that comes next.
                let bytes = format::encode(&Index::default().header(), &[])?;
                match objects.create(&name_of(0), bytes).await? {
                    Created::Put(_) | Created::Taken => {}
                }
            }
            if let Some(log) = Self::read(&objects).await? {
                return Ok(log);
            }
        }
        Err(busy())
    }

    /// Reads a store up to its end; `None` if something that was there went while it was read.
    async fn read(objects: &Objects) -> Result<Option<Self>, StoreError> {
        let numbers = objects.numbers("log").await?;
        let Some(&last) = numbers.last() else { return Err(damaged("the folder log has no segment any more")) };
        let mut index = Index::default();
        let mut is_damaged = false;
        for number in objects.numbers("checkpoint").await?.into_iter().rev() {
            let Some((bytes, _)) = objects.get(&checkpoint::name_of(number)).await? else { return Ok(None) };
            match blocking(move || Ok(checkpoint::decode(&bytes, number))).await? {
                Some(found) => {
                    index = found;
                    break;
                }
                None => is_damaged = true,
            }
        }
        let checkpoint = index.next_segment;
        let wanted = checkpoint..last.saturating_add(1);
        if let Some(missing) = wanted.clone().find(|number| numbers.binary_search(number).is_err()) {
            let why = if is_damaged { ", and a checkpoint is not as it was written" } else { "" };
            // Retention may have taken it since the list was made.
            return match objects.numbers("log").await?.last() == Some(&last) {
                true => Err(damaged(&format!("{} is missing{why}", name_of(missing)))),
                false => Ok(None),
            };
        }
        if checkpoint > last.saturating_add(1) {
            return Err(damaged(&format!("{} is missing", name_of(checkpoint - 1))));
        }
        let mut segments = stream::iter(wanted).map(|number| fetch(objects, number)).buffered(AT_ONCE);
        let mut end = None;
        while let Some(found) = segments.try_next().await? {
            let Some((header, tag)) = found else { return Ok(None) };
            index.apply(&header);
            end = Some(tag);
        }
        drop(segments);
        let end = match end {
            Some(tag) => tag,
            None => match objects.head(&name_of(last)).await? {
                Some((tag, _)) => tag,
                None => return Ok(None),
            },
        };
        Ok(Some(Self { objects: objects.clone(), index, end: (last, end), checkpoint }))
    }

    /// Reads on up to the end of the chain.
    pub(super) async fn sync(&mut self) -> Result<(), StoreError> {
        for _ in 0..MAX_ATTEMPTS {
            let mut end = self.end.clone();
            while let Some((header, tag)) = fetch(&self.objects, self.index.next_segment).await? {
                end = (header.segment, tag);
                self.index.apply(&header);
            }
            if self.is_end_as_it_was().await? {
                self.end = end;
                return Ok(());
            }
            self.reload().await?;
        }
        Err(busy())
    }

    /// Makes the chain longer by the segment that comes next. Returns `false` if another was quicker.
    pub(super) async fn push(&mut self, header: Header, lines: Vec<u8>) -> Result<bool, StoreError> {
        let (header, bytes) = blocking(move || {
            let bytes = format::encode(&header, &lines)?;
            Ok((header, bytes))
        })
        .await?;
        let name = name_of(header.segment);
        let Created::Put(tag) = self.objects.create(&name, bytes).await? else { return Ok(false) };
        if !self.is_end_as_it_was().await? {
            // Retention has gone over this number: it was free only because what had it is deleted.
            self.objects.delete(&name).await?;
            self.reload().await?;
            return Ok(false);
        }
        self.index.apply(&header);
        self.end = (header.segment, tag);
        let since = self.index.next_segment.saturating_sub(self.checkpoint);
        if since >= CHECKPOINT_EVERY.max(self.index.extents.len() as u64 / 4) {
            // It only saves time; the next push tries again.
            self.put_checkpoint().await.ok();
        }
        Ok(true)
    }

    pub(super) async fn put_checkpoint(&mut self) -> Result<(), StoreError> {
        checkpoint::put(&self.objects, &self.index).await?;
        self.checkpoint = self.index.next_segment;
        Ok(())
    }

    /// Whether what was the end of the chain is still there: then nothing behind it was ever deleted.
    async fn is_end_as_it_was(&self) -> Result<bool, StoreError> {
        let (segment, tag) = &self.end;
        Ok(self.objects.head(&name_of(*segment)).await?.is_some_and(|(found, _)| found == *tag))
    }

    async fn reload(&mut self) -> Result<(), StoreError> {
        for _ in 0..MAX_ATTEMPTS {
            if let Some(log) = Self::read(&self.objects).await? {
                *self = log;
                return Ok(());
            }
        }
        Err(busy())
    }
}

/// The header of a segment; `None` if there is none yet.
async fn fetch(objects: &Objects, segment: u64) -> Result<Option<(Header, Tag)>, StoreError> {
    let Some((bytes, tag)) = objects.get(&name_of(segment)).await? else { return Ok(None) };
    Ok(Some((format::header_of(&bytes, segment)?, tag)))
}

impl Cache {
    /// The events of a segment; `None` if it is not there any more.
    pub(super) async fn events(
        &self,
        objects: &Objects,
        extent: Extent,
    ) -> Result<Option<Arc<Vec<StoredEvent>>>, StoreError> {
        let cached = || {
            let cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            cache.iter().find(|(segment, _)| *segment == extent.segment).map(|(_, events)| Arc::clone(events))
        };
        if let Some(events) = cached() {
            return Ok(Some(events));
        }
        let Some((bytes, _)) = objects.get(&name_of(extent.segment)).await? else { return Ok(None) };
        let events = Arc::new(blocking(move || format::events_of(&bytes, &extent)).await?);
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache.truncate(CACHED - 1);
        cache.push_front((extent.segment, Arc::clone(&events)));
        Ok(Some(events))
    }
}

pub(super) fn busy() -> StoreError {
    let source = "the store changed each time that it was looked at";
    StoreError::unavailable("others write too much at once; try again", source)
}

/// Work that a task should not be held up by.
pub(super) async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, StoreError> + Send + 'static,
) -> Result<R, StoreError> {
    spawn_blocking(work).await.map_err(|error| StoreError::unavailable("the work of the store was stopped", error))?
}
