//! The bridge with spans kept in memory, in place of a collector.

use std::sync::Arc;

use agent_runtime::{
    otel::{EventIdGenerator, OtelLayer, SpanMapper},
    prelude::*,
};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{
    IdGenerator, InMemorySpanExporter, SdkTracer, SdkTracerProvider, SimpleSpanProcessor, SpanLimits,
};
use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt as _;

use super::{Spans, dispatch_of};

/// A provider, a mapper and where their spans end up.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    pub(crate) provider: SdkTracerProvider,
    pub(crate) mapper: Arc<SpanMapper<SdkTracer>>,
    exporter: InMemorySpanExporter,
}

impl Recording {
    pub(crate) fn new() -> Self {
        Self::with(EventIdGenerator::default(), |mapper| mapper)
    }

    /// With another id generator.
    pub(crate) fn with_ids(ids: impl IdGenerator + 'static) -> Self {
        Self::with(ids, |mapper| mapper)
    }

    /// With other limits.
    pub(crate) fn limited(set_up: impl FnOnce(SpanMapper<SdkTracer>) -> SpanMapper<SdkTracer>) -> Self {
        Self::with(EventIdGenerator::default(), set_up)
    }

    fn with(
        ids: impl IdGenerator + 'static,
        set_up: impl FnOnce(SpanMapper<SdkTracer>) -> SpanMapper<SdkTracer>,
    ) -> Self {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(SimpleSpanProcessor::new(exporter.clone()))
            .with_id_generator(ids)
            .with_span_limits(SpanLimits::default())
            .build();
        let mapper = Arc::new(set_up(SpanMapper::new(provider.tracer("test"))));
        Self { provider, mapper, exporter }
    }

    pub(crate) fn layer(&self) -> OtelLayer {
        OtelLayer::new(Arc::clone(&self.mapper))
    }

    /// A subscriber of the layer alone.
    pub(crate) fn dispatch(&self) -> Dispatch {
        dispatch_of(tracing_subscriber::registry().with(self.layer()))
    }

    /// The finished spans so far.
    pub(crate) fn spans(&self) -> Spans {
        Spans::of(self.exporter.get_finished_spans().expect("the exporter is not poisoned"))
    }

    /// Gives stored events to the mapper.
    pub(crate) fn replay(&self, events: &[Event]) -> Spans {
        for event in events {
            self.mapper.observe(event);
        }
        self.spans()
    }
}
