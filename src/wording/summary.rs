//! The sentence of a failure, put together of parts by who wrote them.

use std::fmt;

use super::prose;

/// A failure in our own words, and as much of those of others as may leave the process.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Summary(String);

impl Summary {
    /// How long a summary may be in bytes; a longer one is cut.
    const MAX_BYTES: usize = 2 * 1024;

    /// Begins with our own words.
    pub(crate) fn new(own: impl fmt::Display) -> Self {
        Self(own.to_string())
    }

    /// Begins with a sentence of the application's, without what it quotes.
    pub(crate) fn of_application(sentence: &str) -> Self {
        Self(prose::without_quotations(sentence).into_owned())
    }

    /// Begins with a sentence of a model's, a provider's or a library's, of which the known words stay.
    pub(crate) fn of_foreign(sentence: &str) -> Self {
        Self(prose::known_words(sentence))
    }

    /// Goes on, behind a colon, with a sentence of a model's, a provider's or a library's, of which the known words stay.
    pub(crate) fn with_foreign(mut self, sentence: &str) -> Self {
        if !sentence.is_empty() {
            self.0 = [&self.0, ": ", &prose::known_words(sentence)].concat();
        }
        self
    }

    /// Goes on, behind a colon, with the summary of what is behind the failure.
    pub(crate) fn with_source(mut self, source: &Self) -> Self {
        self.0 = [&self.0, ": ", &source.0].concat();
        self
    }

    /// The summary as a text.
    #[must_use]
    pub(crate) fn into_text(mut self) -> String {
        if self.0.len() > Self::MAX_BYTES {
            self.0.truncate(self.0.floor_char_boundary(Self::MAX_BYTES - prose::ELIDED.len_utf8()));
            self.0.push(prose::ELIDED);
        }
        self.0
    }
}
