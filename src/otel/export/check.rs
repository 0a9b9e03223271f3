//! Whether a collector takes what this process would send to it, asked before there is anything to send.

use opentelemetry_otlp::SpanExporter as OtlpSpanExporter;

use super::{ExportFailure, TelemetrySetupError, otlp::Connector};
use crate::environment::telemetry;

/// What a collector said to a request without spans.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CollectorAnswer {
    /// The address that was asked, without a name and a password in it.
    pub address: String,
    /// Why it does not take spans; `None` if it does.
    pub failure: Option<ExportFailure>,
}

/// Sends a request without spans to where the environment says that spans go, by the protocol, with the headers and the
/// certificates that an export has. The collector is left as it was. `None` if the environment names no endpoint, leaves spans out,
/// or turns telemetry off.
///
/// It takes at most as long as an export may, `OTEL_EXPORTER_OTLP_TIMEOUT`, 10 s by default.
///
/// # Errors
///
/// [`TelemetrySetupError`] if a variable cannot be used, such as an endpoint that is no URL.
///
/// # Cancel safety
///
/// It may be dropped at any time.
pub async fn ask_collector() -> Result<Option<CollectorAnswer>, TelemetrySetupError> {
    if telemetry::is_disabled() || !telemetry::has_endpoint() {
        return Ok(None);
    }
    let connected = Connector::new(&mut Vec::new()).connect::<OtlpSpanExporter>()?;
    let Some(connected) = connected else { return Ok(None) };
    let sent = connected.send(Vec::new()).await;
    let address = connected.address;
    let failure = sent.result.err().map(|failure| ExportFailure::new(&failure, Some(&address)));
    Ok(Some(CollectorAnswer { address, failure }))
}
