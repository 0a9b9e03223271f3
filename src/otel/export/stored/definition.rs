//! What sends spans of stored events, and one request of it.

use std::fmt;

use opentelemetry_otlp::SpanExporter as OtlpSpanExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};

use super::fold::Fold;
use crate::otel::export::{
    otlp::Connected,
    plan::Plan,
    spans::{SpanBounds, SpansSetup},
    suppressed::Sent,
};

/// Sends the spans of events that a store holds over OTLP, under the ids, times and attributes that a bridge made of them
/// when they happened, or would have. Sending events again sends equal spans.
///
/// [`TelemetryBuilder::build_for_store`](crate::otel::TelemetryBuilder::build_for_store) makes it. It is no part of the
/// process's own telemetry and reads nothing but the store, so that spans come of what the store has acknowledged alone.
pub struct StoredExport {
    connected: Connected<OtlpSpanExporter>,
    plan: Plan,
    bounds: SpanBounds,
}

impl StoredExport {
    pub(in crate::otel::export) fn new(
        mut connected: Connected<OtlpSpanExporter>,
        plan: Plan,
        setup: &SpansSetup,
    ) -> Self {
        connected.exporter.set_resource(&plan.resource);
        Self { connected, plan, bounds: setup.bounds }
    }

    pub(super) fn fold(&self) -> Fold {
        Fold::new(&self.plan, self.bounds)
    }

    /// Where spans go, without secrets.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.connected.address
    }

    /// Sends one request and waits for what the collector says.
    pub(super) async fn request(&self, spans: Vec<SpanData>) -> Sent {
        self.connected.send(spans).await
    }
}

impl fmt::Debug for StoredExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredExport")
            .field("address", &self.connected.address)
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}
