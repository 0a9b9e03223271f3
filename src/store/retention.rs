//! How long a store keeps events.

use std::time::Duration;

/// What a store lets go of, the oldest first; by default nothing. All bounds hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct Retention {
    /// How old an event may be, by its own time.
    pub max_age: Option<Duration>,
    /// How many events are kept.
    pub max_events: Option<u64>,
    /// How many bytes the events may take, as the engine counts them.
    pub max_bytes: Option<u64>,
}

/// What a store let go of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trimmed {
    /// How many events.
    pub events: u64,
}

impl Retention {
    /// Bounds the age of an event.
    pub const fn with_max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Bounds how many events there are.
    pub const fn with_max_events(mut self, events: u64) -> Self {
        self.max_events = Some(events);
        self
    }

    /// Bounds the bytes that the events take.
    pub const fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Whether everything is kept.
    #[must_use]
    pub const fn is_unbounded(&self) -> bool {
        self.max_age.is_none() && self.max_events.is_none() && self.max_bytes.is_none()
    }
}

impl Trimmed {
    /// Counts what was let go of.
    #[must_use]
    pub const fn new(events: u64) -> Self {
        Self { events }
    }
}
