//! Counts what becomes of spans on their way out, since the SDK tells nobody what it drops.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use opentelemetry::Context;
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor},
};
use parking_lot::Mutex;

use super::transport::{ExportRuntime, Sent, quietly};

/// What became of the spans, or of the log events, of a process so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// Ended and sampled, so they should have arrived.
    pub ended: u64,
    /// Taken by the backend, as it said.
    pub exported: u64,
    /// Given up after the exporter's retries, or rejected by a backend that took others of the same request.
    pub failed: u64,
    /// Found the queue full.
    pub dropped: u64,
}

impl Delivery {
    /// Those that are still in the queue or did not fit into it; after a shutdown, those that were not sent.
    #[must_use]
    pub const fn unsent(&self) -> u64 {
        self.ended.saturating_sub(self.exported + self.failed)
    }
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    ended: AtomicU64,
    exported: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    pub(super) last_failure: LastFailure,
}

/// Why an export failed last, if one did. The SDK's shutdown tells only of the exports that it makes itself, and of
/// metrics only that there was a failure.
#[derive(Debug, Default)]
pub(super) struct LastFailure(Mutex<Option<String>>);

/// The room for spans, or for log events, between a processor and its exporter.
///
/// The SDK drops what does not fit and tells nobody how much it was, so what is on its way is counted here, and a span
/// for which there is no room does not get as far as the SDK's own queue, which is as large and so never full.
#[derive(Debug)]
pub(super) struct Queue {
    counts: Arc<Counts>,
    capacity: usize,
    waiting: AtomicUsize,
}

impl Queue {
    pub(super) const fn new(capacity: usize, counts: Arc<Counts>) -> Self {
        Self { counts, capacity, waiting: AtomicUsize::new(0) }
    }

    /// Takes up the room of one more span, if there is any.
    pub(super) fn enter(&self) -> bool {
        self.counts.ended.fetch_add(1, Ordering::Relaxed);
        let has_room = self.waiting.fetch_add(1, Ordering::Relaxed) < self.capacity;
        if !has_room {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
        has_room
    }

    /// Gives back the room of spans that the backend took or refused.
    pub(super) fn leave(&self, spans: usize, sent: &Sent) {
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        let spans = spans as u64;
        let failed = match &sent.result {
            Ok(()) => 0,
            Err(reason) => {
                self.counts.last_failure.note(reason);
                sent.rejected.map_or(spans, |rejected| rejected.min(spans))
            }
        };
        self.counts.failed.fetch_add(failed, Ordering::Relaxed);
        self.counts.exported.fetch_add(spans - failed, Ordering::Relaxed);
    }
}

impl Counts {
    pub(super) fn read(&self) -> Delivery {
        Delivery {
            exported: self.exported.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            ended: self.ended.load(Ordering::Relaxed),
        }
    }
}

impl LastFailure {
    pub(super) fn note(&self, failure: &OTelSdkError) {
        let reason = match failure {
            OTelSdkError::InternalFailure(reason) => reason.clone(),
            OTelSdkError::AlreadyShutdown | OTelSdkError::Timeout(_) => failure.to_string(),
        };
        *self.0.lock() = Some(reason);
    }

    pub(super) fn get(&self) -> Option<OTelSdkError> {
        self.0.lock().clone().map(OTelSdkError::InternalFailure)
    }
}

/// Counts the spans that go into the queue.
#[derive(Debug)]
pub(super) struct CountingProcessor {
    pub(super) inner: BatchSpanProcessor,
    pub(super) queue: Arc<Queue>,
}

impl SpanProcessor for CountingProcessor {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.queue.enter() {
            self.inner.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// Counts the spans that come out of the queue, and polls the exporter inside its runtime if it needs one, with `tracing`
/// off.
#[derive(Debug)]
pub(super) struct CountingExporter<E> {
    pub(super) inner: E,
    pub(super) queue: Arc<Queue>,
    pub(super) runtime: Option<ExportRuntime>,
}

impl<E: SpanExporter> SpanExporter for CountingExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let sent = quietly(self.runtime.as_ref(), &format!("{spans} spans"), self.inner.export(batch)).await;
        self.queue.leave(spans, &sent);
        sent.result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
