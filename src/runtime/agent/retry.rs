//! When a request is sent again.

use std::time::Duration;

use crate::llm::ModelError;

/// The wait before the first retry where the provider names none; each later one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// Returns how long to wait before the next try; `None` if there is none.
///
/// Tried again is what may get better by itself, within the longest wait. A silence of the whole read timeout was waited
/// for long enough.
pub(super) fn wait(error: &ModelError, tries: u32, longest: Duration) -> Option<Duration> {
    let may_get_better = error.is_retryable() && !matches!(error, ModelError::Timeout { .. });
    let backoff = || FIRST_WAIT.saturating_mul(2_u32.saturating_pow(tries)).min(longest);
    let wait = error.retry_after().unwrap_or_else(backoff);
    (may_get_better && wait <= longest).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::StatusError;

    #[test]
    fn the_wait_is_the_providers_or_doubles_and_is_bounded() {
        let longest = Duration::from_secs(30);
        let check = |error: ModelError, tries: u32, expected: Option<u64>| {
            assert_eq!(wait(&error, tries, longest), expected.map(Duration::from_millis), "{error:?}");
        };
        let status = |status: u16| StatusError::new(status, "no");
        check(status(503).into(), 0, Some(500));
        check(status(503).into(), 1, Some(1_000));
        check(status(503).into(), 40, Some(30_000));
        check(ModelError::StreamInterrupted, 0, Some(500));
        check(status(429).with_retry_after(Duration::ZERO).into(), 0, Some(0));
        check(status(429).with_retry_after(longest).into(), 0, Some(30_000));
        check(status(429).with_retry_after(longest + Duration::from_millis(1)).into(), 0, None);
        check(status(429).with_code("insufficient_quota").into(), 0, None);
        check(status(400).into(), 0, None);
        check(status(501).into(), 0, None);
        check(ModelError::Timeout { server: "a:1".to_owned(), after: longest }, 0, None);
    }
}
