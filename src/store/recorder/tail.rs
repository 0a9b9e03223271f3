//! The task of a recorder: takes what the stream has, stores it, and tries again until it is stored.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::future::{Either, select};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::report::RecorderReport;
use crate::{
    event::Event,
    store::{Batch, Disclosure, EventStore, GapReason, Retention, StoreError, backoff::Backoff},
    stream::{Epoch, RecvError, Subscription, TryRecvError},
};

/// How many events are stored at once at the most.
pub(super) const MAX_BATCH: usize = 1_024;

/// How many bytes the events stored at once may take in memory, about.
pub(super) const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;

/// How long passes at least between two times that retention is applied.
pub(super) const RETENTION_INTERVAL: Duration = Duration::from_secs(60);

/// How far a recorder is.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// What lies in front of this offset is stored or named as missing.
    pub(super) acknowledged: u64,
    pub(super) report: RecorderReport,
    pub(super) has_ended: bool,
}

/// What the task of a recorder has.
pub(super) struct Tail {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) epoch: Epoch,
    pub(super) subscription: Subscription,
    pub(super) disclosure: Disclosure,
    pub(super) retention: Retention,
    pub(super) linger: Duration,
    pub(super) stop: watch::Receiver<Option<u64>>,
    pub(super) progress: watch::Sender<Progress>,
}

/// What a look at the stream brought.
enum Gathered {
    Batch(Batch),
    /// The stream is closed, or read up to where the recorder was to stop.
    End,
}

impl Tail {
    pub(super) async fn run(mut self) {
        let outcome = self.record().await;
        self.progress.send_modify(|progress| {
            if let Err(error) = outcome {
                tracing::error!(target: "agent_runtime::store", %error, "the recorder has stopped: the store refused to take more");
                progress.report.failure = Some(Arc::new(error));
                progress.report.unstored = self.subscription.end_of_stream().saturating_sub(progress.acknowledged);
            }
            progress.has_ended = true;
        });
    }

    async fn record(&mut self) -> Result<(), StoreError> {
        let mut trimmed: Option<Instant> = None;
        while let Gathered::Batch(batch) = self.gather().await? {
            let is_full = batch.events().len() >= MAX_BATCH;
            self.append(&batch).await?;
            let is_due = trimmed.is_none_or(|last| last.elapsed() >= RETENTION_INTERVAL);
            if is_due && !self.retention.is_unbounded() {
                trimmed = Some(Instant::now());
                self.trim().await;
            }
            if !is_full && self.stop_at().is_none() {
                // Whoever stops it does not wait for the pause.
                select(pin!(sleep(self.linger)), pin!(self.stop.changed())).await;
            }
        }
        self.close().await
    }

    /// Waits for events and takes as many as there are, up to the bounds of a batch.
    async fn gather(&mut self) -> Result<Gathered, StoreError> {
        let mut batch = Batch::new(self.epoch);
        let mut bytes = 0;
        loop {
            if self.stop_at().is_some_and(|stop_at| self.subscription.offset() >= stop_at) {
                return Ok(if batch.is_empty() { Gathered::End } else { Gathered::Batch(batch) });
            }
            let received = match self.subscription.try_recv_shared() {
                Ok(event) => Ok(event),
                Err(TryRecvError::Lagged(lagged)) => Err(RecvError::Lagged(lagged)),
                Err(TryRecvError::Empty | TryRecvError::Closed) if !batch.is_empty() => {
                    return Ok(Gathered::Batch(batch));
                }
                Err(TryRecvError::Closed) => Err(RecvError::Closed),
                Err(TryRecvError::Empty) => match self.next().await {
                    Some(received) => received,
                    None => continue,
                },
            };
            let event = match received {
                Ok(event) => event,
                Err(RecvError::Lagged(lagged)) => {
                    batch.push_gap(lagged.missing(), GapReason::Overrun);
                    continue;
                }
                Err(RecvError::Closed) => return Ok(Gathered::End),
            };
            bytes += event.size();
            batch.push(self.disclosure.admit(&event))?;
            if batch.events().len() >= MAX_BATCH || bytes >= MAX_BATCH_BYTES {
                return Ok(Gathered::Batch(batch));
            }
        }
    }

    /// Waits for the next event; `None` if the recorder is to stop.
    async fn next(&mut self) -> Option<Result<Arc<Event>, RecvError>> {
        // Both may be dropped at any time: a subscription takes an event only by the poll that returns it.
        match select(pin!(self.subscription.recv_shared()), pin!(self.stop.changed())).await {
            Either::Left((received, _)) => Some(received),
            Either::Right((Ok(()), _)) => None,
            // Its handle is gone, which has said where to stop before.
            Either::Right((Err(_), waiting)) => Some(waiting.await),
        }
    }

    async fn append(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let mut backoff = Backoff::new();
        while let Err(error) = self.store.append(batch).await {
            self.wait_after(error, &mut backoff).await?;
        }
        let acknowledged = self.subscription.offset();
        self.progress.send_modify(|progress| {
            progress.acknowledged = acknowledged;
            progress.report.add(batch);
        });
        Ok(())
    }

    async fn close(&self) -> Result<(), StoreError> {
        let mut backoff = Backoff::new();
        while let Err(error) = self.store.close_epoch(self.epoch).await {
            self.wait_after(error, &mut backoff).await?;
        }
        Ok(())
    }

    /// Waits before the store is asked again, unless that cannot help.
    async fn wait_after(&self, error: StoreError, backoff: &mut Backoff) -> Result<(), StoreError> {
        if !error.is_retryable() {
            return Err(error);
        }
        if backoff.is_fresh() {
            tracing::warn!(target: "agent_runtime::store", %error, "events are not stored yet; trying again");
        }
        self.progress.send_modify(|progress| progress.report.retries += 1);
        backoff.pause().await;
        Ok(())
    }

    async fn trim(&self) {
        if let Err(error) = self.store.trim(&self.retention).await {
            tracing::warn!(target: "agent_runtime::store", %error, "old events could not be removed from the store");
        }
    }

    fn stop_at(&self) -> Option<u64> {
        *self.stop.borrow()
    }
}

impl RecorderReport {
    fn add(&mut self, batch: &Batch) {
        self.stored += batch.events().len() as u64;
        self.last = batch.last().or(self.last);
        for gap in batch.gaps() {
            self.missed += gap.offsets.end - gap.offsets.start;
            if self.gaps.len() < Self::MAX_GAPS {
                self.gaps.push(gap.clone());
            }
        }
    }
}
