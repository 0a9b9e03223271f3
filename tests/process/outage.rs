//! A collector that is away for the whole of a run many times longer than the queue: memory stays where it was once the
//! queue was full, and what was lost is reported to the span.
//!
//! The allocator that counts is the process's, and so are the variables; each case runs in a process of its own.

use agent_runtime::{
    otel::{Delivery, Telemetry},
    prelude::*,
    stream::EventStream,
};
use tracing_subscriber::{layer::SubscriberExt as _, registry};

use crate::ALLOCATOR;
use crate::support::process::run_child;
use crate::support::sink::Sink;
use crate::support::{FULL_TREE, full_flow};

/// How many spans and log events wait for the collector.
const QUEUE: usize = 128;

/// How many runs fill the queue many times over.
const SHORT: usize = 100;

/// How many times as many would show whatever grows.
const LATER: usize = 6;

/// What may come and go with an export, which is of one queue at most.
const ALLOWANCE: usize = 1 << 20;

#[test]
fn without_a_collector_memory_is_bounded_and_every_span_is_accounted_for() {
    let (closed, silent) = (format!("http://{}", Sink::closed()), Sink::black_hole());
    for protocol in ["http/protobuf", "grpc"] {
        for url in [&closed, &silent.url()] {
            for content in ["NO_CONTENT", "SPAN_AND_EVENT"] {
                let variables = [
                    ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                    ("OTEL_EXPORTER_OTLP_ENDPOINT", url),
                    ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", content),
                    // So that exports begin and fail all the time.
                    ("OTEL_EXPORTER_OTLP_TIMEOUT", "100"),
                    ("OTEL_BSP_SCHEDULE_DELAY", "20"),
                    ("OTEL_BLRP_SCHEDULE_DELAY", "20"),
                    ("OTEL_METRIC_EXPORT_INTERVAL", "20"),
                    ("OTEL_BLRP_MAX_QUEUE_SIZE", &QUEUE.to_string()),
                ];
                let finished = run_child("child_outlives_an_outage", &variables);
                // Where nothing listens, each export fails at once and makes room for the next.
                let overran = !finished.stdout.contains(" dropped: 0,");
                assert!(overran || *url == closed, "{protocol} {content}: {}", finished.stdout);
            }
        }
    }
}

#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn child_outlives_an_outage() {
    let telemetry = Telemetry::builder("test")
        .with_content_capture_from_env()
        .with_queue_size(QUEUE)
        .with_otlp_from_env()
        .build()
        .expect("the variables are right");
    let _subscriber = tracing::subscriber::set_default(registry().with(telemetry.layer()));
    // The history is kept by design, so it is small here.
    let runtime = Runtime::with_event_stream(EventStream::builder().with_capacity(QUEUE).build());

    let [_, before] = [peak_of(SHORT, &runtime).await, peak_of(SHORT, &runtime).await];
    let mut later = [usize::MAX; LATER];
    for peak in &mut later {
        *peak = peak_of(SHORT, &runtime).await;
    }
    // The lowest of the last ones: what is on its way at a moment comes and goes, and what is kept stays.
    let after = later[LATER / 2..].iter().copied().min().unwrap_or_default();
    println!("\n{:?}", telemetry.report().spans.delivery);
    assert!(after < before + ALLOWANCE, "memory grew from {before} to {after} bytes");

    let ended = (((2 + LATER) * SHORT) * FULL_TREE.lines().count()) as u64;
    let error = telemetry.shutdown().expect_err("nothing arrives");
    let delivery = error.report().spans.delivery;
    let Delivery { exported, failed, unanswered, dropped, .. } = delivery;
    assert_eq!((delivery.ended, exported), (ended, 0));
    assert_eq!(failed + unanswered + delivery.unsent(), ended);
    assert!(dropped <= delivery.unsent(), "{delivery:?}");
    let reported = format!("{ended} of {ended} spans did not arrive ({failed} refused or unreachable, ");
    assert!(error.to_string().starts_with(&reported), "{error}");
}

/// Runs the full flow so often. Returns the most bytes that the process had allocated at once meanwhile.
async fn peak_of(runs: usize, runtime: &Runtime) -> usize {
    ALLOCATOR.reset_peak_usage();
    for _ in 0..runs {
        runtime.execute(&full_flow(), "go").await.expect("the run succeeds");
    }
    ALLOCATOR.peak_usage()
}
