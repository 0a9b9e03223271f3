//! Where content may go, and the environment variable that says so.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::environment::{self, EnvironmentError};

/// The environment variable that the conventions' instrumentations read.
pub const CAPTURE_VARIABLE: &str = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";

/// Where messages, arguments and results go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContentCapture {
    /// Nowhere. The default.
    #[default]
    NoContent,
    /// Onto the spans, as JSON strings.
    SpanOnly,
    /// Into log events, as structured values.
    EventOnly,
    /// Both.
    SpanAndEvent,
}

/// A word that is none of the four.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{value:?} is not one of NO_CONTENT, SPAN_ONLY, EVENT_ONLY, SPAN_AND_EVENT")]
pub struct UnknownContentCapture {
    value: String,
}

impl ContentCapture {
    /// Every value, from the least to the most.
    pub const ALL: &[Self] = &[Self::NoContent, Self::SpanOnly, Self::EventOnly, Self::SpanAndEvent];

    /// Reads [`CAPTURE_VARIABLE`], in upper or lower case; unset or empty it is [`NoContent`](Self::NoContent).
    ///
    /// # Errors
    ///
    /// If it has another value, `true` of older instrumentations included. Report it then, and capture nothing.
    pub fn from_env() -> Result<Self, EnvironmentError> {
        let words: Vec<_> = Self::ALL.iter().map(|capture| (capture.as_str(), *capture)).collect();
        Ok(environment::one_of(CAPTURE_VARIABLE, &words)?.unwrap_or_default())
    }

    /// The value's name in the environment.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoContent => "NO_CONTENT",
            Self::SpanOnly => "SPAN_ONLY",
            Self::EventOnly => "EVENT_ONLY",
            Self::SpanAndEvent => "SPAN_AND_EVENT",
        }
    }

    /// Whether spans carry content.
    #[must_use]
    pub const fn is_on_spans(self) -> bool {
        matches!(self, Self::SpanOnly | Self::SpanAndEvent)
    }

    /// Whether log events are emitted, which carry content.
    #[must_use]
    pub const fn is_in_events(self) -> bool {
        matches!(self, Self::EventOnly | Self::SpanAndEvent)
    }
}

impl FromStr for ContentCapture {
    type Err = UnknownContentCapture;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = |capture: &Self| capture.as_str().eq_ignore_ascii_case(text.trim());
        Self::ALL.iter().copied().find(named).ok_or_else(|| UnknownContentCapture { value: text.to_owned() })
    }
}

impl fmt::Display for ContentCapture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_values_are_read_in_any_case_and_nothing_else() {
        for capture in ContentCapture::ALL {
            assert_eq!(capture.as_str().parse(), Ok(*capture));
            assert_eq!(format!(" {} ", capture.as_str().to_lowercase()).parse(), Ok(*capture));
        }
        for text in ["true", "false", "1", "", "span", "SPAN ONLY", "SPAN_ONLY,EVENT_ONLY"] {
            let error = text.parse::<ContentCapture>().unwrap_err();
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn each_value_says_where_content_goes() {
        let places = ContentCapture::ALL.iter().map(|capture| (capture.is_on_spans(), capture.is_in_events()));
        let places: Vec<_> = places.collect();
        assert_eq!(places, [(false, false), (true, false), (false, true), (true, true)]);
        assert_eq!(ContentCapture::default(), ContentCapture::NoContent);
    }
}
