//! What the exporters of all signals share: the protocol and the thread for gRPC.

use std::env;

use opentelemetry_otlp::{OTEL_EXPORTER_OTLP_PROTOCOL, Protocol};
use tokio::runtime::{Handle, Runtime};
use tracing::subscriber::NoSubscriber;

use super::TelemetryError;

/// The protocol for a signal, whose own variable goes before the one for all.
pub(super) fn protocol_from_env(signal_variable: &'static str) -> Result<Protocol, TelemetryError> {
    for variable in [signal_variable, OTEL_EXPORTER_OTLP_PROTOCOL] {
        let Ok(value) = env::var(variable) else { continue };
        return match value.trim().to_ascii_lowercase().as_str() {
            "" => continue,
            "grpc" => Ok(Protocol::Grpc),
            "http/protobuf" => Ok(Protocol::HttpBinary),
            _ => Err(TelemetryError::Protocol { variable, value }),
        };
    }
    Ok(Protocol::HttpBinary)
}

/// Whether a signal is to be exported over OTLP, as it is unless its variable, `OTEL_TRACES_EXPORTER` say, is `none`.
pub(super) fn exports_over_otlp(variable: &'static str) -> Result<bool, TelemetryError> {
    let Ok(value) = env::var(variable) else { return Ok(true) };
    match value.trim().to_ascii_lowercase().as_str() {
        "" | "otlp" => Ok(true),
        "none" => Ok(false),
        _ => Err(TelemetryError::ExporterKind { variable, value }),
    }
}

/// One thread for the exporters' connections, on which `tracing` is off, so that the bridge never observes itself.
///
/// Its drop does not wait, which inside of the user's runtime would panic.
#[derive(Debug)]
pub(super) struct ExportRuntime {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl ExportRuntime {
    pub(super) fn start() -> Result<Self, TelemetryError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("agent-runtime-otlp")
            .enable_all()
            .on_thread_start(|| {
                // Kept for the life of the thread, which does nothing else.
                std::mem::forget(tracing::subscriber::set_default(NoSubscriber::default()));
            })
            .build();
        let runtime = runtime.map_err(TelemetryError::Thread)?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Leaves the thread to an exporter that still uses it and would panic without.
    pub(super) fn abandon(mut self) {
        std::mem::forget(self.runtime.take());
    }
}

impl Drop for ExportRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
