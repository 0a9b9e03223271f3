//! What models, providers and libraries have said in a run, so that it is known where an error of the application's repeats it.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;

use crate::wording::Summary;

/// How many sentences are kept; the oldest goes first.
const MAX_SENTENCES: usize = 8;

/// How much of a sentence is kept, in bytes: what comes behind that in an error counts as foreign with it.
const MAX_BYTES: usize = 1024;

/// The errors of the requests of a run and of those nested in it, which are in the words of others.
#[derive(Clone, Debug, Default)]
pub(super) struct ForeignWords(Arc<Mutex<VecDeque<Box<str>>>>);

impl ForeignWords {
    /// Keeps the error of a request.
    pub(super) fn keep(&self, message: &str) {
        let start = &message[..message.floor_char_boundary(MAX_BYTES)];
        if start.is_empty() {
            return;
        }
        let mut sentences = self.0.lock();
        if sentences.len() == MAX_SENTENCES {
            sentences.pop_front();
        }
        sentences.push_back(start.into());
    }

    /// The summary of an error that repeats one of a request's: the application's words, and of the others the known ones.
    /// None for any other error, which is the application's own.
    pub(super) fn summary_of(&self, message: &str) -> Option<String> {
        let at = self.0.lock().iter().filter_map(|foreign| message.find(&**foreign)).min()?;
        let own = message[..at].trim_end().trim_end_matches(':');
        let summary = if own.is_empty() {
            Summary::of_foreign(&message[at..])
        } else {
            Summary::of_application(own).with_foreign(&message[at..])
        };
        Some(summary.into_text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_failed_with_is_known_again() {
        let words = ForeignWords::default();
        words.keep("invalid request: the key swordfish is unknown");
        let check = |message: &str, expected: Option<&str>| {
            assert_eq!(words.summary_of(message).as_deref(), expected, "{message}");
        };
        check("the disk is full", None);
        check(
            "asking failed: invalid request: the key swordfish is unknown",
            Some("asking failed: invalid request: the key … is unknown"),
        );
        check(
            "invalid request: the key swordfish is unknown (again)",
            Some("invalid request: the key … is unknown (again)"),
        );
        words.keep(&"x".repeat(10_000));
        assert!(words.summary_of(&"x".repeat(10_000)).is_some_and(|summary| !summary.contains("xx")));
        (0..100).for_each(|number| words.keep(&format!("error {number}")));
        assert_eq!(words.0.lock().len(), MAX_SENTENCES);
    }
}
