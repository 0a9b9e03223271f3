//! Locks, and code that is not ours: nothing waits for a turn with a lock in hand, and a panic costs the one call.

use std::{
    cell::RefCell,
    panic::panic_any,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
};

use agent_runtime::{
    otel::{EventIdGenerator, MetricsRecorder, OtelLayer, SpanMapper},
    prelude::*,
    runtime::RunFuture,
    stream::{ComponentContext, TRACING_TARGET},
};
use futures_util::FutureExt as _;
use opentelemetry::{
    Context as OtelContext, KeyValue, TraceId,
    metrics::MeterProvider as _,
    trace::{Link, Span as _, SpanKind, Tracer as _, TracerProvider as _},
};
use opentelemetry_sdk::{
    metrics::SdkMeterProvider,
    trace::{Sampler, SamplingResult, SdkTracerProvider, ShouldSample},
};
use parking_lot::Mutex;
use tracing::{Subscriber, dispatcher, subscriber::with_default};
use tracing_subscriber::{
    Layer,
    layer::{Context as LayerContext, SubscriberExt as _},
    registry,
};

use crate::{
    stream::support::{Witness, append_numbers, drain, offsets, watched, with_layers},
    support::{
        Recording, agent_flow, assert_balanced, calling, dispatch_of, history, pass, replies, spans, story, tool,
    },
};

/// C32, C33: a layer calls the callback that the tool calls, or only takes its time.
#[test]
fn a_tool_reports_while_a_layer_reports_for_it() {
    for calls_back in [true, false] {
        watched(move || {
            let runtime = Runtime::new();
            let callback: Arc<OnceLock<ProgressCallback>> = Arc::default();
            let layer = Witness::reacting({
                let callback = Arc::clone(&callback);
                move |emission| {
                    let is_outsider = emission.event().component_id == "outsider";
                    match callback.get().filter(|_| is_outsider && calls_back) {
                        Some(callback) => callback("from the layer".to_owned(), None),
                        None => thread::yield_now(),
                    }
                }
            });
            let dispatch = dispatch_of(registry().with(layer));
            let reporting = tool("report", {
                let (stream, dispatch) = (runtime.event_stream().clone(), dispatch.clone());
                move |_, progress| {
                    callback.get_or_init(|| progress.clone());
                    thread::scope(|threads| {
                        threads.spawn(|| {
                            dispatcher::with_default(&dispatch, || {
                                for _ in 0..1_000 {
                                    let event = Event::system_progress("system:outsider", None, None, None, json!({}));
                                    stream.append(event).expect("valid");
                                }
                                for _ in 0..1_000 {
                                    stream
                                        .append(Event::agent_progress("outsider", None, None, None, json!({})))
                                        .expect("valid");
                                }
                            });
                        });
                        (0..1_000).for_each(|number| progress("from the tool".to_owned(), Some(number)));
                    });
                    async { Ok(json!("done")) }
                }
            });
            let flow = agent_flow(calling(vec![("report", json!({}))], "Done."), [reporting]);
            let run = runtime.execute(&flow, "go");
            let result = dispatcher::with_default(&dispatch, || run.now_or_never());
            result.expect("nothing is waited for").expect("the run succeeds");
            let events = history(&runtime).now_or_never().expect("never awaits");
            let of_run: Vec<_> = events.into_iter().filter(|event| event.workflow_id.is_some()).collect();
            assert_balanced(&of_run);
        });
    }
}

/// What a panic carries, whose destructor panics too.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic_any("the payload panics as well");
    }
}

/// C35.
#[test]
fn a_payload_that_panics_costs_neither_its_event_nor_the_next_ones() {
    watched(|| {
        let stream = EventStream::new();
        let mut subscription = stream.subscribe();
        let layer = Witness::reacting(|emission| {
            if emission.event().offset == Some(0) {
                panic_any(Bomb);
            }
        });
        with_layers(registry().with(layer.clone()), || append_numbers(&stream, 0..3));
        assert_eq!(offsets(&drain(&mut subscription)), [0, 1, 2]);
        assert_eq!((offsets(&layer.seen_events()), stream.layer_panics()), (vec![0, 1, 2], 1));
    });
}

/// Panics at each Started event of ours, and keeps the messages of all other events.
#[derive(Clone, Default)]
struct PanicsAtStarts(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for PanicsAtStarts {
    fn on_event(&self, event: &tracing::Event<'_>, _: LayerContext<'_, S>) {
        let mut text = String::new();
        event.record(&mut |_: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            text.push_str(&format!("{value:?} "))
        });
        if event.metadata().target() == TRACING_TARGET {
            assert!(!text.contains("started"), "this layer panics on purpose");
        } else {
            self.0.lock().push(text);
        }
    }
}

/// C36.
#[test]
fn a_layer_that_panics_is_counted_for_its_stream_and_reported_once() {
    let (stream, theirs, ours) = (EventStream::new(), PanicsAtStarts::default(), Witness::new());
    with_layers(registry().with(ours.clone()).with(theirs.clone()), || {
        for _ in 0..3 {
            stream.append(Event::tool_started("t", None, None, json!({}))).expect("valid");
            stream.append(Event::tool_completed("t", None, None, json!({}))).expect("valid");
        }
    });
    assert_eq!((stream.layer_panics(), ours.seen().len()), (3, 6), "a layer before it misses nothing");
    let told = theirs.0.lock().clone();
    assert!(matches!(&told[..], [one] if one.contains("put the one of the telemetry first")), "{told:?}");
}

/// C36, the other way round: what our layer was kept from the start of has no half of a span.
#[test]
fn behind_a_layer_that_panics_at_starts_there_is_no_half_of_a_span() {
    let (recording, runtime) = (Recording::new(), Runtime::new());
    let subscriber = registry().with(PanicsAtStarts::default()).with(recording.layer());
    let flow = Workflow::new("flow").add_step(pass()).build();
    let run = with_default(subscriber, || runtime.execute(&flow, 1).now_or_never());
    run.expect("it waits for nothing").expect("the run succeeds");
    assert_eq!((recording.spans().len(), runtime.event_stream().layer_panics()), (0, 2));
}

/// Panics at its first call.
#[derive(Clone, Debug, Default)]
struct PanicsOnce(Arc<AtomicBool>);

impl ShouldSample for PanicsOnce {
    fn should_sample(
        &self,
        parent: Option<&OtelContext>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        assert!(self.0.swap(true, Ordering::Relaxed), "this sampler panics on purpose");
        Sampler::AlwaysOn.should_sample(parent, trace_id, name, kind, attributes, links)
    }
}

/// C37, C40.
#[test]
fn a_sampler_that_panics_costs_its_span_alone() {
    let provider = SdkTracerProvider::builder()
        .with_sampler(PanicsOnce::default())
        .with_id_generator(EventIdGenerator::default())
        .build();
    let mapper = Arc::new(SpanMapper::new(provider.tracer("test")));
    let metrics = Arc::new(MetricsRecorder::new(SdkMeterProvider::default().meter("test")));
    let layer = OtelLayer::new(Arc::clone(&mapper)).with_metrics(Arc::clone(&metrics));
    let (stream, behind) = (EventStream::new(), Witness::new());
    let start = Event::tool_started("t", None, None, json!({}));
    with_layers(registry().with(layer).with(behind.clone()), || {
        let appended = stream.append(start.clone()).expect("valid");
        assert_eq!(appended.trace, None);
        assert_eq!((metrics.open_components(), mapper.open_spans(), behind.seen().len()), (1, 0, 1));
        assert_eq!(stream.layer_panics(), 1);
    });
    let users = provider.tracer("the user's").start("mine").span_context().span_id();
    let of_event = Recording::new();
    of_event.mapper().observe(&start);
    of_event.mapper().close();
    assert_ne!(of_event.spans()[0].span_id, users.to_bytes(), "it has an id of its own");
}

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
    static LEFT_RUN: RefCell<Option<RunFuture>> = const { RefCell::new(None) };
}

/// Appends an event when it is dropped, and makes that event then.
struct Last(EventStream);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.append(Event::tool_completed("last", None, None, json!({}))).expect("valid");
    }
}

/// C38.
#[test]
fn the_last_destructor_of_a_thread_may_append() {
    let stream = EventStream::new();
    let of_thread = stream.clone();
    thread::spawn(move || {
        LAST.set(Some(Last(of_thread.clone())));
        with_layers(registry().with(Witness::new()), || {
            of_thread.append(Event::tool_started("last", None, None, json!({}))).expect("valid");
        });
    })
    .join()
    .expect("the thread ends well");
    let events = stream.get_events(0).now_or_never().expect("never awaits");
    assert_eq!(story(&events), ["started last", "completed last"]);
}

/// C41.
#[test]
fn a_run_that_is_dropped_with_its_thread_is_whole() {
    let (recording, runtime) = (Recording::new(), Runtime::new());
    let (dispatch, of_thread) = (recording.dispatch(), runtime.clone());
    thread::spawn(move || {
        dispatcher::with_default(&dispatch, || {
            let (_, mut run) = of_thread.start(&agent_flow(replies([ScriptedReply::pending()]), []), "go");
            assert!(run.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            LEFT_RUN.set(Some(run));
        });
    })
    .join()
    .expect("the thread ends well");
    let events = history(&runtime).now_or_never().expect("never awaits");
    assert_eq!(events.len(), 8);
    assert_eq!(crate::support::check_over(&recording, &events).len(), 4);
}

/// C39.
#[test]
fn a_layer_may_run_a_whole_workflow_and_read_it() {
    watched(|| {
        let runtime = Runtime::new();
        let layer = Witness::reacting({
            let runtime = runtime.clone();
            move |emission| {
                if emission.event().offset == Some(0) {
                    let (mut events, run) = runtime.start(&Workflow::new("inner").add_step(pass()).build(), 1);
                    run.now_or_never().expect("it waits for nothing").expect("the run succeeds");
                    assert!(events.try_recv().is_err(), "what follows the event at hand is not visible yet");
                }
            }
        });
        let dispatch = dispatch_of(registry().with(layer.clone()));
        thread::scope(|threads| {
            for _ in 0..4 {
                let (dispatch, stream) = (&dispatch, runtime.event_stream());
                threads.spawn(move || {
                    dispatcher::with_default(dispatch, || append_numbers(stream, 0..50));
                });
            }
        });
        let events = history(&runtime).now_or_never().expect("never awaits");
        assert_eq!(offsets(&events), (0..204).collect::<Vec<_>>());
        let inner = ["started inner", "started inner:step:0", "completed inner:step:0", "completed inner"];
        assert_eq!(story(&events[1..5]), inner);
        assert_eq!(layer.seen().len(), 200, "what a layer appends is not shown");
    });
}

/// A context that panics before it runs the work, or after, or does not run it, or runs it twice.
#[derive(Clone, Copy, Debug)]
enum Broken {
    Before,
    After,
    Never,
    Twice,
}

impl ComponentContext for Broken {
    fn run(&self, work: &mut dyn FnMut()) {
        match self {
            Self::Before => panic_any("this context panics on purpose"),
            Self::After => {
                work();
                panic_any("this context panics on purpose");
            }
            Self::Never => {}
            Self::Twice => {
                work();
                work();
            }
        }
    }

    fn headers(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}

/// C12.1: what was looked at and not shown, a foreign context that panics.
#[test]
fn a_context_that_is_broken_costs_the_trace_and_never_the_work() {
    for broken in [Broken::Before, Broken::After, Broken::Never, Broken::Twice] {
        let runtime = Runtime::new();
        let layer = Witness::reacting(move |emission| emission.set_context(Arc::new(broken)));
        let result = with_default(registry().with(layer), || {
            runtime.execute(&crate::support::full_flow(), "go").boxed().now_or_never()
        });
        if let Some(result) = result {
            result.unwrap_or_else(|error| panic!("{broken:?}: {error}"));
        }
        assert_balanced(&history(&runtime).now_or_never().expect("never awaits"));
    }
}

/// Counts its calls, and panics if it is to.
#[derive(Default)]
struct Woken {
    calls: AtomicUsize,
    panics: bool,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        assert!(!self.panics, "this waker panics on purpose");
    }
}

/// C12.2: a waker that panics.
#[test]
fn a_waker_that_panics_leaves_no_other_reader_asleep() {
    let stream = EventStream::new();
    let wakers: Vec<_> =
        [true, false, true, false].into_iter().map(|panics| Arc::new(Woken { panics, ..Woken::default() })).collect();
    let mut readers: Vec<_> = wakers.iter().map(|_| stream.subscribe()).collect();
    let mut poll_all = || {
        for (reader, waker) in readers.iter_mut().zip(&wakers) {
            let waker = Waker::from(Arc::clone(waker));
            let next = futures_util::Stream::poll_next(Pin::new(reader), &mut Context::from_waker(&waker));
            assert!(matches!(next, Poll::Pending));
        }
    };
    poll_all();
    append_numbers(&stream, 0..1);
    let calls: Vec<_> = wakers.iter().map(|woken| woken.calls.load(Ordering::Relaxed)).collect();
    assert_eq!(calls, [1, 1, 1, 1]);
    drop(stream);
}

/// C53, and the other way round, in one stream and across two.
#[test]
fn of_a_component_both_halves_are_shown_or_neither() {
    let start = || Event::tool_started("audit", None, None, json!({}));
    let end = || Event::tool_completed("audit", None, None, json!({}));
    // For each half whether a layer appends it, and whether to another stream than that of the event it is shown.
    let cases =
        [(true, false, false), (false, true, false), (true, true, false), (false, true, true), (true, false, true)];
    for (layer_starts, layer_ends, across) in cases {
        watched(move || {
            let (stream, other) = (EventStream::new(), EventStream::new());
            let audits = if across { other.clone() } else { stream.clone() };
            let recording = Recording::new();
            let auditor = Witness::reacting({
                let audits = audits.clone();
                move |emission| match emission.event().data["number"].as_u64() {
                    Some(0) if layer_starts => drop(audits.append(start()).expect("valid")),
                    Some(1) if layer_ends => drop(audits.append(end()).expect("valid")),
                    _ => {}
                }
            });
            let subscriber = registry().with(recording.layer()).with(auditor);
            dispatcher::with_default(&dispatch_of(subscriber), || {
                append_numbers(&stream, 0..1);
                if !layer_starts {
                    audits.append(start()).expect("valid");
                }
                append_numbers(&stream, 1..2);
                if !layer_ends {
                    audits.append(end()).expect("valid");
                }
            });
            let spans = recording.spans();
            let expected = usize::from(!layer_starts);
            let case = format!("{layer_starts} {layer_ends} {across}: {}", spans.tree());
            assert_eq!((spans.len(), recording.mapper().open_spans()), (expected, 0), "{case}");
            assert!(spans.iter().all(|span| spans::attribute(span, "agent_runtime.unmatched").is_null()), "{case}");
            let events = audits.get_events(0).now_or_never().expect("never awaits");
            assert_eq!(events.iter().filter(|event| event.component_id == "audit").count(), 2, "{case}");
        });
    }
}

/// A layer that ends something at each end is not shown ends for ever.
#[test]
fn a_layer_that_ends_something_at_each_end_comes_to_an_end() {
    for across in [true, false] {
        watched(move || {
            let (stream, other) = (EventStream::new(), EventStream::new());
            let ends = Witness::reacting({
                let target = if across { other } else { stream.clone() };
                move |_| drop(target.append(Event::tool_completed("t", None, None, json!({}))).expect("valid"))
            });
            with_layers(registry().with(ends.clone()), || append_numbers(&stream, 0..2));
            assert!(ends.seen().len() < 10_000, "{}", ends.seen().len());
            assert_eq!(
                offsets(&history(&Runtime::with_event_stream(stream.clone())).now_or_never().expect("never awaits"))
                    .len() as u64,
                stream.next_offset()
            );
        });
    }
}
