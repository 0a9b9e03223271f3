//! Where spans and measurements go: an SDK whose exporter does nothing, behind the bridge or behind the peer.

use std::{hint::black_box, sync::Arc};

use agent_runtime::{
    ingest::ingest,
    otel::{EventIdGenerator, MetricsRecorder, OtelLayer, SpanMapper},
    stream::EventStream,
};
use opentelemetry::{metrics::MeterProvider as _, trace::TracerProvider as _};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    metrics::{ManualReader, SdkMeterProvider},
    trace::{Sampler, SdkTracer, SdkTracerProvider, SpanData, SpanExporter, SpanProcessor},
};
use tracing::Dispatch;
use tracing_subscriber::{layer::SubscriberExt as _, registry};

/// An exporter that takes everything and does nothing.
#[derive(Debug)]
pub struct Nowhere;

impl SpanExporter for Nowhere {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        black_box(batch.len());
        Ok(())
    }
}

/// The providers of one benchmark.
#[derive(Debug)]
pub struct Backend {
    provider: SdkTracerProvider,
    meters: SdkMeterProvider,
    tracer: SdkTracer,
}

impl Backend {
    #[must_use]
    pub fn new(sampler: Sampler, processor: impl SpanProcessor + 'static) -> Self {
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(sampler)
            .with_id_generator(EventIdGenerator::default())
            .build();
        let meters = SdkMeterProvider::builder().with_reader(ManualReader::default()).build();
        Self { tracer: provider.tracer("bench"), provider, meters }
    }

    /// The tracer of the spans that are made by the SDK alone.
    #[must_use]
    pub const fn tracer(&self) -> &SdkTracer {
        &self.tracer
    }

    /// As `Telemetry` sets it up, for spans.
    fn layer(&self) -> OtelLayer {
        OtelLayer::new(Arc::new(SpanMapper::new(self.tracer.clone()).with_whole_workflows_sampled(true)))
    }

    #[must_use]
    pub fn bridge(&self) -> Dispatch {
        registry().with(self.layer()).into()
    }

    /// As `Telemetry` sets it up, for spans and metrics.
    #[must_use]
    pub fn bridge_with_metrics(&self) -> Dispatch {
        let metrics = Arc::new(MetricsRecorder::new(self.meters.meter("bench")));
        registry().with(self.layer().with_metrics(metrics)).into()
    }

    /// Spans become events of a stream.
    #[must_use]
    pub fn ingest(stream: &EventStream) -> Dispatch {
        registry().with(ingest(stream)).into()
    }

    /// Spans become events of a stream, and these spans again.
    #[must_use]
    pub fn ingest_bridged(&self, stream: &EventStream) -> Dispatch {
        registry().with(ingest(stream)).with(self.layer()).into()
    }

    /// `tracing-opentelemetry` without the code's location and the thread, as ours is.
    #[must_use]
    pub fn tracing_lean(&self) -> Dispatch {
        let layer = tracing_opentelemetry::layer().with_tracer(self.tracer.clone());
        registry().with(layer.with_location(false).with_threads(false)).into()
    }

    /// `tracing-opentelemetry` by its defaults.
    #[must_use]
    pub fn tracing_default(&self) -> Dispatch {
        registry().with(tracing_opentelemetry::layer().with_tracer(self.tracer.clone())).into()
    }

    /// # Panics
    ///
    /// If the processor fails.
    pub fn flush(&self) {
        self.provider.force_flush().expect("the exporter never fails");
    }
}
