//! The ids of a span, in the form of the W3C Trace Context recommendation.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// A trace's id: 16 bytes, in text 32 hex digits in lower case.
pub type TraceId = HexId<16>;

/// A span's id: 8 bytes, in text 16 hex digits in lower case.
pub type SpanId = HexId<8>;

/// The span that a component became.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The component's span; in a workflow that is not sampled it may be that of the workflow.
    pub span_id: SpanId,
    /// The span above it; `None` for the root of a trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_span_id: Option<SpanId>,
    /// Whether the sampler kept the trace, so that a link to it leads somewhere.
    #[serde(default)]
    pub sampled: bool,
}

impl TraceContext {
    /// Names a span of a trace that was not sampled, with no span above it.
    #[must_use]
    pub const fn new(trace_id: TraceId, span_id: SpanId) -> Self {
        Self { trace_id, span_id, parent_span_id: None, sampled: false }
    }

    /// Names the span above it. By default, none.
    #[must_use]
    pub const fn with_parent(mut self, span_id: SpanId) -> Self {
        self.parent_span_id = Some(span_id);
        self
    }

    /// Says whether the sampler kept the trace. By default, it did not.
    #[must_use]
    pub const fn with_sampled(mut self, sampled: bool) -> Self {
        self.sampled = sampled;
        self
    }
}

/// An id of `N` bytes that is written as `2 × N` hex digits in lower case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HexId<const N: usize>([u8; N]);

/// The text is not the hex form of an id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text:?} is not an id of {digits} hex digits in lower case")]
pub struct HexIdError {
    text: String,
    digits: usize,
}

impl<const N: usize> HexId<N> {
    /// Wraps the bytes of an id, most significant first.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// The bytes of the id, most significant first.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; N] {
        self.0
    }
}

impl<const N: usize> fmt::Display for HexId<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<const N: usize> fmt::Debug for HexId<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> FromStr for HexId<N> {
    type Err = HexIdError;

    fn from_str(text: &str) -> Result<Self, HexIdError> {
        let error = || HexIdError { text: text.chars().take(4 * N).collect(), digits: 2 * N };
        let digits = text.as_bytes();
        if digits.len() != 2 * N {
            return Err(error());
        }
        let mut bytes = [0; N];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let (Some(high), Some(low)) = (hex_value(pair[0]), hex_value(pair[1])) else {
                return Err(error());
            };
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

impl<const N: usize> Serialize for HexId<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for HexId<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

const fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_and_refuses_everything_else() {
        let id: SpanId = "00f067aa0ba902b7".parse().expect("valid");
        assert_eq!(id.to_string(), "00f067aa0ba902b7");
        for bad in ["", "00f067aa0ba902b", "00F067AA0BA902B7", "00f067aa0ba902b7f", "00f067aa0ba902bé"] {
            assert!(bad.parse::<SpanId>().is_err(), "{bad}");
        }
    }
}
