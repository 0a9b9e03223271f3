//! The one subscriber of a process, as an application has it, and what it records: our spans, and the user's through
//! `tracing-opentelemetry`.

use std::sync::{Arc, OnceLock};

use agent_runtime::otel::{EventIdGenerator, OtelLayer, SpanMapper};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracer, SdkTracerProvider};
use tokio::sync::{Mutex, MutexGuard};
use tracing::Dispatch;

use crate::support::{Spans, spans};

struct Global {
    mapper: Arc<SpanMapper<SdkTracer>>,
    exporter: InMemorySpanExporter,
    one_at_a_time: Mutex<()>,
}

/// The recording, for one test at a time.
pub(crate) struct Recorded {
    global: &'static Global,
    _turn: MutexGuard<'static, ()>,
}

/// Begins with nothing recorded. The first call makes the subscriber, of our layer and of a tracer for the user's spans.
pub(crate) async fn record(subscriber: impl FnOnce(OtelLayer, SdkTracer) -> Dispatch) -> Recorded {
    static GLOBAL: OnceLock<Global> = OnceLock::new();
    let global = GLOBAL.get_or_init(|| {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(exporter.clone())
            .with_id_generator(EventIdGenerator::default())
            .build();
        let mapper = Arc::new(SpanMapper::new(provider.tracer("ours")));
        let subscriber = subscriber(OtelLayer::new(Arc::clone(&mapper)), provider.tracer("the user's"));
        tracing::dispatcher::set_global_default(subscriber).expect("nobody else sets one");
        Global { mapper, exporter, one_at_a_time: Mutex::default() }
    });
    let turn = global.one_at_a_time.lock().await;
    global.exporter.reset();
    Recorded { global, _turn: turn }
}

impl Recorded {
    pub(crate) fn open_spans(&self) -> usize {
        self.global.mapper.open_spans()
    }

    /// What is recorded; no span of ours may be open.
    #[track_caller]
    pub(crate) fn spans(&self) -> Spans {
        assert_eq!(self.open_spans(), 0);
        let spans = spans::of(self.global.exporter.get_finished_spans().expect("the exporter is not poisoned"));
        spans.assert_well_formed();
        spans
    }
}
