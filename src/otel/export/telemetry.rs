//! The one set-up call: exporter, provider, layer, and the guard that sees everything out.

use std::{
    fmt, io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use opentelemetry_sdk::{
    error::OTelSdkError,
    logs::SdkLoggerProvider,
    metrics::SdkMeterProvider,
    trace::{SdkTracer, SdkTracerProvider},
};
use thiserror::Error;
use tracing_subscriber::layer::SubscriberExt as _;

use super::{
    Delivery, TelemetryBuilder,
    delivery::Counts,
    logs::LogsExport,
    metrics::{Finishing, MetricsExport},
};
use crate::otel::{MetricsRecorder, OtelLayer, SpanMapper, UnknownContentCapture};

/// How long a shutdown waits for the backend by default.
pub const DEFAULT_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// The export of this process's events as OpenTelemetry spans and metrics.
///
/// Keep it until the end of the program and call [`shutdown`](Self::shutdown): a drop does the same but cannot tell what
/// was lost.
#[must_use = "dropping it ends the export"]
pub struct Telemetry {
    pub(super) provider: SdkTracerProvider,
    pub(super) mapper: Arc<SpanMapper<SdkTracer>>,
    pub(super) metrics: Option<MetricsExport>,
    pub(super) counts: Arc<Counts>,
    pub(super) owns_provider: bool,
    pub(super) shutdown_timeout: Duration,
    pub(super) is_shut_down: bool,
    pub(super) logs: Option<LogsExport>,
    pub(super) unknown_capture: Option<UnknownContentCapture>,
}

/// The export could not be set up, or not be brought to a good end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// A variable names a protocol that is not supported.
    #[error("{variable}={value:?} is not supported: expected \"grpc\" or \"http/protobuf\"")]
    Protocol {
        /// The environment variable.
        variable: &'static str,
        /// Its value.
        value: String,
    },
    /// A variable names a kind of exporter that is not supported.
    #[error("{variable}={value:?} is not supported: expected \"otlp\" or \"none\"")]
    ExporterKind {
        /// The environment variable.
        variable: &'static str,
        /// Its value.
        value: String,
    },
    /// A variable names a compression that is not supported.
    #[error("{variable}={value:?} is not supported: expected \"gzip\" or \"none\"")]
    Compression {
        /// The environment variable.
        variable: &'static str,
        /// Its value.
        value: String,
    },
    /// A file with certificates or a key cannot be read, or holds none that can be used.
    #[error("{variable}={:?} cannot be used", .path)]
    Certificate {
        /// The environment variable.
        variable: &'static str,
        /// The file that it names.
        path: PathBuf,
        /// What is wrong with the file.
        #[source]
        source: io::Error,
    },
    /// Of a client's certificate and its key, only one is given.
    #[error("{variable} is set and {missing} is not: a client certificate needs both")]
    ClientCertificate {
        /// The environment variable that is set.
        variable: &'static str,
        /// The one that is not.
        missing: &'static str,
    },
    /// The exporter could not be made from the `OTEL_*` variables.
    #[error("the OTLP exporter cannot be set up; see the OTEL_EXPORTER_OTLP_* variables")]
    Exporter(#[source] opentelemetry_otlp::ExporterBuildError),
    /// A thread that the export needs could not be started.
    #[error("a thread for the exporter cannot be started")]
    Thread(#[source] io::Error),
    /// A `tracing` subscriber is installed already; add [`Telemetry::layer`] to that one.
    #[error("a global tracing subscriber is installed already: add `telemetry.layer()` to it")]
    SubscriberInstalled(#[source] tracing::subscriber::SetGlobalDefaultError),
    /// Not every span has arrived.
    #[error(
        "{} of {} spans did not arrive ({} refused or unreachable, {} not sent){}{}",
        .delivery.failed + .delivery.unsent(), .delivery.ended, .delivery.failed, .delivery.unsent(),
        if .metrics.is_some() { ", nor did the last metrics" } else { "" }, and_logs(.logs)
    )]
    Incomplete {
        /// What became of the spans.
        delivery: Delivery,
        /// What the SDK says.
        #[source]
        source: Option<OTelSdkError>,
        /// What the SDK says of the metrics, if they did not arrive either.
        metrics: Option<OTelSdkError>,
        /// What became of the log events, if not all of them arrived either.
        logs: Option<Delivery>,
    },
    /// Every span has arrived, but the last metrics have not.
    #[error(
        "the last metrics did not arrive, all {} spans did{}; set OTEL_METRICS_EXPORTER=none for a backend without metrics",
        .delivery.exported, and_logs(.logs)
    )]
    Metrics {
        /// What became of the spans.
        delivery: Delivery,
        /// What the SDK says.
        #[source]
        source: OTelSdkError,
        /// What became of the log events, if not all of them arrived either.
        logs: Option<Delivery>,
    },
    /// The provider, which belongs to the user, did not flush.
    #[error("the spans could not be flushed")]
    Flush(#[source] OTelSdkError),
    /// Not every log event has arrived.
    #[error(
        "{} of {} log events did not arrive ({} refused or unreachable, {} not sent)",
        .delivery.failed + .delivery.unsent(), .delivery.ended, .delivery.failed, .delivery.unsent()
    )]
    IncompleteLogs {
        /// What became of the log events.
        delivery: Delivery,
        /// What the SDK says.
        #[source]
        source: Option<OTelSdkError>,
    },
    /// The logger provider, which belongs to the user, did not flush.
    #[error("the log events could not be flushed")]
    FlushLogs(#[source] OTelSdkError),
}

impl Telemetry {
    /// Sets up the export under a service name, which `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` override.
    ///
    /// Each call also gives a random `service.instance.id`, unless `OTEL_RESOURCE_ATTRIBUTES` has one, so that the metrics
    /// of several processes of one service add up.
    pub fn builder(service_name: impl Into<String>) -> TelemetryBuilder {
        TelemetryBuilder::new(service_name.into())
    }

    /// Exports over OTLP as the `OTEL_*` variables say, by default to `http://localhost:4318` over HTTP/protobuf and
    /// without content.
    ///
    /// # Errors
    ///
    /// Those of [`TelemetryBuilder::with_otlp_from_env`].
    pub fn from_env(service_name: impl Into<String>) -> Result<Self, TelemetryError> {
        Ok(Self::builder(service_name).with_content_capture_from_env().with_otlp_from_env()?.build())
    }

    /// The layer for a `tracing` registry of the user's.
    #[must_use]
    pub fn layer(&self) -> OtelLayer {
        let layer = OtelLayer::new(Arc::clone(&self.mapper));
        let layer = match self.metrics() {
            Some(metrics) => layer.with_metrics(Arc::clone(metrics)),
            None => layer,
        };
        match &self.logs {
            Some(logs) => layer.with_log_events(Arc::clone(&logs.emitter)),
            None => layer,
        }
    }

    /// The provider of the spans, for further tracers: `tracing-opentelemetry`'s, say.
    #[must_use]
    pub const fn tracer_provider(&self) -> &SdkTracerProvider {
        &self.provider
    }

    /// The state machine from events to spans, for its counters and for events from elsewhere.
    #[must_use]
    pub const fn mapper(&self) -> &Arc<SpanMapper<SdkTracer>> {
        &self.mapper
    }

    /// The provider of the metrics, for further meters; `None` if there is nowhere for metrics to go.
    #[must_use]
    pub fn meter_provider(&self) -> Option<&SdkMeterProvider> {
        self.metrics.as_ref().map(|metrics| &metrics.provider)
    }

    /// The state machine from events to metrics, for its counters and for events from elsewhere; `None` if there is
    /// nowhere for metrics to go.
    #[must_use]
    pub fn metrics(&self) -> Option<&Arc<MetricsRecorder>> {
        self.metrics.as_ref().map(|metrics| &metrics.recorder)
    }

    /// What became of the spans so far; always zero with a provider of the user's.
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        self.counts.read()
    }

    /// The provider of the log events, if there are any.
    #[must_use]
    pub fn logger_provider(&self) -> Option<&SdkLoggerProvider> {
        self.logs.as_ref().map(|logs| &logs.provider)
    }

    /// What became of the log events so far; always zero with a provider of the user's.
    #[must_use]
    pub fn log_delivery(&self) -> Delivery {
        self.logs.as_ref().map(LogsExport::delivery).unwrap_or_default()
    }

    /// The value in the environment for which no content is captured, though it may have been meant to.
    #[must_use]
    pub const fn unknown_capture(&self) -> Option<&UnknownContentCapture> {
        self.unknown_capture.as_ref()
    }

    /// Installs a `tracing` subscriber for the process that consists of the layer alone.
    ///
    /// # Errors
    ///
    /// [`TelemetryError::SubscriberInstalled`] if there is one already.
    pub fn install(&self) -> Result<(), TelemetryError> {
        let registry = tracing_subscriber::registry().with(self.layer());
        tracing::subscriber::set_global_default(registry).map_err(TelemetryError::SubscriberInstalled)
    }

    /// Ends the spans that are open, sends what is left and waits for it, up to the shutdown timeout.
    ///
    /// Blocks the thread; call it at the end of `main`, or through `spawn_blocking` elsewhere. A provider of the user's
    /// is flushed and left running.
    ///
    /// # Errors
    ///
    /// - [`TelemetryError::Incomplete`] if spans were lost, now or earlier; it counts them.
    /// - [`TelemetryError::Metrics`] if all spans arrived and the last metrics did not.
    /// - [`TelemetryError::IncompleteLogs`] if all of these arrived and log events were lost.
    /// - [`TelemetryError::Flush`] or [`TelemetryError::FlushLogs`] if a provider of the user's does not flush.
    pub fn shutdown(mut self) -> Result<Delivery, TelemetryError> {
        self.finish()
    }

    fn finish(&mut self) -> Result<Delivery, TelemetryError> {
        self.is_shut_down = true;
        let begun = Instant::now();
        self.mapper.close();
        let metrics = self.metrics.take().map(|metrics| metrics.finish(self.shutdown_timeout));
        let spans = self.finish_spans();
        let left = self.shutdown_timeout.saturating_sub(begun.elapsed());
        let logs = self.logs.as_ref().map_or(Ok(()), |logs| logs.finish(left));
        let metrics = metrics.map_or(Ok(()), Finishing::wait);
        let lost_logs = match &logs {
            Err(TelemetryError::IncompleteLogs { delivery, .. }) => Some(*delivery),
            _ => None,
        };
        match (spans, metrics) {
            (Ok(delivery), Ok(())) => logs.map(|()| delivery),
            (Ok(delivery), Err(source)) => Err(TelemetryError::Metrics { delivery, source, logs: lost_logs }),
            (Err(TelemetryError::Incomplete { delivery, source, .. }), metrics) => {
                Err(TelemetryError::Incomplete { delivery, source, metrics: metrics.err(), logs: lost_logs })
            }
            (Err(spans), _) => Err(spans),
        }
    }

    fn finish_spans(&self) -> Result<Delivery, TelemetryError> {
        if !self.owns_provider {
            return self.provider.force_flush().map(|()| self.counts.read()).map_err(TelemetryError::Flush);
        }
        let result = self.provider.shutdown_with_timeout(self.shutdown_timeout);
        let delivery = self.counts.read();
        if result.is_ok() && delivery.exported == delivery.ended {
            Ok(delivery)
        } else {
            let source = result.err().or_else(|| self.counts.last_failure.get());
            Err(TelemetryError::Incomplete { delivery, source, metrics: None, logs: None })
        }
    }
}

fn and_logs(lost: &Option<Delivery>) -> String {
    lost.map(|logs| format!("; of {} log events {} did not arrive", logs.ended, logs.failed + logs.unsent()))
        .unwrap_or_default()
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if !self.is_shut_down {
            // A drop has nobody to tell; `shutdown` does.
            drop(self.finish());
        }
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry")
            .field("delivery", &self.delivery())
            .field("mapper", &self.mapper)
            .field("metrics", &self.metrics)
            .field("logs", &self.logs)
            .finish_non_exhaustive()
    }
}
