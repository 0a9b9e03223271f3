//! Work that is waited for until a time and no longer.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};

use super::reentry::Inside;

/// Flushes until that has ended or the time is over, since a flush of the SDK ends after five seconds by itself.
pub(super) fn flush_within(timeout: Duration, flush: impl Fn() -> OTelSdkResult) -> OTelSdkResult {
    let deadline = Instant::now() + timeout;
    loop {
        let begun = Instant::now();
        match flush() {
            // One that ends before it has waited would be asked for ever.
            Err(OTelSdkError::Timeout(limit)) if begun.elapsed() >= limit && Instant::now() < deadline => {}
            result => return result,
        }
    }
}

/// Work on a thread of its own, since an exporter that hangs would hold up all others and the program.
pub(super) struct Finishing<T> {
    result: mpsc::Receiver<T>,
    deadline: Instant,
}

impl<T: Send + 'static> Finishing<T> {
    /// Begins the work.
    pub(super) fn begin(name: &str, deadline: Instant, work: impl FnOnce() -> T + Send + 'static) -> Self {
        let (sender, result) = mpsc::channel();
        let work = move || {
            // The receiver may have stopped waiting.
            sender.send(Inside::with(work)).ok();
        };
        // If the thread cannot be started, the sender is dropped with the closure, and the wait ends at once.
        drop(thread::Builder::new().name(name.to_owned()).spawn(work));
        Self { result, deadline }
    }

    /// Waits for the result; there is none if the time is over first, or the work panicked.
    pub(super) fn wait(self) -> Option<T> {
        self.result.recv_timeout(self.deadline.saturating_duration_since(Instant::now())).ok()
    }
}
