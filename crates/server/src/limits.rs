//! How much a server lets its clients cost.

use std::time::Duration;

/// The bounds of one server; the constants and setters are on [`EventServer`](crate::EventServer) and its builder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    pub(crate) message_bytes: usize,
    pub(crate) heartbeat: Duration,
    pub(crate) send_timeout: Duration,
    pub(crate) shutdown_timeout: Duration,
}
