//! What sends spans of stored events, and one request of it.

use std::fmt;

use opentelemetry_otlp::SpanExporter as OtlpSpanExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};

use super::fold::{Fold, Limits};
use crate::otel::export::{
    otlp::Connected,
    plan::Plan,
    reentry::Inside,
    spans::SpansSetup,
    suppressed::{Sent, poll_suppressed},
};

/// Sends the spans of events that a store holds over OTLP, under the ids, times and attributes that a bridge made of them
/// when they happened, or would have. Sending events again sends equal spans.
///
/// [`TelemetryBuilder::build_for_store`](crate::otel::TelemetryBuilder::build_for_store) makes it. It is no part of the
/// process's own telemetry and reads nothing but the store, so that spans come of what the store has acknowledged alone.
pub struct StoredExport {
    connected: Connected<OtlpSpanExporter>,
    plan: Plan,
    limits: Limits,
}

impl StoredExport {
    pub(in crate::otel::export) fn new(
        mut connected: Connected<OtlpSpanExporter>,
        plan: Plan,
        setup: &SpansSetup,
    ) -> Self {
        connected.exporter.set_resource(&plan.resource);
        let limits = Limits {
            max_open: setup.max_open.max(1),
            max_age: setup.max_age,
            max_progress_events: setup.max_progress_events,
        };
        Self { connected, plan, limits }
    }

    pub(super) fn fold(&self) -> Fold {
        Fold::new(&self.plan, self.limits)
    }

    /// Where spans go, without secrets.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.connected.address
    }

    /// Sends one request and waits for what the collector says.
    pub(super) async fn request(&self, spans: Vec<SpanData>) -> Sent {
        let items = format!("{} spans", spans.len());
        let export = Inside::with(|| self.connected.exporter.export(spans));
        poll_suppressed(Some(&self.connected.runtime), &items, |_, _| {}, export).await
    }
}

impl fmt::Debug for StoredExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredExport")
            .field("address", &self.connected.address)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
