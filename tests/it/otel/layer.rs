//! The layer among others: filters, neighbours that panic or are slow, providers of the user's.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use agent_runtime::{
    otel::{SpanMapper, Telemetry},
    prelude::*,
    stream::TRACING_TARGET,
};
use opentelemetry::{
    Context as OtelContext,
    trace::{TraceContextExt as _, Tracer as _, TracerProvider as _},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{InMemorySpanExporter, Sampler, SdkTracer, SdkTracerProvider, SpanData, SpanProcessor},
};
use parking_lot::Mutex;
use tracing::{Dispatch, Event as TracingEvent, Level, Subscriber, instrument::WithSubscriber as _};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{LevelFilter, Targets},
    layer::{Context, SubscriberExt as _},
    registry,
};

use crate::support::{
    FULL_TREE, Recording, agent_flow, assert_balanced, check_over, dispatch_of, full_flow, history, replies, spans,
    tool,
};

/// Runs the full flow under a subscriber and gives its events.
async fn run_under(dispatch: Dispatch) -> Vec<Event> {
    let runtime = Runtime::new();
    runtime.execute(&full_flow(), "go").with_subscriber(dispatch).await.expect("the run succeeds");
    let events = history(&runtime).await;
    assert_balanced(&events);
    events
}

#[tokio::test]
async fn with_a_filter_that_lets_only_info_through_spans_are_complete_and_chunks_counted() {
    let recording = Recording::new();
    let dispatch = dispatch_of(registry().with(EnvFilter::new("info")).with(recording.layer()));
    let events = run_under(dispatch).await;
    let spans = check_over(&recording, &events);
    assert_eq!(spans.tree(), FULL_TREE);
    assert!(spans.iter().all(|span| span.events.is_empty()));
    let mut counts: Vec<_> = spans.all("chat scripted").into_iter().map(spans::chunk_counts).collect();
    counts.sort_unstable();
    assert_eq!(counts, [(0, 0), (3, 0), (4, 0), (5, 0)]);
    let timed = |span: &&opentelemetry_proto::tonic::trace::v1::Span| {
        !spans::attribute(span, "gen_ai.response.time_to_first_chunk").is_null()
    };
    assert_eq!(spans.all("chat scripted").into_iter().filter(timed).count(), 4);
}

#[tokio::test]
async fn with_a_filter_that_lets_only_info_through_a_system_event_is_on_its_span() {
    let recording = Recording::new();
    let dispatch = dispatch_of(registry().with(EnvFilter::new("info")).with(recording.layer()));
    let call = || ScriptedReply::tool_calls([("look", json!({}))]);
    let look = tool("look", |_, _| async { Ok(json!("seen")) });
    let flow = agent_flow(replies([call(), call(), ScriptedReply::text("Done.")]), [look]);
    Runtime::new().execute(&flow, "go").with_subscriber(dispatch).await.expect("the run succeeds");
    let spans = recording.spans();
    let names: Vec<_> = spans.one("invoke_agent agent").events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["agent_runtime.system.tool_loop_detection"]);
}

#[tokio::test]
async fn a_filter_that_keeps_our_target_out_gives_no_spans_and_costs_no_event() {
    let recording = Recording::new();
    let filter = EnvFilter::new(format!("trace,{TRACING_TARGET}=off"));
    let events = run_under(dispatch_of(registry().with(filter).with(recording.layer()))).await;
    assert!(recording.spans().is_empty());
    assert!(events.iter().all(|event| event.trace.is_none()));
}

#[tokio::test]
async fn filters_on_this_layer_and_on_a_neighbour_are_each_their_own() {
    let cases = [
        (LevelFilter::TRACE, LevelFilter::WARN, true, true),
        (LevelFilter::DEBUG, LevelFilter::OFF, true, true),
        (LevelFilter::INFO, LevelFilter::TRACE, true, false),
        (LevelFilter::OFF, LevelFilter::TRACE, false, false),
    ];
    for (ours, theirs, has_spans, has_progress) in cases {
        let recording = Recording::new();
        let seen = Seen::default();
        let dispatch =
            dispatch_of(registry().with(seen.clone().with_filter(theirs)).with(recording.layer().with_filter(ours)));
        run_under(dispatch).await;
        let spans = recording.spans();
        assert_eq!(spans.tree() == FULL_TREE, has_spans, "{ours}, {theirs}");
        assert_eq!(spans.iter().any(|span| !span.events.is_empty()), has_progress, "{ours}, {theirs}");
    }
}

/// Keeps the messages of the events that reach it.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Seen {
    fn on_event(&self, event: &TracingEvent<'_>, _: Context<'_, S>) {
        self.0.lock().push(event.metadata().target().to_owned());
    }
}

/// A callsite that every filter lets through for good is not asked about again: whatever a question about one of our
/// events leaves behind in the filters of this thread must not hide it.
#[test]
fn the_users_own_log_lines_are_not_lost_between_our_events() {
    for (ours, theirs) in [(LevelFilter::OFF, LevelFilter::INFO), (LevelFilter::INFO, LevelFilter::INFO)] {
        let recording = Recording::new();
        let seen = Seen::default();
        let directive = |level: LevelFilter| EnvFilter::new(format!("{level},[a_span]=trace"));
        let dispatch = dispatch_of(
            registry()
                .with(seen.clone().with_filter(Targets::new().with_target("the_user", theirs)))
                .with(recording.layer().with_filter(directive(ours))),
        );
        tracing::dispatcher::with_default(&dispatch, || {
            let stream = EventStream::new();
            for _ in 0..10 {
                let id = "a:llm:0";
                stream.append(Event::llm_started(id, None, None, json!({}))).unwrap();
                tracing::event!(target: "the_user", Level::INFO, "one");
                stream.append(Event::llm_progress(id, None, None, None, EventData::chunk("x"))).unwrap();
                tracing::event!(target: "the_user", Level::ERROR, "two");
                stream.append(Event::llm_completed(id, None, None, json!({}))).unwrap();
                tracing::event!(target: "the_user", Level::INFO, "three");
            }
        });
        assert_eq!(seen.0.lock().len(), 30, "with {ours} for us and {theirs} for them");
    }
}

/// Panics at every event of ours.
struct Panics;

impl<S: Subscriber> Layer<S> for Panics {
    fn on_event(&self, event: &TracingEvent<'_>, _: Context<'_, S>) {
        assert_ne!(event.metadata().target(), TRACING_TARGET, "this layer panics on purpose");
    }
}

#[tokio::test]
async fn a_neighbour_that_panics_costs_no_event_and_no_span() {
    let recording = Recording::new();
    let events = run_under(dispatch_of(registry().with(recording.layer()).with(Panics))).await;
    assert_eq!(check_over(&recording, &events).tree(), FULL_TREE);
}

#[tokio::test]
async fn a_neighbour_that_panics_before_us_costs_the_run_nothing() {
    let recording = Recording::new();
    run_under(dispatch_of(registry().with(Panics).with(recording.layer()))).await;
    assert_eq!(recording.mapper().open_spans(), 0);
}

/// Takes its time over every event.
struct Slow;

impl<S: Subscriber> Layer<S> for Slow {
    fn on_event(&self, _: &TracingEvent<'_>, _: Context<'_, S>) {
        std::thread::sleep(Duration::from_micros(500));
    }
}

#[tokio::test]
async fn a_neighbour_that_is_slow_changes_nothing() {
    let recording = Recording::new();
    let events = run_under(dispatch_of(registry().with(Slow).with(recording.layer()).with(Slow))).await;
    assert_eq!(check_over(&recording, &events).tree(), FULL_TREE);
}

/// Appends to the stream that it is told of, from inside of an append.
#[derive(Clone, Default)]
struct Appends(Arc<OnceLock<EventStream>>);

impl<S: Subscriber> Layer<S> for Appends {
    fn on_event(&self, event: &TracingEvent<'_>, _: Context<'_, S>) {
        if let Some(stream) = self.0.get().filter(|_| event.metadata().target() == TRACING_TARGET) {
            stream.append(Event::system_progress("system:echo", None, None, None, json!({}))).expect("valid");
        }
    }
}

#[tokio::test]
async fn a_neighbour_that_appends_to_the_stream_is_not_shown_its_own_events() {
    let recording = Recording::new();
    let appends = Appends::default();
    let runtime = Runtime::new();
    appends.0.set(runtime.event_stream().clone()).expect("it is set once");
    let dispatch = dispatch_of(registry().with(appends).with(recording.layer()));
    runtime.execute(&full_flow(), "go").with_subscriber(dispatch).await.expect("the run succeeds");
    let events = history(&runtime).await;
    let (echoes, ours): (Vec<_>, Vec<_>) = events.iter().partition(|event| event.scope == EventScope::System);
    assert_eq!(echoes.len(), ours.len());
    assert_eq!(check_over(&recording, &events).tree(), FULL_TREE);
}

/// A processor of the user's that watches spans and tells of each one, which is a span in turn.
#[derive(Clone, Debug, Default)]
struct Watcher {
    mapper: Arc<OnceLock<Arc<SpanMapper<SdkTracer>>>>,
    is_telling: Arc<AtomicBool>,
}

impl Watcher {
    fn tell(&self) {
        if self.is_telling.swap(true, Ordering::Relaxed) {
            return;
        }
        let mapper = self.mapper.get().expect("it is set before a span starts");
        mapper.observe(&Event::tool_started("watcher", None, None, json!({})));
        mapper.observe(&Event::tool_completed("watcher", None, None, json!({})));
        self.is_telling.store(false, Ordering::Relaxed);
    }
}

impl SpanProcessor for Watcher {
    fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &OtelContext) {
        self.tell();
    }

    fn on_end(&self, _: SpanData) {
        self.tell();
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[test]
fn a_span_processor_that_makes_spans_of_its_own_does_not_hang() {
    let (done, is_done) = std::sync::mpsc::channel();
    // On a thread of its own, so that a hang is a failure.
    std::thread::spawn(move || {
        let watcher = Watcher::default();
        let provider = SdkTracerProvider::builder().with_span_processor(watcher.clone()).build();
        let mapper = Arc::new(SpanMapper::new(provider.tracer("test")));
        watcher.mapper.set(Arc::clone(&mapper)).expect("it is set once");
        for event in [
            Event::agent_started("a", None, None, json!({})),
            Event::agent_completed("a", None, None, json!({})),
            Event::agent_completed("without a start", None, None, json!({})),
        ] {
            mapper.observe(&event);
        }
        done.send(mapper.open_spans()).expect("the test waits");
    });
    assert_eq!(is_done.recv_timeout(Duration::from_secs(30)), Ok(0));
}

#[test]
fn events_of_our_target_that_are_not_ours_are_nothing() {
    let recording = Recording::new();
    tracing::dispatcher::with_default(&recording.dispatch(), || {
        tracing::event!(target: "agent_runtime::event", Level::INFO, scope = "tool", event_type = "started", "fake");
    });
    assert_eq!((recording.mapper().open_spans(), recording.spans().len()), (0, 0));
}

#[tokio::test]
async fn a_trace_that_the_sampler_drops_still_has_a_context_that_says_so() {
    let exporter = InMemorySpanExporter::default();
    let provider =
        SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).with_sampler(Sampler::AlwaysOff).build();
    let telemetry = Telemetry::builder("test").with_tracer_provider(provider).build().unwrap();
    let events = run_under(dispatch_of(registry().with(telemetry.layer()))).await;
    assert!(exporter.get_finished_spans().unwrap().is_empty());
    assert_eq!(telemetry.mapper().open_spans(), 0);
    let traces: Vec<_> = events.iter().map(|event| event.trace.expect("the bridge is on")).collect();
    assert!(traces.iter().all(|trace| !trace.sampled && trace.trace_id == traces[0].trace_id));
}

#[tokio::test]
async fn a_provider_of_the_users_is_used_flushed_and_left_running() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let telemetry = Telemetry::builder("test").with_tracer_provider(provider.clone()).build().unwrap();
    let events = run_under(dispatch_of(registry().with(telemetry.layer()))).await;
    let spans = spans::of(exporter.get_finished_spans().unwrap());
    assert_eq!(spans.tree(), FULL_TREE);
    for event in &events {
        let trace = event.trace.expect("the bridge is on");
        let span = spans.iter().find(|span| span.span_id == trace.span_id.to_bytes()).expect("it was exported");
        assert_eq!(span.trace_id, trace.trace_id.to_bytes());
    }
    telemetry.shutdown().expect("it flushes");
    drop(provider.tracer("the user's").start("afterwards"));
    assert_eq!(exporter.get_finished_spans().unwrap().len(), spans.len() + 1);
}

#[tokio::test]
async fn a_run_inside_an_opentelemetry_span_of_the_users_is_its_child() {
    let recording = Recording::new();
    let tracer = recording.tracer_provider().tracer("the user's");
    let context = OtelContext::current_with_span(tracer.start("request"));
    let runtime = Runtime::new();
    let workflow = full_flow();
    let run = opentelemetry::context::FutureExt::with_context(runtime.execute(&workflow, "go"), context);
    run.with_subscriber(recording.dispatch()).await.expect("the run succeeds");
    let indented: String = FULL_TREE.lines().map(|line| format!("  {line}\n")).collect();
    assert_eq!(recording.spans().tree(), format!("request\n{indented}"));
}

#[tokio::test]
async fn a_run_with_a_remote_parent_joins_its_trace() {
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
    let recording = Recording::new();
    let (trace_id, span_id) = (TraceId::from(0xabc_u128), SpanId::from(0xdef_u64));
    let remote = SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, true, TraceState::NONE);
    let context = OtelContext::new().with_remote_span_context(remote);
    let runtime = Runtime::new();
    let workflow = full_flow();
    let run = opentelemetry::context::FutureExt::with_context(runtime.execute(&workflow, "go"), context);
    run.with_subscriber(recording.dispatch()).await.expect("the run succeeds");
    let spans = recording.spans();
    assert!(spans.iter().all(|span| span.trace_id == trace_id.to_bytes()));
    assert_eq!(spans.one("invoke_workflow full").parent_span_id, span_id.to_bytes());
}
