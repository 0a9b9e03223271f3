//! The pauses between tries while a store is not available.

use std::time::Duration;

use tokio::time::sleep;

/// The first and the longest pause.
const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);

/// Pauses, each twice as long as the one before.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) const fn new() -> Self {
        Self { next: FIRST }
    }

    /// Whether there was no pause yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.next == FIRST
    }

    pub(super) async fn pause(&mut self) {
        sleep(self.next).await;
        self.next = (self.next * 2).min(LONGEST);
    }
}
