//! A recorder as its user holds it: set up, flushed, stopped.

use std::{sync::Arc, time::Duration};

use tokio::{runtime::Handle, sync::watch, task::JoinHandle, time::timeout};

use super::{
    report::RecorderReport,
    tail::{self, Progress, Tail},
};
use crate::{
    event::Event,
    store::{Disclosure, EventStore, Retention, StoreError},
    stream::{EventStream, Subscription},
};

/// Stores the events of a stream as they come, on a task of its own.
///
/// The stream is never slowed: while the store is busy or away, events wait in the stream's log, and what falls out of that is
/// counted and stored as a [`Gap`](crate::store::Gap). It begins with the oldest event that the stream keeps, and ends with the
/// stream or with [`stop`](Self::stop). When it is dropped it stores what there is by then, in the background.
///
/// What was asked and answered is not stored unless [`with_content`](RecorderBuilder::with_content) asks for it.
#[derive(Debug)]
#[must_use = "a recorder that is dropped stops"]
pub struct Recorder {
    /// Never read: it says how long the stream is, also when that is closed.
    stream: Subscription,
    /// The offset to stop at.
    stop_at: watch::Sender<Option<u64>>,
    progress: watch::Receiver<Progress>,
    task: JoinHandle<()>,
    stop_timeout: Duration,
}

/// How a [`Recorder`] is set up.
#[derive(Debug)]
#[must_use]
pub struct RecorderBuilder {
    store: Arc<dyn EventStore>,
    disclosure: Disclosure,
    retention: Retention,
    linger: Duration,
    stop_timeout: Duration,
}

impl Recorder {
    /// How many events are stored at once at the most.
    pub const MAX_BATCH: usize = tail::MAX_BATCH;

    /// How many bytes the events stored at once may take in memory, about.
    pub const MAX_BATCH_BYTES: usize = tail::MAX_BATCH_BYTES;

    /// How long a recorder waits by default after a batch for more to store with the next.
    pub const DEFAULT_LINGER: Duration = Duration::from_millis(5);

    /// How long [`stop`](Self::stop) waits by default for a store that does not answer.
    pub const DEFAULT_STOP_TIMEOUT: Duration = Duration::from_secs(10);

    /// How long passes at least between two times that retention is applied.
    pub const RETENTION_INTERVAL: Duration = tail::RETENTION_INTERVAL;

    /// Sets up a recorder into a store.
    pub fn builder(store: Arc<dyn EventStore>) -> RecorderBuilder {
        RecorderBuilder {
            store,
            disclosure: Disclosure::default(),
            retention: Retention::default(),
            linger: Self::DEFAULT_LINGER,
            stop_timeout: Self::DEFAULT_STOP_TIMEOUT,
        }
    }

    /// Waits until everything that is in the stream now is stored or named as missing.
    ///
    /// Returns `false` if the recorder has ended before, because the store refused to take more.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn flush(&self) -> bool {
        let target = self.stream.end_of_stream();
        let mut progress = self.progress.clone();
        let reached = progress.wait_for(|progress| progress.has_ended || progress.acknowledged >= target).await;
        reached.is_ok_and(|progress| progress.acknowledged >= target)
    }

    /// Stores what is in the stream now, closes the epoch and says what became of all events.
    ///
    /// A store that does not answer is waited for as long as [`with_stop_timeout`](RecorderBuilder::with_stop_timeout) says; what
    /// it has not acknowledged by then counts as not stored, and its epoch is left open to be recovered.
    pub async fn stop(mut self) -> RecorderReport {
        let target = self.stream.end_of_stream();
        self.stop_at.send_replace(Some(target));
        let ended = async { drop(self.progress.wait_for(|progress| progress.has_ended).await) };
        if timeout(self.stop_timeout, ended).await.is_err() {
            self.task.abort();
        }
        let Progress { acknowledged, mut report, .. } = self.progress.borrow().clone();
        report.unstored = target.saturating_sub(acknowledged);
        report
    }

    /// What became of the events so far.
    pub fn report(&self) -> RecorderReport {
        self.progress.borrow().report.clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let now = self.stream.end_of_stream();
        self.stop_at.send_if_modified(|stop_at| {
            let is_running = stop_at.is_none();
            stop_at.get_or_insert(now);
            is_running
        });
    }
}

impl RecorderBuilder {
    /// Sets whether what was asked and answered is stored. By default, it is not: of an event's data only numbers and names
    /// stay, and of its message the application's words.
    pub fn with_content(mut self, stored: bool) -> Self {
        self.disclosure = self.disclosure.with_content(stored);
        self
    }

    /// Sets what every event passes before it is stored, such as
    /// `move |event| policy.redact_event(event)` with a `ContentPolicy` of the module `otel`. By default, nothing is redacted.
    ///
    /// It cannot change what the event is about, its id, place and type. With a redaction the pieces of a streamed answer are
    /// stored without their text, since no redaction knows half of a key; the whole answer is stored with its end. If it
    /// panics, the event is stored without data and message.
    pub fn with_redaction(mut self, redaction: impl Fn(&mut Event) + Send + Sync + 'static) -> Self {
        self.disclosure = self.disclosure.with_redaction(redaction);
        self
    }

    /// Sets what the store lets go of while the recorder runs. By default, nothing.
    pub const fn with_retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Sets how long it waits after a batch for more to store with the next. By default,
    /// [`DEFAULT_LINGER`](Recorder::DEFAULT_LINGER). A longer time costs the emitting side less; an event is stored later by as
    /// much.
    pub const fn with_linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// Sets how long [`stop`](Recorder::stop) waits for a store that does not answer. By default,
    /// [`DEFAULT_STOP_TIMEOUT`](Recorder::DEFAULT_STOP_TIMEOUT).
    pub const fn with_stop_timeout(mut self, timeout: Duration) -> Self {
        self.stop_timeout = timeout;
        self
    }

    /// Opens the stream's epoch in the store and begins, on the current Tokio runtime.
    ///
    /// # Errors
    ///
    /// - [`StoreError::NoRuntime`] outside a Tokio runtime.
    /// - Those of [`EventStore::open_epoch`].
    pub async fn start(self, stream: &EventStream) -> Result<Recorder, StoreError> {
        let runtime = Handle::try_current().map_err(|_| StoreError::NoRuntime)?;
        let epoch = stream.epoch();
        let next = self.store.open_epoch(epoch).await?;
        let (stop_at, stop) = watch::channel(None);
        let (sender, progress) = watch::channel(Progress { acknowledged: next, ..Progress::default() });
        let tail = Tail {
            store: self.store,
            epoch,
            subscription: stream.subscribe_from(next),
            disclosure: self.disclosure,
            retention: self.retention,
            linger: self.linger,
            stop,
            progress: sender,
        };
        let task = runtime.spawn(tail.run());
        Ok(Recorder { stream: stream.subscribe_from(next), stop_at, progress, task, stop_timeout: self.stop_timeout })
    }
}
