//! The one set-up call: exporter, provider, layer, and the handle that sees everything out.

use std::{
    fmt,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use opentelemetry_sdk::{
    error::OTelSdkError,
    logs::SdkLoggerProvider,
    metrics::SdkMeterProvider,
    trace::{SdkTracer, SdkTracerProvider},
};
use parking_lot::Mutex;
use tracing_subscriber::{Layer as _, layer::SubscriberExt as _};

use super::{
    ExportError, ExportReport, SignalReport, TelemetrySetupError, finishing::Finishing, globals, logs::LogsExport,
    metrics::MetricsExport, reentry::Inside, spans::SpansExport,
};
use crate::{
    environment::EnvironmentError,
    otel::{BridgeFilter, LogEmitter, MetricsRecorder, OtelLayer, SpanMapper},
    stream::unseen_events_in_process,
};

/// What a longer shutdown timeout counts as.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// The export of this process's events as OpenTelemetry spans, metrics and log events.
///
/// Clones share one export. Keep one until the end of the program and call [`shutdown`](Self::shutdown): the drop of the
/// last one does the same but cannot report what was lost.
///
/// # Examples
///
/// ```
/// use agent_runtime::{otel::Telemetry, prelude::*};
/// use opentelemetry_sdk::trace::InMemorySpanExporter;
///
/// let spans = InMemorySpanExporter::default();
/// let telemetry = Telemetry::builder("my-agents").with_span_exporter(spans.clone()).build()?.install()?;
/// let stream = EventStream::new();
/// stream.append(Event::agent_started("writer", None, None, json!({})))?;
/// stream.append(Event::agent_completed("writer", None, None, json!({})))?;
/// telemetry.flush()?;
/// assert_eq!(spans.get_finished_spans()?[0].name, "invoke_agent writer");
/// assert_eq!(telemetry.shutdown()?.spans.delivery.exported, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "dropping the last one ends the export"]
pub struct Telemetry(Arc<Running>);

/// What the builder decided.
pub(super) struct Options {
    pub(super) timeout: Duration,
    /// The settings that count as not set.
    pub(super) ignored: Vec<EnvironmentError>,
    pub(super) sets_globals: bool,
    /// Whether there is to be no telemetry at all.
    pub(super) is_disabled: bool,
}

struct Running {
    spans: Arc<SpansExport>,
    metrics: Option<Arc<MetricsExport>>,
    logs: Option<Arc<LogsExport>>,
    options: Options,
    /// The events that no layer had seen before this was set up.
    unseen_before: u64,
    /// What the shutdown reported, held while it goes on.
    end: Mutex<Option<Result<ExportReport, ExportError>>>,
}

impl Telemetry {
    pub(super) fn new(
        spans: SpansExport,
        metrics: Option<MetricsExport>,
        logs: Option<LogsExport>,
        options: Options,
    ) -> Self {
        Self(Arc::new(Running {
            spans: Arc::new(spans),
            metrics: metrics.map(Arc::new),
            logs: logs.map(Arc::new),
            options,
            unseen_before: unseen_events_in_process(),
            end: Mutex::default(),
        }))
    }

    /// The layer for a `tracing` registry of the user's, where a [`BridgeFilter`] goes on it.
    #[must_use]
    pub fn layer(&self) -> OtelLayer {
        let layer = OtelLayer::new(Arc::clone(self.mapper()));
        let layer = match self.metrics() {
            Some(metrics) => layer.with_metrics(Arc::clone(metrics)),
            None => layer,
        };
        match &self.0.logs {
            Some(logs) => layer.with_log_events(Arc::clone(&logs.emitter)),
            None => layer,
        }
    }

    /// Installs a `tracing` subscriber for the process that consists of the layer alone and asks for no more than that looks
    /// at. OpenTelemetry's globals are left as they are, unless
    /// [the builder](super::TelemetryBuilder::with_opentelemetry_globals) says otherwise.
    ///
    /// It returns the handle, which cannot be forgotten without a warning:
    ///
    /// ```compile_fail
    /// #![deny(unused_must_use)]
    /// # fn main() -> Result<(), agent_runtime::otel::TelemetrySetupError> {
    /// agent_runtime::otel::Telemetry::from_env("my-agents")?.install()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`TelemetrySetupError::SubscriberInstalled`] if there is one already. The export ends then, unless there is another
    /// clone of this handle.
    pub fn install(self) -> Result<Self, TelemetrySetupError> {
        let registry = tracing_subscriber::registry().with(self.layer().with_filter(BridgeFilter));
        tracing::subscriber::set_global_default(registry).map_err(TelemetrySetupError::SubscriberInstalled)?;
        if self.0.options.sets_globals {
            globals::set(self.tracer_provider(), self.meter_provider());
        }
        Ok(self)
    }

    /// The provider of the spans, for further tracers: `tracing-opentelemetry`'s, say.
    #[must_use]
    pub fn tracer_provider(&self) -> &SdkTracerProvider {
        &self.0.spans.provider
    }

    /// The state machine from events to spans, for its counters and for events from elsewhere.
    #[must_use]
    pub fn mapper(&self) -> &Arc<SpanMapper<SdkTracer>> {
        &self.0.spans.mapper
    }

    /// The provider of the metrics, for further meters; `None` if there is nowhere for metrics to go.
    #[must_use]
    pub fn meter_provider(&self) -> Option<&SdkMeterProvider> {
        self.0.metrics.as_ref().map(|metrics| &metrics.provider)
    }

    /// The state machine from events to metrics, for its counters and for events from elsewhere; `None` if there is
    /// nowhere for metrics to go.
    #[must_use]
    pub fn metrics(&self) -> Option<&Arc<MetricsRecorder>> {
        self.0.metrics.as_ref().map(|metrics| &metrics.recorder)
    }

    /// The provider of the log events, if there are any.
    #[must_use]
    pub fn logger_provider(&self) -> Option<&SdkLoggerProvider> {
        self.0.logs.as_ref().map(|logs| &logs.provider)
    }

    /// The state machine from events to log events, for its counters; `None` if there are none.
    #[must_use]
    pub fn log_emitter(&self) -> Option<&Arc<LogEmitter>> {
        self.0.logs.as_ref().map(|logs| &logs.emitter)
    }

    /// The variables whose values cannot be used and count as not set.
    ///
    /// Each was also reported when the export was set up: as a warning of `tracing` if a subscriber was there, else on the
    /// standard error stream.
    #[must_use]
    pub fn ignored_settings(&self) -> &[EnvironmentError] {
        &self.0.options.ignored
    }

    /// What became of spans, metrics and log events so far, for a health endpoint, say.
    #[must_use]
    pub fn report(&self) -> ExportReport {
        self.0.report()
    }

    /// Sends all that has ended and been measured so far, waits for it up to the shutdown timeout, and goes on.
    ///
    /// Blocks the thread; call it through `spawn_blocking` in async code. What is open stays open.
    ///
    /// # Errors
    ///
    /// If something was lost, now or earlier, or has not arrived in time; the error says what, of each signal. Also if an
    /// exporter or a processor calls this, which cannot wait for itself: nothing has been sent then.
    pub fn flush(&self) -> Result<ExportReport, ExportError> {
        self.0.flush()
    }

    /// Ends the spans that are open, sends what is left and waits for it, up to the shutdown timeout.
    ///
    /// Blocks the thread; call it at the end of `main`, or through `spawn_blocking` elsewhere. A provider of the user's
    /// is flushed and left running. A second call, by any clone, returns what the first one did.
    ///
    /// # Errors
    ///
    /// If something was lost, now or earlier; the error says what, of each signal. Also if an exporter or a processor calls
    /// this, which cannot wait for itself: the export goes on then.
    pub fn shutdown(&self) -> Result<ExportReport, ExportError> {
        self.0.shutdown()
    }
}

impl Running {
    fn report(&self) -> ExportReport {
        ExportReport {
            spans: self.spans.report(),
            metrics: self.metrics.as_ref().map(|metrics| metrics.report()).unwrap_or_default(),
            logs: self.logs.as_ref().map(|logs| logs.report()).unwrap_or_default(),
            unseen_events: self.unseen_events(),
        }
    }

    /// The events that passed by, if none has come here: some may be meant for another telemetry.
    fn unseen_events(&self) -> u64 {
        if self.options.is_disabled || self.spans.mapper.has_observed() {
            0
        } else {
            unseen_events_in_process() - self.unseen_before
        }
    }

    fn flush(&self) -> Result<ExportReport, ExportError> {
        self.outside(|| {
            let end = self.end.lock().clone();
            end.unwrap_or_else(|| self.finish(false).into_result())
        })
    }

    fn shutdown(&self) -> Result<ExportReport, ExportError> {
        self.outside(|| self.end.lock().get_or_insert_with(|| self.end()).clone())
    }

    /// Waits for the export, unless this is called by what would be waited for.
    fn outside(&self, wait: impl FnOnce() -> Result<ExportReport, ExportError>) -> Result<ExportReport, ExportError> {
        Inside::unless_inside(wait).unwrap_or_else(|| Err(self.report().into_error_from_inside()))
    }

    fn end(&self) -> Result<ExportReport, ExportError> {
        self.spans.mapper.close();
        if let Some(metrics) = &self.metrics {
            metrics.recorder.close();
        }
        if let Some(logs) = &self.logs {
            logs.emitter.close();
        }
        self.finish(true).into_result()
    }

    /// Flushes or ends the three signals at once, so that one that hangs does not take the time of the others.
    ///
    /// The last export of metrics waits for the spans' end so as to report it, but no longer than half of the time, so that
    /// spans that do not arrive do not take the metrics with them.
    fn finish(&self, end: bool) -> ExportReport {
        let timeout = self.options.timeout.min(LONGEST_TIMEOUT);
        let deadline = Instant::now() + timeout;
        let (spans_going_on, spans_over) = mpsc::channel::<()>();
        let spans = Arc::clone(&self.spans);
        let spans = Finishing::begin("agent-runtime-spans", deadline, move || {
            let report = spans.finish(end, timeout);
            drop(spans_going_on);
            report
        });
        let logs = self.logs.as_ref().map(Arc::clone);
        let logs = logs.map(|logs| Finishing::begin("agent-runtime-logs", deadline, move || logs.finish(end, timeout)));
        let metrics = self.metrics.as_ref().map(Arc::clone).map(|metrics| {
            Finishing::begin("agent-runtime-metrics", deadline, move || {
                // It returns when the spans are over, too.
                spans_over.recv_timeout(timeout / 2).ok();
                metrics.finish(end)
            })
        });
        let in_time = |counts| SignalReport::of(counts, Some(OTelSdkError::Timeout(timeout)));
        ExportReport {
            spans: spans.wait().unwrap_or_else(|| in_time(&self.spans.counts)),
            logs: match (logs, &self.logs) {
                (Some(finishing), Some(logs)) => finishing.wait().unwrap_or_else(|| in_time(&logs.counts)),
                _ => SignalReport::default(),
            },
            metrics: match (metrics, &self.metrics) {
                (Some(finishing), Some(metrics)) => {
                    finishing.wait().unwrap_or_else(|| metrics.report_with(Some(OTelSdkError::Timeout(timeout))))
                }
                _ => super::MetricsReport::default(),
            },
            unseen_events: self.unseen_events(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A drop has nobody to report to; `shutdown` does.
        drop(self.shutdown());
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry")
            .field("spans", &self.0.spans)
            .field("metrics", &self.0.metrics)
            .field("logs", &self.0.logs)
            .field("timeout", &self.0.options.timeout)
            .finish_non_exhaustive()
    }
}
