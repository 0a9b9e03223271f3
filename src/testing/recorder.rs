//! Records what a run says and the spans it becomes.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use chrono::{DateTime, Utc};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracer, SdkTracerProvider, SpanData};
use tracing::{
    Dispatch,
    subscriber::{DefaultGuard, NoSubscriber},
};
use tracing_subscriber::layer::SubscriberExt as _;

use super::tree::span_tree;
use crate::{
    event::Event,
    otel::{EventIdGenerator, OtelLayer, SpanMapper},
    runtime::Runtime,
    stream::EventStream,
};

/// When the clock of every recorder starts: 2026-01-01 at midnight UTC, in seconds since the Unix epoch.
const EPOCH_SECONDS: i64 = 1_767_225_600;

/// `tracing` caches for each callsite whether anybody wants it. While one subscriber is alive in the process it asks only
/// that of the thread at hand, which may be a test without a recorder, and remembers its "never" for all. Two that want
/// nothing, kept alive, make it ask all there are.
static IDLE: LazyLock<[Dispatch; 2]> =
    LazyLock::new(|| [NoSubscriber::default(), NoSubscriber::default()].map(Dispatch::new));

/// A runtime whose runs repeat exactly, and what they left behind.
///
/// It installs a `tracing` subscriber for the current thread, for as long as it lives. So use it on a current-thread
/// runtime, as `#[tokio::test]` has it, and with paused time:
///
/// ```
/// use std::sync::Arc;
///
/// use agent_runtime::{prelude::*, testing::{Recorder, assert_balanced}};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
/// let recorder = Recorder::new(7);
/// let model = Arc::new(ScriptedModel::new("script").with_reply(ScriptedReply::text("four words of answer")));
/// let workflow = Workflow::new("answer").add_step(AgentStep::new(Agent::builder("writer", model).build())).build();
/// recorder.runtime().execute(&workflow, "question").await?;
///
/// assert_balanced(&recorder.events().await);
/// assert_eq!(
///     recorder.span_tree(&["gen_ai.usage.output_tokens"]),
///     "\
/// invoke_workflow answer 0ns
///   workflow_step writer 0ns
///     invoke_agent writer 0ns
///       chat script 0ns gen_ai.usage.output_tokens=4 [agent_runtime.llm.chunk]
/// "
/// );
/// # Ok::<(), RunError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "what is not kept is not recorded"]
pub struct Recorder {
    runtime: Runtime,
    provider: SdkTracerProvider,
    exporter: InMemorySpanExporter,
    mapper: Arc<SpanMapper<SdkTracer>>,
    _subscriber: DefaultGuard,
}

impl Recorder {
    /// Begins a recording in which all ids follow from a seed.
    pub fn new(seed: u64) -> Self {
        let epoch = DateTime::<Utc>::from_timestamp(EPOCH_SECONDS, 0).unwrap_or_default();
        let stream = EventStream::builder().with_seed(seed).with_epoch(epoch).build();
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(exporter.clone())
            .with_id_generator(EventIdGenerator::default())
            .build();
        let mapper = Arc::new(SpanMapper::new(provider.tracer("agent_runtime")));
        let registry = tracing_subscriber::registry().with(OtelLayer::new(Arc::clone(&mapper)));
        LazyLock::force(&IDLE);
        Self {
            runtime: Runtime::with_event_stream(stream),
            provider,
            exporter,
            mapper,
            _subscriber: tracing::subscriber::set_default(registry),
        }
    }

    /// The runtime that is recorded.
    #[must_use]
    pub const fn runtime(&self) -> &Runtime {
        &self.runtime
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

    /// All events so far.
    pub async fn events(&self) -> Vec<Event> {
        self.runtime.event_stream().get_events(0).await
    }

    /// All spans that have ended so far, in the order of their ends.
    #[must_use]
    pub fn spans(&self) -> Vec<SpanData> {
        // It fails only on a lock that another thread poisoned, and nobody else has the exporter.
        self.exporter.get_finished_spans().unwrap_or_default()
    }

    /// The spans as [`span_tree`] draws them, with the given attributes.
    #[must_use]
    pub fn span_tree(&self, attributes: &[&str]) -> String {
        span_tree(&self.spans(), attributes)
    }

    /// The spans as OTLP JSON; two recordings with the same seed give the same bytes.
    ///
    /// # Errors
    ///
    /// Those of [`to_otlp_json`](crate::otel::to_otlp_json).
    #[cfg(feature = "otlp-http")]
    pub fn otlp_json(&self) -> Result<String, serde_json::Error> {
        // An empty resource: the detected one names this process.
        crate::otel::to_otlp_json(self.spans(), &opentelemetry_sdk::Resource::builder_empty().build())
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("runtime", &self.runtime).field("mapper", &self.mapper).finish_non_exhaustive()
    }
}
