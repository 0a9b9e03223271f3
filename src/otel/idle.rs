//! Keeps `tracing` from taking one thread's word for all.

use std::sync::LazyLock;

use tracing::{Dispatch, subscriber::NoSubscriber};

/// Two subscribers that want nothing and live as long as the process.
///
/// `tracing` keeps for each callsite whether anybody wants its events. While a single subscriber is alive, it asks only
/// that of the thread which reaches the callsite first; if that thread has none, "nobody" is kept for all
/// (tokio-rs/tracing#3611, #2874). With more of them alive it asks all there are.
static IDLE: LazyLock<[Dispatch; 2]> = LazyLock::new(|| [(); 2].map(|()| Dispatch::new(NoSubscriber::new())));

/// Makes the two, if they are not there yet.
pub(crate) fn keep_idle_subscribers() {
    LazyLock::force(&IDLE);
}
