//! Counts what becomes of spans and log events on their way out, since the SDK reports to nobody what it drops.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use opentelemetry_sdk::error::OTelSdkError;
use parking_lot::Mutex;

use super::{ExportFailure, remarks::Attempt, suppressed::Sent};

/// What became of the spans, or of the log events, of a process so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// Ended and sampled, so they should have arrived.
    pub ended: u64,
    /// Taken by the backend, as it said.
    pub exported: u64,
    /// Abandoned after the exporter's retries, or rejected by a backend that took others of the same request.
    pub failed: u64,
    /// Handed to an exporter that has not said yet what became of them; after a shutdown, it ran out of time.
    pub unanswered: u64,
    /// Found the queue full.
    pub dropped: u64,
}

impl Delivery {
    /// Those that are still in the queue or did not fit into it; after a shutdown, those that were not sent.
    #[must_use]
    pub const fn unsent(&self) -> u64 {
        self.ended.saturating_sub(self.exported + self.failed + self.unanswered)
    }

    /// Those that have not arrived, as far as is known.
    #[must_use]
    pub const fn missing(&self) -> u64 {
        self.ended.saturating_sub(self.exported)
    }
}

/// What became of the items of one signal.
#[derive(Debug, Default)]
pub(super) struct Counts {
    ended: AtomicU64,
    exported: AtomicU64,
    failed: AtomicU64,
    unanswered: AtomicU64,
    dropped: AtomicU64,
    pub(super) last_failure: LastFailure,
}

/// Why an export failed last, if one did. The SDK's shutdown reports only the exports that it makes itself, and of
/// metrics only that there was a failure.
#[derive(Debug, Default)]
pub(super) struct LastFailure(Mutex<Option<ExportFailure>>);

/// The room for items between a processor and its exporter.
///
/// The SDK drops what does not fit and reports to nobody how much it was, so what is on its way is counted here, and an
/// item for which there is no room does not get as far as the SDK's own queue, which is as large and so never full.
#[derive(Debug)]
pub(super) struct Queue {
    counts: Arc<Counts>,
    capacity: usize,
    waiting: AtomicUsize,
    address: Option<String>,
}

impl Queue {
    /// Makes room for a number of items on their way to an address, where that is known.
    pub(super) const fn new(capacity: usize, counts: Arc<Counts>, address: Option<String>) -> Self {
        Self { counts, capacity, waiting: AtomicUsize::new(0), address }
    }

    /// Takes up the room of one more item, if there is any.
    pub(super) fn enter(&self) -> bool {
        self.counts.ended.fetch_add(1, Ordering::Relaxed);
        let has_room = self.waiting.fetch_add(1, Ordering::Relaxed) < self.capacity;
        if !has_room {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
        has_room
    }

    /// Hands items to the exporter.
    pub(super) fn send(&self, items: usize) -> Sending<'_> {
        let sending = Sending { queue: self, items, is_sent: AtomicBool::new(false) };
        sending.attempt(Attempt::Begun, None);
        sending
    }
}

/// Items on their way to a backend; those of an export that panics stay so.
#[derive(Debug)]
pub(super) struct Sending<'a> {
    queue: &'a Queue,
    items: usize,
    is_sent: AtomicBool,
}

impl Sending<'_> {
    /// Counts the items as sent, or as waiting again, with the reason.
    pub(super) fn attempt(&self, attempt: Attempt, reason: Option<&str>) {
        let is_sent = attempt == Attempt::Begun;
        if let (Attempt::Failed, Some(reason)) = (attempt, reason) {
            let failure = OTelSdkError::InternalFailure(reason.to_owned());
            self.queue.counts.last_failure.note(&failure, self.queue.address.as_deref());
        }
        if self.is_sent.swap(is_sent, Ordering::Relaxed) == is_sent {
            return;
        }
        let (unanswered, items) = (&self.queue.counts.unanswered, self.items as u64);
        if is_sent {
            unanswered.fetch_add(items, Ordering::Relaxed)
        } else {
            unanswered.fetch_sub(items, Ordering::Relaxed)
        };
    }

    /// Frees the room of the items, which the backend took or refused.
    pub(super) fn end(self, sent: &Sent) {
        self.queue.waiting.fetch_sub(self.items, Ordering::Relaxed);
        let (counts, items) = (&self.queue.counts, self.items as u64);
        let failed = match &sent.result {
            Ok(()) => 0,
            Err(failure) => {
                counts.last_failure.note(failure, self.queue.address.as_deref());
                sent.rejected.map_or(items, |rejected| rejected.min(items))
            }
        };
        counts.failed.fetch_add(failed, Ordering::Relaxed);
        counts.exported.fetch_add(items - failed, Ordering::Relaxed);
        self.attempt(Attempt::Failed, None);
    }
}

impl Counts {
    pub(super) fn read(&self) -> Delivery {
        Delivery {
            // What has arrived is read first, so that it is never more than what has ended.
            exported: self.exported.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            unanswered: self.unanswered.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            ended: self.ended.load(Ordering::Relaxed),
        }
    }
}

impl LastFailure {
    pub(super) fn note(&self, failure: &OTelSdkError, address: Option<&str>) {
        *self.0.lock() = Some(ExportFailure::new(failure, address));
    }

    pub(super) fn clear(&self) {
        *self.0.lock() = None;
    }

    pub(super) fn get(&self) -> Option<ExportFailure> {
        self.0.lock().clone()
    }
}
