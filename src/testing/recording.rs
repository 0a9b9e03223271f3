//! The bridge with its spans kept in memory, in place of a collector.

use std::{fmt, sync::Arc};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{IdGenerator, InMemorySpanExporter, SdkTracer, SdkTracerProvider};
use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt as _;

use super::{dispatch::dispatch, spans::Spans, tree::span_tree};
use crate::{
    event::Event,
    otel::{EventIdGenerator, OtelLayer, SpanMapper},
};

/// A provider of spans, a mapper of events onto them, and the spans that have ended.
///
/// Unlike a [`Recorder`](super::Recorder) it is no thread's: a run is recorded by polling it with [`dispatch`](Self::dispatch),
/// on whatever threads.
///
/// ```
/// use agent_runtime::{prelude::*, testing::Recording};
/// use tracing::instrument::WithSubscriber as _;
///
/// # tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?.block_on(async {
/// let recording = Recording::new();
/// let run = async {
///     let workflow = Workflow::new("empty").build();
///     Runtime::new().execute(&workflow, "input").await
/// };
/// tokio::spawn(run.with_subscriber(recording.dispatch())).await??;
/// assert_eq!(recording.spans()[0].name, "invoke_workflow empty");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Recording {
    provider: SdkTracerProvider,
    mapper: Arc<SpanMapper<SdkTracer>>,
    exporter: InMemorySpanExporter,
}

impl Recording {
    /// Makes a recording in which a span's ids follow from its event's.
    #[must_use]
    pub fn new() -> Self {
        Self::with(EventIdGenerator::default(), |mapper| mapper)
    }

    /// Makes a recording with another id generator.
    #[must_use]
    pub fn with_id_generator(ids: impl IdGenerator + 'static) -> Self {
        Self::with(ids, |mapper| mapper)
    }

    /// Makes a recording whose mapper has other limits or another policy for content.
    #[must_use]
    pub fn with_mapper(set_up: impl FnOnce(SpanMapper<SdkTracer>) -> SpanMapper<SdkTracer>) -> Self {
        Self::with(EventIdGenerator::default(), set_up)
    }

    fn with(
        ids: impl IdGenerator + 'static,
        set_up: impl FnOnce(SpanMapper<SdkTracer>) -> SpanMapper<SdkTracer>,
    ) -> Self {
        let exporter = InMemorySpanExporter::default();
        let provider =
            SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).with_id_generator(ids).build();
        let mapper = Arc::new(set_up(SpanMapper::new(provider.tracer("agent_runtime"))));
        Self { provider, mapper, exporter }
    }

    /// The provider of the recorded spans, for the tracer of a `tracing-opentelemetry` layer.
    #[must_use]
    pub const fn tracer_provider(&self) -> &SdkTracerProvider {
        &self.provider
    }

    /// The state machine from events to spans.
    #[must_use]
    pub const fn mapper(&self) -> &Arc<SpanMapper<SdkTracer>> {
        &self.mapper
    }

    /// A layer that records, for a subscriber with others in it.
    #[must_use]
    pub fn layer(&self) -> OtelLayer {
        OtelLayer::new(Arc::clone(&self.mapper))
    }

    /// A subscriber of the layer alone.
    #[must_use]
    pub fn dispatch(&self) -> Dispatch {
        dispatch(tracing_subscriber::registry().with(self.layer()))
    }

    /// All spans that have ended so far, in the order of their ends.
    #[must_use]
    pub fn spans(&self) -> Spans {
        // It fails only on a lock that another thread poisoned, and nobody else has the exporter.
        Spans::of(self.exporter.get_finished_spans().unwrap_or_default())
    }

    /// The spans as [`span_tree`] draws them, with the given attributes.
    #[must_use]
    pub fn span_tree(&self, attributes: &[&str]) -> String {
        span_tree(&self.spans(), attributes)
    }

    /// Maps stored events, as a replay does.
    pub fn replay<'a>(&self, events: impl IntoIterator<Item = &'a Event>) {
        for event in events {
            self.mapper.observe(event);
        }
    }

    /// The spans as OTLP JSON; it holds the ids of the events, so recordings of the same events return the same bytes.
    ///
    /// # Errors
    ///
    /// Those of [`to_otlp_json`](crate::otel::to_otlp_json).
    #[cfg(feature = "otlp-http")]
    pub fn otlp_json(&self) -> Result<String, serde_json::Error> {
        // An empty resource: the detected one names this process.
        crate::otel::to_otlp_json(self.spans().into_vec(), &opentelemetry_sdk::Resource::builder_empty().build())
    }
}

impl Default for Recording {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").field("mapper", &self.mapper).finish_non_exhaustive()
    }
}
