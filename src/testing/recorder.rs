//! Records what a run says and the spans it becomes.

use std::{collections::HashSet, path::Path, sync::Arc};

use chrono::{DateTime, Utc};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, SpanData};
use tracing::dispatcher::DefaultGuard;
use tracing_subscriber::{Layer, Registry, layer::SubscriberExt as _};

use super::{dispatch::set_default, golden::assert_golden, recording::Recording, spans::Spans, tree::span_tree};
use crate::{
    event::{Event, EventScope, SpanId},
    otel::SpanMapper,
    runtime::Runtime,
    stream::{EventStream, TryRecvError},
};

/// When the clock of every recorder starts: 2026-01-01 at midnight UTC, in seconds since the Unix epoch.
const EPOCH_SECONDS: i64 = 1_767_225_600;

/// A runtime whose runs repeat exactly, and what they left behind.
///
/// It installs a `tracing` subscriber for the current thread, for as long as it lives. So use it on a current-thread
/// runtime, one at a time, and with paused time, as `#[tokio::test(start_paused = true)]` has it. Where the runs are on other
/// threads, take a [`Recording`](super::Recording).
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
#[derive(Debug)]
pub struct Recorder {
    runtime: Runtime,
    recording: Recording,
    _subscriber: DefaultGuard,
}

/// Sets a [`Recorder`] up.
#[must_use = "nothing is recorded before it is built"]
pub struct RecorderBuilder {
    seed: u64,
    recording: Recording,
    neighbors: Vec<Box<dyn Layer<Registry> + Send + Sync>>,
}

impl Recorder {
    /// Begins a recording in which all ids follow from a seed.
    pub fn new(seed: u64) -> Self {
        Self::builder(seed).build()
    }

    /// Sets up a recording in which all ids follow from a seed.
    pub fn builder(seed: u64) -> RecorderBuilder {
        RecorderBuilder { seed, recording: Recording::new(), neighbors: Vec::new() }
    }

    /// The runtime that is recorded.
    #[must_use]
    pub const fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The provider of the recorded spans.
    #[must_use]
    pub const fn tracer_provider(&self) -> &SdkTracerProvider {
        self.recording.tracer_provider()
    }

    /// The state machine from events to spans.
    #[must_use]
    pub const fn mapper(&self) -> &Arc<SpanMapper<SdkTracer>> {
        self.recording.mapper()
    }

    /// All events so far.
    pub async fn events(&self) -> Vec<Event> {
        self.runtime.event_stream().get_events(0).await
    }

    /// All spans that have ended so far, in the order of their ends.
    ///
    /// # Panics
    ///
    /// If components of the runtime have ended and did not become spans here; the message says what the causes may be.
    #[must_use]
    #[track_caller]
    pub fn spans(&self) -> Spans {
        let spans = self.recording.spans();
        self.assert_complete(&spans);
        spans
    }

    /// The spans as [`span_tree`] draws them, with the given attributes.
    ///
    /// # Panics
    ///
    /// As [`spans`](Self::spans) does.
    #[must_use]
    #[track_caller]
    pub fn span_tree(&self, attributes: &[&str]) -> String {
        span_tree(&self.spans(), attributes)
    }

    /// Asserts that [`span_tree`](Self::span_tree) returns what a file has. With `AGENT_RUNTIME_UPDATE_GOLDEN=1` the file is
    /// written instead.
    ///
    /// # Panics
    ///
    /// As [`assert_golden`] and [`spans`](Self::spans) do.
    #[track_caller]
    pub fn assert_tree(&self, path: impl AsRef<Path>, attributes: &[&str]) {
        assert_golden(path, &self.span_tree(attributes));
    }

    /// The spans as OTLP JSON; two recordings with the same seed return the same bytes.
    ///
    /// # Errors
    ///
    /// Those of [`to_otlp_json`](crate::otel::to_otlp_json).
    #[cfg(feature = "otlp-http")]
    pub fn otlp_json(&self) -> Result<String, serde_json::Error> {
        self.recording.otlp_json()
    }

    /// Panics if components have ended without a span in this recording.
    #[track_caller]
    fn assert_complete(&self, spans: &[SpanData]) {
        let recorded: HashSet<_> =
            spans.iter().map(|span| SpanId::from_bytes(span.span_context.span_id().to_bytes())).collect();
        let (mut ended, mut unseen, mut elsewhere) = (0_usize, 0_usize, 0_usize);
        for event in self.kept_ends() {
            ended += 1;
            match event.trace {
                None => unseen += 1,
                Some(trace) if trace.sampled && !recorded.contains(&trace.span_id) => elsewhere += 1,
                Some(_) => {}
            }
        }
        assert!(
            unseen == 0,
            "{ended} components ended, but {unseen} of them have events and no spans: no layer saw their events. They were \
             emitted on another thread than the recorder's, by a task that was spawned or on a multi-thread runtime, or a \
             filter over the whole registry hid them. Use a current-thread runtime, as `#[tokio::test]` has it, or poll what \
             is spawned `.with_current_subscriber()`, or take a `Recording`, which is no thread's"
        );
        assert!(
            elsewhere == 0,
            "{ended} components ended, but {elsewhere} of them have events and no spans here: another subscriber's layer saw \
             their events. Two recorders on one thread share it, and the one that was made last gets all; keep one at a time"
        );
    }

    /// The ends of components that the log still has.
    fn kept_ends(&self) -> Vec<Event> {
        let mut events = self.runtime.event_stream().subscribe_from(0);
        let mut ends = Vec::new();
        loop {
            match events.try_recv() {
                Ok(event) if event.scope != EventScope::System && event.event_type.is_terminal() => ends.push(event),
                Ok(_) | Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return ends,
            }
        }
    }
}

impl RecorderBuilder {
    /// The provider of the recorded spans, for the tracer of a `tracing-opentelemetry` layer.
    #[must_use]
    pub const fn tracer_provider(&self) -> &SdkTracerProvider {
        self.recording.tracer_provider()
    }

    /// Puts another layer beside the recording one. By default, there is none.
    pub fn with_layer(mut self, layer: impl Layer<Registry> + Send + Sync) -> Self {
        self.neighbors.push(Box::new(layer));
        self
    }

    /// Makes the recorder and its subscriber that of the current thread.
    pub fn build(self) -> Recorder {
        let Self { seed, recording, neighbors } = self;
        let epoch = DateTime::<Utc>::from_timestamp(EPOCH_SECONDS, 0).unwrap_or_default();
        let stream = EventStream::builder().with_seed(seed).with_start_time(epoch).build();
        // An empty list of layers refuses every event for all layers above it.
        let neighbors = Some(neighbors).filter(|neighbors| !neighbors.is_empty());
        let subscriber = tracing_subscriber::registry().with(neighbors).with(recording.layer());
        Recorder { runtime: Runtime::with_event_stream(stream), recording, _subscriber: set_default(subscriber) }
    }
}

impl std::fmt::Debug for RecorderBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("RecorderBuilder");
        debug.field("seed", &self.seed).field("neighbors", &self.neighbors.len()).finish_non_exhaustive()
    }
}
