//! What the exporters of all signals share: their variables, the protocol and the thread for gRPC.

use std::{
    env,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
};

use opentelemetry_otlp::Protocol;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use tokio::runtime::{EnterGuard, Runtime};
use tracing::Dispatch;

use super::{
    TelemetryError,
    remarks::{self, Rejection, Remarks},
};

/// What is exported, with variables of its own that go before those for all.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signal {
    Traces,
    Metrics,
    Logs,
}

/// The variables of a setting: one for each signal, in the order of [`Signal`], and one for all.
pub(super) struct Setting([&'static str; 4]);

macro_rules! setting {
    ($name:literal) => {
        $crate::otel::export::transport::Setting::new([
            concat!("OTEL_EXPORTER_OTLP_TRACES_", $name),
            concat!("OTEL_EXPORTER_OTLP_METRICS_", $name),
            concat!("OTEL_EXPORTER_OTLP_LOGS_", $name),
            concat!("OTEL_EXPORTER_OTLP_", $name),
        ])
    };
}
pub(super) use setting;

impl Setting {
    pub(super) const fn new(variables: [&'static str; 4]) -> Self {
        Self(variables)
    }

    /// The variables that say something for a signal, its own first, with what they say; empty is as good as not set.
    pub(super) fn values(&self, signal: Signal) -> impl Iterator<Item = (&'static str, String)> {
        let [.., for_all] = self.0;
        let variables = [self.0[signal as usize], for_all].into_iter();
        let values = variables.filter_map(|variable| Some((variable, env::var(variable).ok()?)));
        values.filter(|(_, value)| !value.trim().is_empty())
    }

    pub(super) fn value(&self, signal: Signal) -> Option<(&'static str, String)> {
        self.values(signal).next()
    }

    pub(super) const fn for_all(&self) -> &'static str {
        self.0[3]
    }
}

const PROTOCOL: Setting = setting!("PROTOCOL");
const COMPRESSION: Setting = setting!("COMPRESSION");

/// The protocol for a signal, whose own variable goes before the one for all.
pub(super) fn protocol_from_env(signal: Signal) -> Result<Protocol, TelemetryError> {
    let Some((variable, value)) = PROTOCOL.value(signal) else { return Ok(Protocol::HttpBinary) };
    match value.trim().to_ascii_lowercase().as_str() {
        "grpc" => Ok(Protocol::Grpc),
        "http/protobuf" => Ok(Protocol::HttpBinary),
        _ => Err(TelemetryError::Protocol { variable, value }),
    }
}

/// Refuses a compression that is not supported, which the exporter would leave out without a word.
pub(super) fn check_compression(signal: Signal) -> Result<(), TelemetryError> {
    match COMPRESSION.value(signal) {
        Some((variable, value)) if !["gzip", "none"].contains(&value.to_ascii_lowercase().as_str()) => {
            Err(TelemetryError::Compression { variable, value })
        }
        _ => Ok(()),
    }
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

/// What became of an export.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) result: OTelSdkResult,
    /// How many items the collector did not take, if it took the others.
    pub(super) rejected: Option<u64>,
}

/// Polls an export inside of the runtime of its connections, as the SDK's threads are in none, and with `tracing` off, so
/// that the bridge never observes itself.
///
/// `items` says what is exported, `5 spans` say.
pub(super) async fn quietly(
    runtime: Option<&ExportRuntime>,
    items: &str,
    export: impl Future<Output = OTelSdkResult>,
) -> Sent {
    let mut export = pin!(export);
    let mut remarks = Remarks::default();
    let result = poll_fn(|cx| {
        let _runtime = runtime.map(ExportRuntime::enter);
        let _quiet = tracing::dispatcher::set_default(&remarks::EAR);
        let polled = export.as_mut().poll(cx);
        remarks.add(remarks::take());
        polled
    })
    .await;
    match (result, remarks) {
        (Ok(()), Remarks { rejection: Some(Rejection { items: rejected @ 1.., message }), .. }) => {
            let reason = format!("the collector rejected {rejected} of {items}: {message}");
            Sent { result: Err(OTelSdkError::InternalFailure(reason)), rejected: Some(rejected) }
        }
        (Err(OTelSdkError::InternalFailure(failure)), Remarks { network: Some(reason), .. }) => {
            let reason = format!("{failure}: {reason}");
            Sent { result: Err(OTelSdkError::InternalFailure(reason)), rejected: None }
        }
        (result, _) => Sent { result, rejected: None },
    }
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
                std::mem::forget(tracing::dispatcher::set_default(&Dispatch::none()));
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
