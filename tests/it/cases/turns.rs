//! C34: to redact and to write content is no part of a stream's turn, and a component's span is still whole and in order.

use std::{
    borrow::Cow,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use agent_runtime::{
    otel::{ContentCapture, ContentPolicy, Redactor, Telemetry},
    prelude::*,
};
use futures_util::FutureExt as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use parking_lot::Mutex;
use tracing::dispatcher;
use tracing_subscriber::{layer::SubscriberExt as _, registry};

use crate::{
    content::{Export, text},
    stream::support::{offsets, watched},
    support::{agent_flow, replies, set_default, sink::Sink},
};

/// Waits at each text that contains `HOLD`: says that it is there, and goes on when it is let go.
struct Holding {
    there: mpsc::Sender<()>,
    go_on: Mutex<mpsc::Receiver<()>>,
}

/// The other end of a [`Holding`].
struct Held {
    there: mpsc::Receiver<()>,
    go_on: mpsc::Sender<()>,
}

impl Redactor for Holding {
    fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if text.contains("HOLD") {
            self.there.send(()).expect("the test waits");
            self.go_on.lock().recv().expect("the test lets go");
        }
        text.into()
    }
}

fn holding() -> (Holding, Held) {
    let ((there, is_there), (go_on, goes_on)) = (mpsc::channel(), mpsc::channel());
    (Holding { there, go_on: Mutex::new(goes_on) }, Held { there: is_there, go_on })
}

fn policy(capture: ContentCapture) -> ContentPolicy {
    ContentPolicy::default().with_capture(capture)
}

fn request() -> Event {
    Event::llm_started("a:llm:0", None, None, json!({"model": "m", "messages": [{"role": "user", "content": "HOLD"}]}))
}

fn answered() -> Event {
    Event::llm_completed("a:llm:0", None, None, json!({"response": "fine"}))
}

fn failed() -> Event {
    Event::tool_failed("t", "HOLD on", None, None, json!({}))
}

/// Each of these is redacted at another place: what was asked, what came of it, an error, a report, a log event.
#[test]
fn another_run_of_the_stream_goes_on_while_a_redactor_takes_its_time() {
    let tool = || Event::tool_started("t", None, None, json!({}));
    let report = |message: &str| Event::tool_progress("t", Some(message.to_owned()), None, None, json!({}));
    let system = Event::system_progress("system:s", Some("HOLD".to_owned()), Some("w".to_owned()), None, json!({}));
    let flow = Event::workflow_started("flow", Some("w".to_owned()), None, json!({}));
    let rows = [
        ("a request's messages", ContentCapture::SpanOnly, vec![], request()),
        ("an error's message", ContentCapture::NoContent, vec![tool()], failed()),
        ("a report that is merged", ContentCapture::NoContent, vec![tool(), report("HOLD")], failed()),
        ("an event of the runtime", ContentCapture::NoContent, vec![flow], system),
        ("a log event", ContentCapture::EventOnly, vec![request()], answered()),
    ];
    for (row, capture, before, held_at) in rows {
        watched(move || {
            let (redactor, held) = holding();
            let export = Export::with(policy(capture).with_redactor(redactor));
            before.into_iter().for_each(|event| drop(export.append(event)));
            let (stream, dispatch) = (export.stream.clone(), dispatcher::get_default(Clone::clone));
            let holds = thread::spawn(move || {
                dispatcher::with_default(&dispatch, || stream.append(held_at).expect("the event is valid"))
            });
            held.there.recv().expect("the redactor is reached");
            let flow = agent_flow(replies([ScriptedReply::text("Done.")]), []);
            let other = export.runtime().execute(&flow, "go").now_or_never();
            other.expect("it waits for nobody").unwrap_or_else(|error| panic!("{row}: {error}"));
            assert!(!holds.is_finished(), "{row}: it is still held");
            let events = export.stream.get_events(0).now_or_never().expect("never awaits");
            assert_eq!(offsets(&events), (0..events.len() as u64).collect::<Vec<_>>(), "{row}");
            // As often as the text is met, and once more for nobody.
            (0..8).for_each(|_| held.go_on.send(()).expect("the redactor lives"));
            holds.join().expect("the append returns");
        });
    }
}

#[test]
fn an_end_that_comes_while_the_start_is_redacted_ends_a_whole_span() {
    watched(|| {
        let (redactor, held) = holding();
        let export = Export::with(policy(ContentCapture::SpanOnly).with_redactor(redactor));
        let (stream, dispatch) = (export.stream.clone(), dispatcher::get_default(Clone::clone));
        let holds = thread::spawn(move || dispatcher::with_default(&dispatch, || stream.append(request()).map(drop)));
        held.there.recv().expect("the redactor is reached");
        export.append(answered());
        assert_eq!((export.mapper.open_spans(), export.spans().len()), (0, 0), "its turn comes behind the start's");
        held.go_on.send(()).expect("the redactor lives");
        holds.join().expect("the thread ends well").expect("the event is valid");
        let span = export.span("chat m");
        assert!(text(&span, "gen_ai.input.messages").is_some_and(|asked| asked.contains("HOLD")));
        assert!(text(&span, "gen_ai.output.messages").is_some_and(|answer| answer.contains("fine")));
    });
}

/// Appends to its stream and traces at each text.
struct Talking(EventStream);

impl Redactor for Talking {
    fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        tracing::info!("redacting");
        self.0.append(Event::tool_progress("t", Some("seen".to_owned()), None, None, json!({}))).expect("valid");
        text.into()
    }
}

#[test]
fn a_redactor_that_appends_and_traces_comes_to_an_end() {
    watched(|| {
        let told = EventStream::new();
        let export = Export::with(policy(ContentCapture::SpanAndEvent).with_redactor(Talking(told.clone())));
        [request(), answered()].into_iter().for_each(|event| drop(export.append(event)));
        let span = export.span("chat m");
        assert!(span.events.iter().all(|event| event.name != "log"), "{:?}", span.events);
        assert!((1..1_000).contains(&told.next_offset()), "{}", told.next_offset());
    });
}

/// Has `work` done on a thread while a redactor holds the start of a request, then lets it go.
fn while_held(export: &Export, held: &Held, work: impl FnOnce() + Send) {
    let (stream, dispatch) = (export.stream.clone(), dispatcher::get_default(Clone::clone));
    thread::scope(|threads| {
        threads.spawn(|| dispatcher::with_default(&dispatch, || drop(stream.append(request()))));
        held.there.recv().expect("the redactor is reached");
        work();
    });
}

#[test]
fn a_close_while_the_start_is_redacted_leaves_a_whole_span() {
    watched(|| {
        let (redactor, held) = holding();
        let export = Export::with(policy(ContentCapture::SpanOnly).with_redactor(redactor));
        let go_on = held.go_on.clone();
        let mapper = Arc::clone(&export.mapper);
        while_held(&export, &held, move || {
            mapper.close();
            go_on.send(()).expect("the redactor lives");
        });
        let span = export.span("chat m");
        assert_eq!(text(&span, "error.type").as_deref(), Some("interrupted"));
        assert!(text(&span, "gen_ai.input.messages").is_some());
    });
}

#[test]
fn a_flush_waits_for_what_is_being_redacted() {
    watched(|| {
        let (redactor, held) = holding();
        let sink = Sink::http();
        let exporter = SpanExporter::builder().with_http().with_endpoint(format!("{}/v1/traces", sink.url())).build();
        let telemetry = Telemetry::builder("test")
            .with_span_exporter(exporter.expect("it is a valid endpoint"))
            .with_redactor(redactor)
            .with_shutdown_timeout(Duration::from_secs(60))
            .build()
            .expect("the set-up is good");
        let _subscriber = set_default(registry().with(telemetry.layer()));
        let stream = EventStream::new();
        stream.append(Event::tool_started("t", None, None, json!({}))).expect("valid");
        let (of_thread, dispatch) = (stream, dispatcher::get_default(Clone::clone));
        let holds = thread::spawn(move || dispatcher::with_default(&dispatch, || of_thread.append(failed()).map(drop)));
        held.there.recv().expect("the redactor is reached");
        let flush = thread::spawn({
            let telemetry = telemetry.clone();
            move || telemetry.flush()
        });
        (0..8).for_each(|_| held.go_on.send(()).expect("the redactor lives"));
        let report = flush.join().expect("it returns").expect("all arrives");
        holds.join().expect("the thread ends well").expect("the event is valid");
        assert_eq!(report.spans.delivery.exported, 1);
    });
}
