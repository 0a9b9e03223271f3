//! The test kit's recording, with its spans in the form in which they are exported.

use std::ops::Deref;

use agent_runtime::{otel::SpanMapper, prelude::*, testing};
use opentelemetry_sdk::trace::{IdGenerator, SdkTracer};

use super::{Spans, spans};

/// A provider, a mapper and where their spans end up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recording(testing::Recording);

impl Recording {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn with_id_generator(ids: impl IdGenerator + 'static) -> Self {
        Self(testing::Recording::with_id_generator(ids))
    }

    pub(crate) fn with_mapper(set_up: impl FnOnce(SpanMapper<SdkTracer>) -> SpanMapper<SdkTracer>) -> Self {
        Self(testing::Recording::with_mapper(set_up))
    }

    /// The finished spans so far.
    pub(crate) fn spans(&self) -> Spans {
        spans::of(self.0.spans().into_vec())
    }

    /// Maps stored events.
    pub(crate) fn replay(&self, events: &[Event]) -> Spans {
        self.0.replay(events);
        self.spans()
    }
}

impl Deref for Recording {
    type Target = testing::Recording;

    fn deref(&self) -> &testing::Recording {
        &self.0
    }
}
