//! How an exporter of any signal is connected to a collector, over HTTP or gRPC.

use std::time::Duration;

use opentelemetry_otlp::{Compression, ExporterBuildError, Protocol as OtlpProtocol, WithExportConfig, WithHttpConfig};
#[cfg(feature = "otlp-grpc")]
use opentelemetry_otlp::{WithTonicConfig, tonic_types::metadata::MetadataMap};
#[cfg(feature = "otlp-grpc")]
use percent_encoding::percent_decode_str;
use reqwest::Url;
#[cfg(feature = "otlp-grpc")]
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::{TelemetrySetupError, collector_client::CollectorClient, runtime::ExportRuntime, tls::Tls};
use crate::environment::{
    EnvironmentError,
    telemetry::{OtlpSettings, Protocol},
};

pub(super) use crate::environment::telemetry::Signal;

/// An exporter of one signal, made over either protocol.
pub(super) trait OtlpExporter: Sized {
    const SIGNAL: Signal;

    fn over_http(connection: HttpConnection) -> Result<Self, ExporterBuildError>;

    #[cfg(feature = "otlp-grpc")]
    fn over_grpc(connection: GrpcConnection) -> Result<Self, ExporterBuildError>;
}

/// An exporter and what its connections need.
pub(super) struct Connected<E> {
    pub(super) exporter: E,
    pub(super) runtime: ExportRuntime,
    /// Where it sends to, without secrets.
    pub(super) address: String,
}

/// Connects one exporter after the other, all on one runtime.
pub(super) struct Connector<'a> {
    ignored: &'a mut Vec<EnvironmentError>,
    runtime: Option<ExportRuntime>,
    longest_timeout: Duration,
}

/// What an exporter over HTTP is made with.
pub(super) struct HttpConnection {
    settings: OtlpSettings,
    client: CollectorClient,
}

/// What an exporter over gRPC is made with.
#[cfg(feature = "otlp-grpc")]
pub(super) struct GrpcConnection {
    settings: OtlpSettings,
    tls: Tls,
}

impl<'a> Connector<'a> {
    /// Begins, with a list for the settings that are ignored.
    pub(super) const fn new(ignored: &'a mut Vec<EnvironmentError>) -> Self {
        Self { ignored, runtime: None, longest_timeout: Duration::ZERO }
    }

    /// Makes the exporter of a signal; none if the environment leaves the signal out.
    pub(super) fn connect<E: OtlpExporter>(&mut self) -> Result<Option<Connected<E>>, TelemetrySetupError> {
        let Some(settings) = OtlpSettings::read(E::SIGNAL, self.ignored)? else { return Ok(None) };
        let address = without_secrets(settings.endpoint.clone());
        self.longest_timeout = self.longest_timeout.max(settings.timeout);
        let runtime = self.runtime()?;
        let exporter = {
            let _inside = runtime.enter();
            match settings.protocol.value {
                Protocol::HttpProtobuf => {
                    let client = CollectorClient::new(&settings, Tls::read(&settings)?)?;
                    E::over_http(HttpConnection { settings, client }).map_err(TelemetrySetupError::Exporter)?
                }
                Protocol::Grpc => over_grpc(settings)?,
            }
        };
        Ok(Some(Connected { exporter, runtime, address }))
    }

    /// How long a request may take, of all that are connected.
    pub(super) const fn longest_timeout(&self) -> Duration {
        self.longest_timeout
    }

    fn runtime(&mut self) -> Result<ExportRuntime, TelemetrySetupError> {
        let runtime = match self.runtime.take() {
            Some(runtime) => runtime,
            None => ExportRuntime::start()?,
        };
        Ok(self.runtime.insert(runtime).clone())
    }
}

#[cfg(feature = "otlp-grpc")]
fn over_grpc<E: OtlpExporter>(settings: OtlpSettings) -> Result<E, TelemetrySetupError> {
    let tls = Tls::read(&settings)?;
    E::over_grpc(GrpcConnection { settings, tls }).map_err(TelemetrySetupError::Exporter)
}

#[cfg(not(feature = "otlp-grpc"))]
#[expect(clippy::needless_pass_by_value, reason = "with the feature the settings go into the exporter")]
fn over_grpc<E: OtlpExporter>(settings: OtlpSettings) -> Result<E, TelemetrySetupError> {
    let variable = settings.protocol.variable;
    Err(TelemetrySetupError::MissingFeature { variable, value: "grpc".to_owned(), feature: "otlp-grpc" })
}

impl HttpConnection {
    /// Sets up an exporter's builder.
    pub(super) fn apply<B: WithExportConfig + WithHttpConfig>(self, builder: B) -> B {
        let Self { settings, client } = self;
        let builder = builder
            .with_protocol(OtlpProtocol::HttpBinary)
            .with_endpoint(settings.endpoint)
            .with_timeout(settings.timeout)
            .with_http_client(client);
        let builder = if settings.compresses { builder.with_compression(Compression::Gzip) } else { builder };
        builder.with_headers(pairs(settings.missed_headers.as_deref()).collect())
    }
}

#[cfg(feature = "otlp-grpc")]
impl GrpcConnection {
    /// Sets up an exporter's builder.
    pub(super) fn apply<B: WithExportConfig + WithTonicConfig>(self, builder: B) -> B {
        let Self { settings, tls } = self;
        let is_encrypted = settings.endpoint.scheme() == "https";
        let builder = builder.with_endpoint(settings.endpoint).with_timeout(settings.timeout);
        let builder = if settings.compresses { builder.with_compression(Compression::Gzip) } else { builder };
        let mut headers = HeaderMap::new();
        for (name, value) in pairs(settings.missed_headers.as_deref()) {
            let value = percent_decode_str(&value).collect::<Vec<_>>();
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_bytes(&value)) {
                headers.insert(name, value);
            }
        }
        let builder = builder.with_metadata(MetadataMap::from_headers(headers));
        if is_encrypted { builder.with_tls_config(tls.for_grpc()) } else { builder }
    }
}

/// The pairs of a list of headers, still encoded.
fn pairs(list: Option<&str>) -> impl Iterator<Item = (String, String)> {
    let pairs = list.unwrap_or_default().split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
}

fn without_secrets(mut url: Url) -> String {
    url.set_query(None);
    // A URL with a host can do without both.
    url.set_username("").and_then(|()| url.set_password(None)).map_or_else(|()| "…".to_owned(), |()| url.to_string())
}
