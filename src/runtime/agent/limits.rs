//! The bounds of what a model can make grow.

use std::time::Duration;

/// How far an agent lets its model go.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) iterations: u32,
    pub(super) repetitions: u32,
    pub(super) retries: u32,
    pub(super) retry_wait: Duration,
    pub(super) calls_at_once: usize,
    pub(super) answer_bytes: usize,
    pub(super) result_bytes: usize,
}

impl Limits {
    pub(super) const DEFAULT: Self = Self {
        iterations: 10,
        repetitions: 5,
        retries: 2,
        retry_wait: Duration::from_secs(30),
        calls_at_once: 128,
        answer_bytes: 1024 * 1024,
        result_bytes: 64 * 1024,
    };
}
