//! What the exporters of all signals share: the protocol and the thread for gRPC.

use std::{
    env,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
};

use opentelemetry_otlp::{OTEL_EXPORTER_OTLP_PROTOCOL, Protocol};
use tokio::runtime::{EnterGuard, Runtime};
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

/// Polls an export inside of the runtime of its connections, as the SDK's threads are in none, and with `tracing` off, so
/// that the bridge never observes itself.
pub(super) async fn quietly<F: Future>(runtime: Option<&ExportRuntime>, export: F) -> F::Output {
    let mut export = pin!(export);
    poll_fn(|cx| {
        let _runtime = runtime.map(ExportRuntime::enter);
        let _quiet = tracing::subscriber::set_default(NoSubscriber::default());
        export.as_mut().poll(cx)
    })
    .await
}

/// One thread for the exporters' connections, on which `tracing` is off, so that the bridge never observes itself.
///
/// It ends with the last clone. Each exporter holds one, since a shutdown that runs out of time leaves exporters behind
/// that are still at work, and their timers panic once the runtime is gone.
#[derive(Clone, Debug)]
pub(super) struct ExportRuntime(Arc<Owned>);

#[derive(Debug)]
struct Owned(Option<Runtime>);

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
            .build()
            .map_err(TelemetryError::Thread)?;
        Ok(Self(Arc::new(Owned(Some(runtime)))))
    }

    /// Makes it the current runtime of this thread.
    pub(super) fn enter(&self) -> Option<EnterGuard<'_>> {
        self.0.0.as_ref().map(Runtime::enter)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // A runtime's own drop blocks, which Tokio forbids in an async context, where the user may well be.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
