//! What has always held and where a careless change would break something: B17, B25, B43, B49, B50, C8, C48, C62, C63, C67, C69.

use std::{sync::mpsc, thread, time::Duration};

use agent_runtime::{
    otel::{MetricsRecorder, Telemetry},
    prelude::*,
    stream::RecvError,
};
use futures_util::FutureExt as _;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    metrics::SdkMeterProvider,
    trace::{InMemorySpanExporter, SimpleSpanProcessor, SpanData, SpanExporter as SdkSpanExporter},
};
use parking_lot::Mutex;
use tokio::time::timeout;
use tracing::dispatcher;
use tracing_subscriber::{layer::SubscriberExt as _, registry};

use crate::{
    stream::support::{chunk, numbered, offsets, watched},
    support::{
        Recording, agent_flow, dispatch_of, pass, process::run_child, replies, set_default, sink::Sink, spans, tool,
    },
};

fn started(id: &str) -> Event {
    Event::tool_started(id, None, None, json!({}))
}

fn completed(id: &str) -> Event {
    Event::tool_completed(id, None, None, json!({}))
}

fn append(stream: &EventStream, events: impl IntoIterator<Item = Event>) {
    events.into_iter().for_each(|event| drop(stream.append(event).expect("the event is valid")));
}

fn spans_to(sink: &Sink) -> SpanExporter {
    let exporter = SpanExporter::builder().with_http().with_endpoint(format!("{}/v1/traces", sink.url()));
    exporter.build().expect("it is a valid endpoint")
}

/// A telemetry that was set up by the environment, with what it exports installed.
fn installed() -> Telemetry {
    Telemetry::from_env("test").and_then(Telemetry::install).expect("the set-up is good")
}

/// Runs a child of this file against a collector.
fn child(name: &str, sink: &Sink, variables: &[(&str, &str)]) {
    let url = sink.url();
    let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str())];
    run_child(&format!("cases::holds::{name}"), &[&endpoint, variables].concat());
}

/// B17.
#[test]
fn a_panic_hook_may_shut_the_telemetry_down() {
    let sink = Sink::http();
    child("child_panics", &sink, &[]);
    let spans = sink.spans();
    let outcomes: Vec<_> = spans.iter().map(|span| spans::attribute(span, "error.type")).collect();
    assert_eq!(outcomes, ["interrupted"; 2]);
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_panics() {
    let telemetry = installed();
    let (of_hook, stream) = (telemetry.clone(), EventStream::new());
    append(&stream, [started("outer"), started("inner")]);
    std::panic::set_hook(Box::new(move |_| drop(of_hook.shutdown().expect("all arrive"))));
    thread::spawn(|| panic!("on purpose")).join().expect_err("it panicked");
}

/// B25.
#[test]
fn no_batch_has_more_spans_than_the_environment_says() {
    let sink = Sink::http();
    child("child_ends_many_spans", &sink, &[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "64")]);
    let sizes: Vec<_> = sink.requests().into_iter().map(|request| spans_in(&request)).collect();
    assert_eq!((sizes.iter().sum::<usize>(), sizes.iter().all(|size| *size <= 64)), (500, true), "{sizes:?}");
}

fn spans_in(request: &opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest) -> usize {
    request.resource_spans.iter().flat_map(|spans| &spans.scope_spans).map(|spans| spans.spans.len()).sum()
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_ends_many_spans() {
    let (telemetry, stream) = (installed(), EventStream::new());
    (0..500).for_each(|_| append(&stream, [started("t"), completed("t")]));
    telemetry.shutdown().expect("all arrive");
}

/// B43.
#[test]
fn progress_leaves_a_quarter_of_the_room_for_events() {
    let sink = Sink::http();
    child("child_reports_much", &sink, &[("OTEL_SPAN_EVENT_COUNT_LIMIT", "40")]);
    let spans = sink.spans();
    let span = spans.one("execute_tool t");
    assert_eq!((span.events.len(), span.dropped_events_count), (30, 0));
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_reports_much() {
    let telemetry = installed();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("there is a runtime").block_on(async {
        let stream = EventStream::new();
        append(&stream, [started("t")]);
        for _ in 0..10_000 {
            tokio::time::advance(Duration::from_secs(1)).await;
            append(&stream, [Event::tool_progress("t", None, None, None, json!({}))]);
        }
        append(&stream, [completed("t")]);
    });
    telemetry.shutdown().expect("all arrive");
}

/// B49.
#[tokio::test]
async fn a_flush_between_runs_sends_what_has_ended() {
    let sink = Sink::http();
    let telemetry = Telemetry::builder("test").with_span_exporter(spans_to(&sink)).build().expect("it is set up");
    let _subscriber = set_default(registry().with(telemetry.layer()));
    let (runtime, flow) = (Runtime::new(), Workflow::new("flow").add_step(pass()).build());
    for runs in 1..4 {
        runtime.execute(&flow, 1).await.expect("the run succeeds");
        telemetry.flush().expect("all arrive");
        assert_eq!(sink.spans().len(), 2 * runs);
    }
}

/// B50, of telemetry that was used and that was not.
#[test]
fn telemetry_may_be_dropped_in_async_code() {
    for is_multi_thread in [false, true] {
        for is_used in [false, true] {
            watched(move || {
                let mut runtime = if is_multi_thread {
                    tokio::runtime::Builder::new_multi_thread()
                } else {
                    tokio::runtime::Builder::new_current_thread()
                };
                runtime.enable_all().build().expect("there is a runtime").block_on(async {
                    for sink in [Sink::http(), Sink::grpc()] {
                        let builder = || Telemetry::builder("test").with_span_exporter(spans_to(&sink));
                        drop(builder());
                        let telemetry = builder().build().expect("it is set up");
                        let _subscriber = set_default(registry().with(telemetry.layer()));
                        if is_used {
                            append(&EventStream::new(), [started("t"), completed("t")]);
                        }
                        drop(telemetry);
                    }
                });
            });
        }
    }
}

/// C8.
#[test]
fn a_processor_without_an_exporter_gets_every_span() {
    let spans = InMemorySpanExporter::default();
    let processor = SimpleSpanProcessor::new(spans.clone());
    let telemetry = Telemetry::builder("test").with_span_processor(processor).build().expect("it is set up");
    let _subscriber = set_default(registry().with(telemetry.layer()));
    let stream = EventStream::new();
    let appended = stream.append(started("t")).expect("valid");
    append(&stream, [completed("t")]);
    assert!(appended.trace.is_some_and(|trace| trace.sampled));
    assert_eq!(spans.get_finished_spans().expect("it is not shut down").len(), 1);
}

/// Takes no spans before its sender is gone.
#[derive(Debug)]
struct Hanging(Mutex<mpsc::Receiver<()>>);

impl SdkSpanExporter for Hanging {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().recv().unwrap_or_default();
        Ok(())
    }
}

/// C48.
#[test]
fn a_shutdown_ends_though_an_exporter_hangs_and_says_what_is_lost() {
    watched(|| {
        let (let_go, held) = mpsc::channel();
        let builder = Telemetry::builder("test").with_span_exporter(Hanging(Mutex::new(held)));
        let telemetry = builder.with_shutdown_timeout(Duration::from_millis(50)).build().expect("it is set up");
        let dispatch = dispatch_of(registry().with(telemetry.layer()));
        let stream = EventStream::new();
        dispatcher::with_default(&dispatch, || append(&stream, [started("t"), completed("t")]));
        let error = thread::scope(|threads| {
            for writer in 0..4 {
                let (stream, dispatch) = (stream.clone(), dispatch.clone());
                threads.spawn(move || {
                    dispatcher::with_default(&dispatch, || {
                        (0..100).for_each(|number| append(&stream, [started(&format!("w{writer}:{number}"))]));
                    });
                });
            }
            telemetry.shutdown().expect_err("the spans did not arrive")
        });
        assert!(error.to_string().contains("span"), "{error}");
        drop(let_go);
    });
}

/// C48, where nobody calls for the shutdown.
#[test]
fn a_panic_that_drops_the_telemetry_ends_though_an_exporter_hangs() {
    watched(|| {
        let (let_go, held) = mpsc::channel();
        let panicked = thread::spawn(|| {
            let builder = Telemetry::builder("test").with_span_exporter(Hanging(Mutex::new(held)));
            let telemetry = builder.with_shutdown_timeout(Duration::from_millis(50)).build().expect("it is set up");
            let _subscriber = set_default(registry().with(telemetry.layer()));
            append(&EventStream::new(), [started("t"), completed("t")]);
            panic!("on purpose");
        });
        let panic = panicked.join().expect_err("it panicked");
        assert_eq!(panic.downcast_ref(), Some(&"on purpose"));
        drop(let_go);
    });
}

/// C62: what a run leaves in a mapper, in metrics and in a stream that keeps little.
#[tokio::test]
async fn runs_however_they_end_leave_nothing_behind() {
    let recording = Recording::new();
    let metrics = std::sync::Arc::new(MetricsRecorder::new(SdkMeterProvider::default().meter("test")));
    let _subscriber = set_default(registry().with(recording.layer().with_metrics(std::sync::Arc::clone(&metrics))));
    let runtime = Runtime::with_event_stream(EventStream::builder().with_capacity(64).build());
    let fails = tool("fail", |_, _| async { Err("on purpose".into()) });
    let flows = [
        Workflow::new("good").add_step(pass()).build(),
        agent_flow(replies([ScriptedReply::tool_calls([("fail", json!({}))]), ScriptedReply::text("done")]), [fails]),
        agent_flow(replies([ScriptedReply::pending()]), []),
    ];
    for number in 0..3_000 {
        drop(runtime.execute(&flows[number % flows.len()], 1).now_or_never());
    }
    let stream = runtime.event_stream();
    assert_eq!(stream.next_offset() - stream.first_offset(), 64);
    assert_eq!((recording.mapper().open_spans(), metrics.open_components()), (0, 0));
}

/// C63.
#[test]
fn progress_is_counted_exactly_whatever_the_limit_the_number_and_the_gaps() {
    for limit in [1, 2, 7, 31, 96] {
        for (reports, gap) in [(0, 0), (1, 1_000), (50, 49), (97, 50), (1_000, 1), (5_000, 333), (20_000, 1_000)] {
            let recording = Recording::with_mapper(|mapper| mapper.with_max_progress_events(limit));
            let progress = (0..reports).map(|_| Event::tool_progress("t", None, None, None, json!({})));
            let mut events: Vec<_> = [started("t")].into_iter().chain(progress).chain([completed("t")]).collect();
            for (offset, event) in events.iter_mut().enumerate() {
                event.offset = Some(offset as u64);
                event.timestamp = chrono::DateTime::UNIX_EPOCH + chrono::TimeDelta::milliseconds(gap * offset as i64);
            }
            let spans = recording.replay(&events);
            let merged = spans::events(spans.one("execute_tool t"), "agent_runtime.progress");
            let case = format!("limit {limit}, {reports} reports {gap} ms apart");
            assert!(merged.len() <= limit as usize, "{case}: {}", merged.len());
            let mut next = 1;
            for event in merged {
                let number = |name| spans::event_attribute(event, name).as_i64().expect("it is said");
                assert_eq!(number("agent_runtime.event.first_offset"), next, "{case}");
                next += number("agent_runtime.progress.count");
                assert_eq!(number("agent_runtime.event.last_offset"), next - 1, "{case}");
            }
            assert_eq!(next, reports + 1, "{case}");
        }
    }
}

/// C67: readers that are plain, canceled again and again, or merge.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_kind_of_reader_reads_all_in_order_while_four_write() {
    const EACH: u64 = 5_000;
    let stream = EventStream::builder().with_capacity(4 * EACH as usize).build();
    let (mut plain, mut canceled) = (stream.subscribe(), stream.subscribe());
    let mut merging = stream.subscribe().batched(Duration::from_millis(1));
    let plain = tokio::spawn(async move {
        let mut read = Vec::new();
        while let Ok(event) = plain.recv().await {
            read.push(event.offset.expect("it is set"));
        }
        read
    });
    let canceled = tokio::spawn(async move {
        let mut read = Vec::new();
        loop {
            tokio::select! {
                biased;
                event = canceled.recv() => match event {
                    Ok(event) => read.push(event.offset.expect("it is set")),
                    Err(RecvError::Closed) => return read,
                    Err(lagged) => panic!("{lagged}"),
                },
                () = tokio::task::yield_now() => {}
            }
        }
    });
    let merging = tokio::spawn(async move {
        let mut count = 0;
        while let Ok(event) = merging.recv().await {
            count += event.data.merged().map_or(1, |merged| merged.count);
        }
        count
    });
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let stream = stream.clone();
            thread::spawn(move || append(&stream, (0..EACH).map(numbered)))
        })
        .collect();
    writers.into_iter().for_each(|writer| writer.join().expect("it ends well"));
    drop(stream);
    let all: Vec<_> = (0..4 * EACH).collect();
    assert_eq!((plain.await.expect("it ends"), canceled.await.expect("it ends")), (all.clone(), all));
    assert_eq!(merging.await.expect("it ends"), 4 * EACH);
}

/// C69.
#[tokio::test(start_paused = true)]
async fn a_merging_reader_under_a_timeout_loses_nothing_and_reads_nothing_twice() {
    let stream = EventStream::new();
    let mut merging = stream.subscribe().batched(Duration::from_millis(50));
    let writer = tokio::spawn(async move {
        for number in 0..500 {
            append(&stream, [chunk("a:llm:0", &format!("{number} "))]);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    let (mut text, mut read) = (String::new(), Vec::new());
    loop {
        match timeout(Duration::from_millis(3), merging.recv()).await {
            Err(_) => {}
            Ok(Ok(event)) => {
                text.push_str(event.data["chunk"].as_str().expect("it is a text"));
                read.push(event);
            }
            Ok(Err(_)) => break,
        }
    }
    writer.await.expect("it ends well");
    let expected: String = (0..500).map(|number| format!("{number} ")).collect();
    assert_eq!(text, expected);
    assert!(offsets(&read).is_sorted());
}
