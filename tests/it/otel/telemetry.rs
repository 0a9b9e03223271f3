//! The set-up call and its guard: what is counted, what is closed, and that a broken exporter harms nothing. What reads
//! the environment is tested in processes of its own.

use std::{
    sync::{Arc, OnceLock, mpsc},
    time::Duration,
};

use agent_runtime::{
    otel::{Delivery, ExportError, ExportReport, Telemetry, TelemetryBuilder},
    prelude::*,
};
use opentelemetry_sdk::{
    error::{OTelSdkError, OTelSdkResult},
    trace::{InMemorySpanExporter, SpanData, SpanExporter, SpanProcessor},
};
use parking_lot::Mutex;
use tracing::instrument::WithSubscriber as _;
use tracing_subscriber::{layer::SubscriberExt as _, registry};

use crate::support::{FULL_TREE, agent_flow, assert_balanced, dispatch_of, full_flow, history, replies, spans};

/// How many spans a full run gives.
fn spans_of_a_run() -> u64 {
    FULL_TREE.lines().count() as u64
}

/// Runs the full flow with its spans going to some telemetry.
async fn run_with(telemetry: &Telemetry) -> Vec<Event> {
    let runtime = Runtime::new();
    let dispatch = dispatch_of(registry().with(telemetry.layer()));
    runtime.execute(&full_flow(), "go").with_subscriber(dispatch).await.expect("the run succeeds");
    let events = history(&runtime).await;
    assert_balanced(&events);
    events
}

fn start(builder: TelemetryBuilder) -> Telemetry {
    builder.build().expect("nothing in the environment is wrong")
}

fn counts(delivery: Delivery) -> [u64; 4] {
    [delivery.ended, delivery.exported, delivery.failed, delivery.unsent()]
}

fn complete(result: Result<ExportReport, ExportError>) -> [u64; 4] {
    counts(result.expect("all arrived").spans.delivery)
}

#[track_caller]
fn incomplete(result: Result<ExportReport, ExportError>) -> [u64; 4] {
    let error = result.expect_err("not all arrived");
    let delivery = error.report().spans.delivery;
    let [ended, exported, failed, unsent] = counts(delivery);
    let unanswered = match delivery.unanswered {
        0 => String::new(),
        items => format!("{items} sent and not answered in time, "),
    };
    let expected = format!(
        "{} of {ended} spans did not arrive ({failed} refused or unreachable, {unanswered}{unsent} not sent)",
        ended - exported
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
    counts(delivery)
}

/// Does with each batch what the function says.
#[derive(Clone)]
struct Custom(Arc<dyn Fn(Vec<SpanData>) -> OTelSdkResult + Send + Sync>);

impl std::fmt::Debug for Custom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Custom")
    }
}

impl SpanExporter for Custom {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        (self.0)(batch)
    }
}

fn custom(export: impl Fn(Vec<SpanData>) -> OTelSdkResult + Send + Sync + 'static) -> Custom {
    Custom(Arc::new(export))
}

#[tokio::test]
async fn everything_that_ended_is_counted_as_exported() {
    let telemetry = start(Telemetry::builder("test").with_span_exporter(InMemorySpanExporter::default()));
    run_with(&telemetry).await;
    let ended = spans_of_a_run();
    assert_eq!(counts(telemetry.report().spans.delivery), [ended, 0, 0, ended]);
    assert_eq!(complete(telemetry.shutdown()), [ended, ended, 0, 0]);
}

#[tokio::test]
async fn each_exporter_counts_for_itself() {
    let (failing, working) =
        (custom(|_| Err(OTelSdkError::InternalFailure("no".to_owned()))), InMemorySpanExporter::default());
    let telemetry = start(Telemetry::builder("test").with_span_exporter(failing).with_span_exporter(working));
    run_with(&telemetry).await;
    let ended = spans_of_a_run();
    assert_eq!(incomplete(telemetry.shutdown()), [2 * ended, ended, ended, 0]);
}

#[tokio::test]
async fn an_exporter_that_fails_harms_no_run_and_its_losses_are_told() {
    let exporter = custom(|_| Err(OTelSdkError::Timeout(Duration::from_secs(1))));
    let telemetry = start(Telemetry::builder("test").with_span_exporter(exporter));
    run_with(&telemetry).await;
    let ended = spans_of_a_run();
    assert_eq!(incomplete(telemetry.shutdown()), [ended, 0, ended, 0]);
}

#[tokio::test]
async fn an_exporter_that_panics_harms_no_run_and_its_losses_are_told() {
    let telemetry = start(
        Telemetry::builder("test")
            .with_span_exporter(custom(|_| panic!("this exporter panics on purpose")))
            .with_shutdown_timeout(Duration::from_secs(20)),
    );
    run_with(&telemetry).await;
    let ended = spans_of_a_run();
    let [of, exported, ..] = incomplete(telemetry.shutdown());
    assert_eq!((of, exported), (ended, 0));
}

#[tokio::test]
async fn spans_that_find_the_queue_full_are_counted() {
    let (release, is_released) = mpsc::channel::<()>();
    let is_released = Mutex::new(is_released);
    let received = Arc::new(Mutex::new(0));
    let waits = custom({
        let received = Arc::clone(&received);
        move |batch| {
            is_released.lock().recv().ok();
            *received.lock() += batch.len() as u64;
            Ok(())
        }
    });
    let telemetry = start(Telemetry::builder("test").with_queue_size(4).with_span_exporter(waits));
    for _ in 0..5 {
        run_with(&telemetry).await;
    }
    drop(release);
    let ended = 5 * spans_of_a_run();
    let [of, exported, failed, unsent] = incomplete(telemetry.shutdown());
    assert_eq!((of, failed), (ended, 0));
    assert_eq!(exported, *received.lock());
    assert!(exported >= 4 && unsent == ended - exported, "{exported} exported, {unsent} dropped");
}

#[tokio::test]
async fn an_exporter_that_hangs_is_left_behind() {
    let (hold, is_held) = mpsc::channel::<()>();
    let is_held = Mutex::new(is_held);
    let hangs = custom(move |_| {
        is_held.lock().recv().ok();
        Ok(())
    });
    let telemetry =
        start(Telemetry::builder("test").with_span_exporter(hangs).with_shutdown_timeout(Duration::from_millis(50)));
    run_with(&telemetry).await;
    let ended = spans_of_a_run();
    assert_eq!(incomplete(telemetry.shutdown()), [ended, 0, 0, 0]);
    assert_eq!(telemetry.report().spans.delivery.unanswered, ended);
    drop(hold);
}

#[tokio::test]
async fn shutdown_ends_what_is_open_and_sends_it() {
    let received: Arc<Mutex<Vec<SpanData>>> = Arc::default();
    let keeps = custom({
        let received = Arc::clone(&received);
        move |batch| {
            received.lock().extend(batch);
            Ok(())
        }
    });
    let telemetry = start(Telemetry::builder("test").with_span_exporter(keeps));
    let runtime = Runtime::new();
    let workflow = agent_flow(replies([ScriptedReply::text("one two three").then_pending(2)]), []);
    let dispatch = dispatch_of(registry().with(telemetry.layer()));
    let mut run = Box::pin(runtime.execute(&workflow, "go").with_subscriber(dispatch));
    assert!(futures_util::poll!(run.as_mut()).is_pending());
    assert_eq!(telemetry.mapper().open_spans(), 4);
    assert_eq!(complete(telemetry.shutdown()), [4, 4, 0, 0]);
    let spans = spans::of(received.lock().clone());
    spans.assert_well_formed();
    assert_eq!(spans.roots().len(), 1);
    for span in &spans {
        assert_eq!(spans::attribute(span, "agent_runtime.interrupted"), true, "{}", span.name);
    }
    assert_eq!(spans::chunk_counts(spans.one("chat scripted")).1, 2);
}

#[tokio::test]
async fn a_drop_sends_everything_too() {
    let received = Arc::new(Mutex::new(0));
    let keeps = custom({
        let received = Arc::clone(&received);
        move |batch| {
            *received.lock() += batch.len() as u64;
            Ok(())
        }
    });
    let telemetry = start(Telemetry::builder("test").with_span_exporter(keeps));
    run_with(&telemetry).await;
    drop(telemetry);
    assert_eq!(*received.lock(), spans_of_a_run());
}

#[tokio::test]
async fn a_run_after_the_shutdown_is_unharmed_and_has_no_ids_of_zeros() {
    let telemetry = start(Telemetry::builder("test").with_span_exporter(InMemorySpanExporter::default()));
    let (layer, mapper) = (telemetry.layer(), Arc::clone(telemetry.mapper()));
    run_with(&telemetry).await;
    telemetry.shutdown().expect("all arrived");
    let runtime = Runtime::new();
    let run = runtime.execute(&full_flow(), "go").with_subscriber(dispatch_of(registry().with(layer))).await;
    assert_eq!(run.expect("the run succeeds").trace, None);
    let events = history(&runtime).await;
    assert_balanced(&events);
    assert!(events.iter().all(|event| event.trace.is_none()));
    assert_eq!(mapper.open_spans(), 0);
}

#[tokio::test]
async fn without_an_exporter_there_is_nothing_to_lose() {
    let telemetry = start(Telemetry::builder("test"));
    let events = run_with(&telemetry).await;
    assert!(events.iter().all(|event| event.trace.is_some_and(|trace| trace.sampled)));
    assert_eq!(complete(telemetry.shutdown()), [0, 0, 0, 0]);
}

/// Asks for the flush and the end of the telemetry that it belongs to.
#[derive(Debug)]
struct SelfEnding {
    telemetry: Arc<OnceLock<Telemetry>>,
    said: mpsc::Sender<String>,
}

impl SelfEnding {
    fn ask(&self) {
        let Some(telemetry) = self.telemetry.get() else { return };
        for result in [telemetry.flush(), telemetry.shutdown()] {
            let error = result.expect_err("it would wait for itself");
            assert!(error.is_from_inside(), "{error}");
            self.said.send(error.to_string()).ok();
        }
    }
}

impl SpanExporter for SelfEnding {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        self.ask();
        Ok(())
    }
}

impl SpanProcessor for SelfEnding {
    fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &opentelemetry::Context) {}

    fn on_end(&self, span: SpanData) {
        // The one that is still open at the end, which the shutdown closes.
        if span.name == "invoke_agent open" {
            self.ask();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.ask();
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.ask();
        Ok(())
    }
}

#[test]
fn an_exporter_or_a_processor_that_asks_for_its_own_end_gets_an_error_and_no_deadlock() {
    let (said, errors) = mpsc::channel();
    let telemetry = Arc::<OnceLock<Telemetry>>::default();
    let self_ending = || SelfEnding { telemetry: Arc::clone(&telemetry), said: said.clone() };
    let started =
        start(Telemetry::builder("test").with_span_exporter(self_ending()).with_span_processor(self_ending()));
    let stream = EventStream::new();
    let dispatch = dispatch_of(registry().with(started.layer()));
    tracing::dispatcher::with_default(&dispatch, || {
        stream.append(Event::agent_started("open", None, None, json!({}))).unwrap();
    });
    telemetry.set(started.clone()).unwrap();
    let report = started.shutdown().expect("the rest of it arrives");
    assert_eq!(report.spans.delivery.exported, 1);
    let errors: Vec<_> = errors.try_iter().collect();
    assert!(errors.len() >= 6, "{errors:?}");
    assert!(errors.iter().all(|error| error.contains("another thread can")), "{errors:?}");
}
