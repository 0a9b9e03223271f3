//! How the export is set up.

use std::{
    fmt,
    io::{self, Write as _},
    time::Duration,
};

use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::{Resource, resource::TelemetryResourceDetector};
use rand::{RngExt as _, rngs::StdRng};
use tracing::Level;

use crate::{
    environment::{
        EnvironmentError, open_inference,
        telemetry::{self as environment, SdkSettings},
    },
    otel::{
        ContentCapture, ContentPolicy, ProgressSignal, Redactor,
        export::{
            StoredExport, Telemetry, TelemetrySetupError, logs::LogsSetup, metrics::MetricsSetup, otlp::Connector,
            plan::Plan, spans::SpansSetup, telemetry::Options,
        },
        names,
    },
};

/// How [`Telemetry`] is set up.
///
/// The order of the calls does not matter: exporters, threads and queues are made by [`build`](Self::build), which is
/// also when the environment is read.
///
/// # Examples
///
/// ```
/// use agent_runtime::otel::{ContentCapture, PriceTable, Telemetry};
///
/// let telemetry = Telemetry::builder("my-agents")
///     .with_otlp_if_endpoint_set()
///     .with_content_capture(ContentCapture::NoContent)
///     .with_prices(PriceTable::new("USD")?)
///     .with_max_open_spans(1_000)
///     .build()?;
/// assert_eq!(telemetry.mapper().open_spans(), 0);
/// assert!(telemetry.shutdown()?.is_complete());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "nothing is exported until `build`"]
pub struct TelemetryBuilder {
    service_name: String,
    otlp: Otlp,
    captures_from_env: bool,
    content: ContentPolicy,
    progress: ProgressSignal,
    shutdown_timeout: Option<Duration>,
    sets_globals: bool,
    pub(super) spans: SpansSetup,
    pub(super) metrics: MetricsSetup,
    pub(super) logs: LogsSetup,
}

/// Whether there is an export over OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Otlp {
    No,
    IfEndpointSet,
    Yes,
}

impl Telemetry {
    /// Sets up the export under a service name, before which `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` go.
    ///
    /// Each call also makes a random `service.instance.id`, unless `OTEL_RESOURCE_ATTRIBUTES` has one, so that the metrics
    /// of several processes of one service add up.
    pub fn builder(service_name: impl Into<String>) -> TelemetryBuilder {
        TelemetryBuilder::new(service_name.into())
    }

    /// Exports over OTLP as the OpenTelemetry variables say, by default to `http://localhost:4318` over HTTP/protobuf and
    /// without content: spans, metrics, and log events if content is captured in them.
    ///
    /// # Errors
    ///
    /// Those of [`TelemetryBuilder::build`].
    ///
    #[doc = include_str!("../../../../docs/environment.md")]
    pub fn from_env(service_name: impl Into<String>) -> Result<Self, TelemetrySetupError> {
        Self::builder(service_name).with_content_capture_from_env().with_otlp_from_env().build()
    }
}

impl TelemetryBuilder {
    /// How long a shutdown waits for the backend by default, where OTLP's own limit is not longer.
    pub const DEFAULT_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

    fn new(service_name: String) -> Self {
        Self {
            service_name,
            otlp: Otlp::No,
            captures_from_env: false,
            content: ContentPolicy::default(),
            progress: ProgressSignal::default(),
            shutdown_timeout: None,
            sets_globals: false,
            spans: SpansSetup::default(),
            metrics: MetricsSetup::default(),
            logs: LogsSetup::default(),
        }
    }

    /// Sets where content goes: what was asked and answered. By default, nowhere.
    ///
    /// With content, exporters send smaller batches.
    pub fn with_content_capture(mut self, capture: ContentCapture) -> Self {
        self.content = self.content.with_capture(capture);
        self.captures_from_env = false;
        self
    }

    /// Sets where content goes as [`ContentCapture::from_env`] reads it, and whether under OpenInference's names as well, as
    /// `AGENT_RUNTIME_OPEN_INFERENCE` says if it is set. A value that neither knows counts as not set and is reported, as
    /// [`Telemetry::ignored_settings`] says.
    pub fn with_content_capture_from_env(mut self) -> Self {
        self.captures_from_env = true;
        self
    }

    /// Sets how long one attribute with content may be. By default,
    /// [`DEFAULT_MAX_CONTENT_BYTES`](crate::otel::DEFAULT_MAX_CONTENT_BYTES); see [`ContentPolicy::with_max_bytes`].
    pub fn with_max_content_bytes(mut self, bytes: usize) -> Self {
        self.content = self.content.with_max_bytes(bytes);
        self
    }

    /// Sets whether spans also carry the names that Arize Phoenix and MLflow show kinds, inputs and outputs by. By default,
    /// they do not; see [`ContentPolicy::with_open_inference`].
    pub fn with_open_inference(mut self, enabled: bool) -> Self {
        self.content = self.content.with_open_inference(enabled);
        self
    }

    /// Sets what the progress of components becomes. By default, events on their spans; [`ProgressSignal::LogEvents`] wants an
    /// exporter of logs, as [`with_otlp_from_env`](Self::with_otlp_from_env) has one then.
    pub fn with_progress(mut self, signal: ProgressSignal) -> Self {
        self.progress = signal;
        self
    }

    /// Sets what every text passes before it leaves the process. By default, nothing is redacted.
    pub fn with_redactor(mut self, redactor: impl Redactor + 'static) -> Self {
        self.content = self.content.with_redactor(redactor);
        self
    }

    /// Exports spans and metrics over OTLP, to where the variables listed at [`Telemetry::from_env`] say, and log events
    /// if content is captured in them or progress becomes them.
    ///
    /// The backend need not be up: spans and log events are sent in the background and tried again.
    pub fn with_otlp_from_env(mut self) -> Self {
        self.otlp = Otlp::Yes;
        self
    }

    /// Does what [`with_otlp_from_env`](Self::with_otlp_from_env) does if a variable names an endpoint, and exports
    /// nothing over OTLP otherwise: for programs that run with a collector and without.
    pub fn with_otlp_if_endpoint_set(mut self) -> Self {
        self.otlp = Otlp::IfEndpointSet;
        self
    }

    /// Sets how long a shutdown or a flush waits. By default, as long as the exporters over OTLP may take for a request
    /// (`OTEL_EXPORTER_OTLP_TIMEOUT`, else 10 seconds), but at least 5 seconds.
    pub fn with_shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = Some(timeout);
        self
    }

    /// Has [`Telemetry::install`] set OpenTelemetry's global tracer provider, meter provider and propagator too, from
    /// which instrumentation of other libraries takes its own: an HTTP client's middleware, say. By default, it does not.
    ///
    /// What the program has set itself stays. The propagator carries the trace's context and no baggage.
    pub fn with_opentelemetry_globals(mut self) -> Self {
        self.sets_globals = true;
        self
    }

    /// Reads the environment and starts the export.
    ///
    /// # Errors
    ///
    /// With an export over OTLP,
    ///
    /// - [`TelemetrySetupError::Environment`] if a variable asks for another exporter, protocol or compression than there
    ///   is, or names an endpoint that is no URL with a scheme,
    /// - [`TelemetrySetupError::MissingFeature`] if it asks for gRPC and the feature `otlp-grpc` is off,
    /// - [`TelemetrySetupError::Certificate`] if a certificate or a key cannot be read or used,
    /// - [`TelemetrySetupError::ClientCertificate`] if a client's certificate comes without its key, or the key without it,
    /// - [`TelemetrySetupError::Thread`] if a thread cannot be started,
    /// - [`TelemetrySetupError::Exporter`] if another setting cannot be used; an encrypted endpoint cannot on a machine
    ///   without certificates, unless a variable names some.
    pub fn build(mut self) -> Result<Telemetry, TelemetrySetupError> {
        let mut settings = self.read_settings();
        let is_disabled = self.otlp != Otlp::No && environment::is_disabled();
        if is_disabled {
            (self.spans, self.metrics, self.logs) = Default::default();
        } else if self.otlp.is_on() {
            let longest = self.connect(&mut settings.ignored)?;
            self.shutdown_timeout = self.shutdown_timeout.or(Some(longest));
        }
        let ignored = std::mem::take(&mut settings.ignored);
        ignored.iter().for_each(tell_ignored);
        let plan = plan(self.service_name, settings, self.content, self.progress);
        let spans = self.spans.start(&plan);
        if is_disabled {
            spans.disable();
        }
        let logs = self.logs.start(&plan);
        let metrics = self.metrics.start(&plan, &spans, logs.as_ref());
        let timeout = self.shutdown_timeout.unwrap_or(Self::DEFAULT_SHUTDOWN_TIMEOUT);
        let options = Options { timeout, ignored, sets_globals: self.sets_globals, is_disabled };
        Ok(Telemetry::new(spans, metrics, logs, options))
    }

    /// Sets up what sends the spans of stored events over OTLP: by the same sampler, policy for content, limits and resource,
    /// and beside the process's own telemetry, of which it is no part.
    ///
    /// ```no_run
    /// use agent_runtime::{otel::Telemetry, store::{Cursor, MemoryStore, Query}};
    ///
    /// # async fn again(store: MemoryStore) -> Result<(), Box<dyn std::error::Error>> {
    /// let export = Telemetry::builder("my-agents").with_otlp_from_env().build_for_store()?;
    /// let run = Query::default().with_workflow("0198c0de-0000-7000-8000-000000000000");
    /// println!("{} spans", export.send(&store, Cursor::Beginning, &run).await?.sent);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`TelemetrySetupError::NoCollector`] if nothing says where spans go, and those of [`build`](Self::build).
    pub fn build_for_store(mut self) -> Result<StoredExport, TelemetrySetupError> {
        let mut settings = self.read_settings();
        if !self.otlp.is_on() || environment::is_disabled() {
            return Err(TelemetrySetupError::NoCollector);
        }
        let connected = Connector::new(&mut settings.ignored).connect()?.ok_or(TelemetrySetupError::NoCollector)?;
        std::mem::take(&mut settings.ignored).iter().for_each(tell_ignored);
        let plan = plan(self.service_name, settings, self.content, self.progress);
        Ok(StoredExport::new(connected, plan, &self.spans))
    }

    /// What the environment says of the SDK, and of content if that was asked for.
    fn read_settings(&mut self) -> SdkSettings {
        let mut settings = SdkSettings::read();
        if self.captures_from_env {
            let content = std::mem::take(&mut self.content);
            self.content = content_from_env(content, &mut settings.ignored);
        }
        settings
    }

    /// Adds the exporters over OTLP; returns how long a shutdown has to wait for them.
    fn connect(&mut self, ignored: &mut Vec<EnvironmentError>) -> Result<Duration, TelemetrySetupError> {
        let mut connector = Connector::new(ignored);
        if let Some(connected) = connector.connect()? {
            self.spans.connect(connected);
        }
        if let Some(connected) = connector.connect()? {
            self.metrics.connect(connected);
        }
        if (self.content.capture().is_in_events() || self.progress.is_in_logs())
            && let Some(connected) = connector.connect()?
        {
            self.logs.connect(connected);
        }
        Ok(connector.longest_timeout().max(Self::DEFAULT_SHUTDOWN_TIMEOUT))
    }
}

impl Otlp {
    fn is_on(self) -> bool {
        match self {
            Self::No => false,
            Self::IfEndpointSet => environment::has_endpoint(),
            Self::Yes => true,
        }
    }
}

/// What all signals are made with.
fn plan(service_name: String, settings: SdkSettings, content: ContentPolicy, progress: ProgressSignal) -> Plan {
    let scope =
        InstrumentationScope::builder(names::INSTRUMENTATION_SCOPE).with_version(env!("CARGO_PKG_VERSION")).build();
    let resource = resource(service_name, &settings);
    Plan { settings, content, progress, resource, scope }
}

/// Where content goes and under which names, as the environment says it.
fn content_from_env(content: ContentPolicy, ignored: &mut Vec<EnvironmentError>) -> ContentPolicy {
    let mut heed = |error| ignored.push(error);
    let content = content.with_capture(ContentCapture::from_env().map_err(&mut heed).unwrap_or_default());
    match open_inference().map_err(&mut heed) {
        Ok(Some(enabled)) => content.with_open_inference(enabled),
        Ok(None) | Err(()) => content,
    }
}

/// Reports a value that counts as not set to whoever started the program: by `tracing` if anybody listens, else on the
/// standard error stream, since a subscriber is commonly installed only afterwards.
fn tell_ignored(error: &EnvironmentError) {
    if tracing::enabled!(Level::WARN) {
        tracing::warn!("{error}: it counts as not set");
    } else {
        // Nobody is left to tell if that stream is closed.
        writeln!(io::stderr(), "agent-runtime: {error}: it counts as not set").ok();
    }
}

/// What the environment says of this process, with a name and an id where it says none.
///
/// Without the id, two processes of one service send the same series, and a backend keeps one of them.
fn resource(service_name: String, settings: &SdkSettings) -> Resource {
    let id = uuid::Builder::from_random_bytes(rand::make_rng::<StdRng>().random()).into_uuid();
    let defaults =
        [KeyValue::new(names::SERVICE_NAME, service_name), KeyValue::new(names::SERVICE_INSTANCE_ID, id.to_string())];
    let attributes = settings.resource.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let name = settings.service_name.iter().map(|name| KeyValue::new(names::SERVICE_NAME, name.clone()));
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        // Of two values for a key, the later one counts.
        .with_attributes(defaults.into_iter().chain(attributes).chain(name))
        .build()
}

impl fmt::Debug for TelemetryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TelemetryBuilder").field("service_name", &self.service_name).finish_non_exhaustive()
    }
}
