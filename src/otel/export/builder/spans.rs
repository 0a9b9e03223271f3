//! How spans are exported.

use std::time::Duration;

use opentelemetry_sdk::trace::{SdkTracerProvider, SpanExporter, SpanProcessor};

use super::TelemetryBuilder;
use crate::{environment::telemetry::BatchSettings, otel::export::spans::SpansSetup};

impl TelemetryBuilder {
    /// How many ended spans wait for an exporter by default; one that finds the queue full is dropped and counted.
    ///
    /// Eight times the SDK's own default, which a burst of a few hundred workflows overruns.
    pub const DEFAULT_QUEUE_SIZE: usize = SpansSetup::DEFAULT_QUEUE_SIZE;

    /// How many ended spans may wait for an exporter at most: the SDK takes the memory for all of them at once.
    pub const MAX_QUEUE_SIZE: usize = BatchSettings::MAX_SIZE;

    /// Passes every span to a processor of the user's as well; [`Telemetry::report`](crate::otel::Telemetry::report) does not count what it does.
    pub fn with_span_processor(mut self, processor: impl SpanProcessor + 'static) -> Self {
        self.spans.add_processor(processor);
        self
    }

    /// Sends every span to an exporter as well, through a queue of its own; each exporter counts for itself in
    /// [`Telemetry::report`](crate::otel::Telemetry::report).
    pub fn with_span_exporter(mut self, exporter: impl SpanExporter + 'static) -> Self {
        self.spans.add_exporter(exporter);
        self
    }

    /// Sets how many ended spans may wait for each exporter, from 1 to [`MAX_QUEUE_SIZE`](Self::MAX_QUEUE_SIZE)
    /// (131,072). By default, what `OTEL_BSP_MAX_QUEUE_SIZE` says, else 16,384.
    pub fn with_queue_size(mut self, spans: usize) -> Self {
        self.spans.queue_size = Some(spans.clamp(1, Self::MAX_QUEUE_SIZE));
        self
    }

    /// Sets how many spans may be open at once, at least 1; beyond it the oldest is ended as interrupted. By default,
    /// 65,536.
    pub fn with_max_open_spans(mut self, spans: usize) -> Self {
        self.spans.bounds.max_open = spans;
        self
    }

    /// Sets how long a span may stay open before it is ended as interrupted, which is looked at when the next one
    /// starts. By default, 24 hours.
    pub fn with_max_span_age(mut self, age: Duration) -> Self {
        self.spans.bounds.max_age = age;
        self
    }

    /// Sets how many span events the progress of one component becomes at most, at least 1. By default, 96, or three
    /// quarters of what `OTEL_SPAN_EVENT_COUNT_LIMIT` leaves, if that is less.
    pub fn with_max_progress_events(mut self, events: u32) -> Self {
        self.spans.bounds.max_progress_events = events;
        self
    }

    /// Uses a provider of the user's instead of making one; exporters of this builder are not used then.
    ///
    /// For ids that are functions of the events, build it with an [`EventIdGenerator`](crate::otel::EventIdGenerator).
    pub fn with_tracer_provider(mut self, provider: SdkTracerProvider) -> Self {
        self.spans.provider = Some(provider);
        self
    }
}
