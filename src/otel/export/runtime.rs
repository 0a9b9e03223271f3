//! The thread that carries the exporters' connections.

use std::sync::Arc;

use tokio::runtime::{EnterGuard, Runtime};
use tracing::Dispatch;

use super::TelemetrySetupError;

/// One thread for the exporters' connections, on which `tracing` is off, so that the bridge never observes itself.
///
/// It ends with the last clone. Each exporter holds one, since a shutdown that runs out of time leaves exporters behind
/// that are still at work, and their timers panic once the runtime is gone.
#[derive(Clone, Debug)]
pub(super) struct ExportRuntime(Arc<Owned>);

#[derive(Debug)]
struct Owned(Option<Runtime>);

impl ExportRuntime {
    pub(super) fn start() -> Result<Self, TelemetrySetupError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("agent-runtime-otlp")
            .enable_all()
            .on_thread_start(|| {
                // Kept for the life of the thread, which does nothing else.
                std::mem::forget(tracing::dispatcher::set_default(&Dispatch::none()));
            })
            .build()
            .map_err(TelemetrySetupError::Thread)?;
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
