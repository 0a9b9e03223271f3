//! Collectors that are there and not well: slow, there now and then, or with something against what they are sent.
//! Whatever they do, what arrived, what failed and what was not sent add up to what ended.
//!
//! The exporters read their environment, so each test runs in a process of its own; see `child_…`.

use std::{
    collections::BTreeSet,
    env,
    error::Error,
    iter,
    net::{TcpListener, TcpStream},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use agent_runtime::{
    otel::{ContentCapture, Telemetry},
    prelude::*,
};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{Layer as _, layer::SubscriberExt as _, registry};

use crate::support::process::run_child;
use crate::support::sink::{Answer, Gate, Signal, Sink, Transport, spans_of};
use crate::support::{FULL_TREE, full_flow};

const TRANSPORTS: [(Transport, &str); 2] = [(Transport::Http, "http/protobuf"), (Transport::Grpc, "grpc")];

/// How many workflows the process runs, one after another.
const RUNS: &str = "AGENT_RUNTIME_TEST_RUNS";
/// What else listens to `tracing`: `nobody`, `everybody` to everything, or `filtered` to nothing but errors.
const LISTENERS: &str = "AGENT_RUNTIME_TEST_LISTENERS";
/// Whom the process connects to when its workflows have ended.
const REPORTS_ENDS_TO: &str = "AGENT_RUNTIME_TEST_REPORTS_ENDS_TO";
/// Whether the process waits with its shutdown until nothing is left to be sent.
const WAITS: &str = "AGENT_RUNTIME_TEST_WAITS";

/// What became of the spans, or of the log events if it was those that were lost.
#[derive(Debug, PartialEq, Eq)]
struct Reported {
    ended: u64,
    exported: u64,
    failed: u64,
    unsent: u64,
}

#[derive(Debug)]
struct Ending {
    reported: Reported,
    /// How many spans had arrived when the last workflow had ended.
    arrived_by_then: u64,
    /// What the shutdown said, with all that is behind it; `ok` if nothing is wrong.
    outcome: String,
}

fn run(sink: &Sink, protocol: &str, variables: &[(&str, &str)]) -> Ending {
    let url = sink.url();
    let mut all = vec![("OTEL_EXPORTER_OTLP_PROTOCOL", protocol), ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str())];
    all.extend_from_slice(variables);
    let finished = run_child("child_meets_a_fault", &all);
    let said = |word: &str| {
        let line = finished.stdout.lines().find_map(|line| line.strip_prefix(word));
        line.unwrap_or_else(|| panic!("no {word:?} in {finished:#?}"))
    };
    let numbers: Vec<_> = said("reported: ").split(' ').map(|number| number.parse().expect("it is a number")).collect();
    let [ended, exported, failed, unsent] = numbers[..] else { panic!("{numbers:?}") };
    let reported = Reported { ended, exported, failed, unsent };
    let arrived_by_then = said("arrived: ").parse().expect("it is a number");
    Ending { reported, arrived_by_then, outcome: said("outcome: ").to_owned() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs in a process of its own"]
async fn child_meets_a_fault() {
    let builder = Telemetry::builder("test").with_content_capture(ContentCapture::EventOnly);
    let builder = builder.with_otlp_from_env().with_shutdown_timeout(Duration::from_secs(60));
    let telemetry = builder.build().expect("the variables are right");
    let subscribers = registry().with(telemetry.layer());
    let errors = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let installed = match env::var(LISTENERS).as_deref() {
        Ok("everybody") => tracing::subscriber::set_global_default(subscribers.with(errors)),
        Ok("filtered") => {
            let errors = errors.with_filter(LevelFilter::ERROR);
            tracing::subscriber::set_global_default(subscribers.with(errors))
        }
        _ => tracing::subscriber::set_global_default(subscribers),
    };
    installed.expect("it is the first");

    let runs = env::var(RUNS).map_or(1, |runs| runs.parse().expect("it is a number"));
    for _ in 0..runs {
        Runtime::new().execute(&full_flow(), "go").await.expect("the run succeeds");
    }
    println!("\narrived: {}", telemetry.report().spans.delivery.exported);
    if let Ok(address) = env::var(REPORTS_ENDS_TO) {
        drop(TcpStream::connect(address).expect("somebody listens"));
    }
    if env::var_os(WAITS).is_some() {
        let is_sent = || {
            let report = telemetry.report();
            [report.spans, report.logs].iter().all(|signal| signal.delivery.unanswered + signal.delivery.unsent() == 0)
        };
        crate::support::eventually("the export of all", is_sent).await;
    }
    let result = telemetry.shutdown();
    let report = result.as_ref().unwrap_or_else(|error| error.report());
    let delivery = if report.spans.is_complete() && !report.logs.is_complete() {
        report.logs.delivery
    } else {
        report.spans.delivery
    };
    println!("reported: {} {} {} {}", delivery.ended, delivery.exported, delivery.failed, delivery.unsent());
    let outcome = result.map_or_else(|error| with_sources(&error), |_| "ok".to_owned());
    println!("outcome: {outcome}");
}

fn with_sources(error: &(dyn Error + 'static)) -> String {
    let all = iter::successors(Some(error), |&error| error.source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn spans_of_a_run() -> u64 {
    FULL_TREE.lines().count() as u64
}

const PARTLY: Answer = Answer::AcceptPartly { rejected: 3, message: "too long" };

fn answering(transport: Transport, partly: Signal, answer: Answer) -> Sink {
    Sink::answering(transport, move |signal| if signal == partly { answer } else { Answer::Accept })
}

/// The exporter reports it in an event of `tracing` alone, which must be heard whoever else listens.
#[test]
fn what_a_collector_takes_only_in_part_is_counted_and_reported() {
    for (transport, protocol) in TRANSPORTS {
        for listeners in ["nobody", "everybody", "filtered"] {
            for waits in
                [&[][..], &[(WAITS, "1"), ("OTEL_BSP_SCHEDULE_DELAY", "10"), ("OTEL_BLRP_SCHEDULE_DELAY", "10")]]
            {
                let sink = answering(transport, Signal::Traces, PARTLY);
                let variables = [&[(LISTENERS, listeners), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "512")], waits].concat();
                let ending = run(&sink, protocol, &variables);
                let ended = spans_of_a_run();
                let sizes = sink.requests().into_iter().map(|request| spans_of([request]).len() as u64);
                let failed = sizes.map(|size| size.min(3)).sum();
                let expected = Reported { ended, exported: ended - failed, failed, unsent: 0 };
                assert_eq!(ending.reported, expected, "{protocol} {variables:?}: {ending:?}");
                assert!(ending.outcome.contains("the collector rejected 3 of "), "{}", ending.outcome);
                assert!(ending.outcome.contains(" spans: too long ("), "{}", ending.outcome);
                assert!(ending.outcome.contains(&sink.url()), "{}", ending.outcome);
            }
        }
    }
}

#[test]
fn log_events_and_metrics_that_a_collector_does_not_take_are_reported_too() {
    for (transport, protocol) in TRANSPORTS {
        // One export, at the end.
        let variables = [("OTEL_BLRP_SCHEDULE_DELAY", "60000")];
        let ending = run(&answering(transport, Signal::Logs, PARTLY), protocol, &variables);
        let Reported { ended, .. } = ending.reported;
        assert_eq!(ending.reported, Reported { ended, exported: ended - 3, failed: 3, unsent: 0 }, "{ending:?}");
        let reported = format!("the collector rejected 3 of {ended} log events: too long (");
        assert!(ending.outcome.contains(&reported), "{ending:?}");

        let refusing = Sink::answering(transport, |_| Answer::Refuse(400));
        let ending = run(&refusing, protocol, &[("OTEL_METRICS_EXPORTER", "none")]);
        let lost =
            format!("; {ended} of {ended} log events did not arrive ({ended} refused or unreachable, 0 not sent): ");
        assert!(ending.outcome.contains(&lost), "{ending:?}");

        let ending = run(&answering(transport, Signal::Metrics, PARTLY), protocol, &[]);
        assert!(ending.outcome.starts_with("the last metrics did not arrive"), "{ending:?}");
        assert!(ending.outcome.contains("the collector rejected 3 of the data points: too long ("), "{ending:?}");
    }
}

#[test]
fn a_collector_cannot_reject_more_than_it_was_sent_and_a_mere_remark_is_no_loss() {
    for (transport, protocol) in TRANSPORTS {
        let all = Answer::AcceptPartly { rejected: i64::MAX, message: "" };
        let ended = spans_of_a_run();
        let ending = run(&answering(transport, Signal::Traces, all), protocol, &[]);
        assert_eq!(ending.reported, Reported { ended, exported: 0, failed: ended, unsent: 0 });
        for rejected in [0, -1] {
            let remark = Answer::AcceptPartly { rejected, message: "the attribute x is deprecated" };
            let ending = run(&answering(transport, Signal::Traces, remark), protocol, &[]);
            assert_eq!(ending.outcome, "ok");
        }
    }
}

/// The collector answers nothing until all workflows have ended, so that one that waited for it would not end.
#[test]
fn a_slow_collector_gets_everything_and_holds_up_no_workflow() {
    const RUN_COUNT: u64 = 10;
    static ENDED: Gate = Gate::closed();
    for (transport, protocol) in TRANSPORTS {
        ENDED.set_open(false);
        let sink = answering(transport, Signal::Traces, Answer::AcceptBehind(&ENDED));
        let ends = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = ends.local_addr().expect("it is bound").to_string();
        let listening = thread::spawn(move || {
            ends.accept().expect("the workflows end");
            ENDED.set_open(true);
        });
        let variables = [
            (RUNS, &*RUN_COUNT.to_string()),
            (REPORTS_ENDS_TO, &address),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "18"),
            ("OTEL_BSP_SCHEDULE_DELAY", "10"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "60000"),
        ];
        let ending = run(&sink, protocol, &variables);
        listening.join().expect("the process connected");
        assert_eq!(ending.outcome, "ok");
        let ended = RUN_COUNT * spans_of_a_run();
        assert_eq!((ending.reported.ended, sink.spans().len() as u64), (ended, ended));
        assert_eq!(ending.arrived_by_then, 0, "{protocol}");
    }
}

#[test]
fn whatever_a_collector_that_comes_and_goes_does_every_span_is_accounted_for_once() {
    // An export is tried four times.
    let turns = [
        [Answer::HangUp, Answer::Refuse(503), Answer::HangUp, Answer::Refuse(503)],
        [Answer::Accept, Answer::HangUp, Answer::Accept, Answer::Refuse(503)],
        [Answer::Accept, Answer::Refuse(400), Answer::Refuse(503), Answer::Accept],
        [Answer::HangUp, Answer::HangUp, Answer::HangUp, Answer::HangUp],
    ]
    .concat();
    for (transport, protocol) in TRANSPORTS {
        let (turns, turn) = (turns.clone(), AtomicUsize::new(0));
        let sink = Sink::answering(transport, move |signal| {
            let answer = || turns.get(turn.fetch_add(1, Ordering::SeqCst)).copied();
            if signal == Signal::Traces { answer().unwrap_or(Answer::Accept) } else { Answer::Accept }
        });
        let variables = [(RUNS, "4"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "6"), ("OTEL_BSP_SCHEDULE_DELAY", "20")];
        let Ending { reported, outcome, .. } = run(&sink, protocol, &variables);

        let arrived = sink.spans();
        let ids: BTreeSet<_> = arrived.iter().map(|span| (&span.trace_id, &span.span_id)).collect();
        assert_eq!(ids.len(), arrived.len(), "{protocol}: spans arrived twice");
        assert_eq!(reported.ended, 4 * spans_of_a_run());
        assert_eq!(reported.exported, arrived.len() as u64, "{protocol}: {reported:?}");
        assert_eq!(
            (reported.ended, reported.unsent),
            (reported.exported + reported.failed, 0),
            "{protocol}: {reported:?}"
        );
        // Three exports fail: four tries each, and the one for which there is none after the first.
        assert!((3..=18).contains(&reported.failed) && reported.exported > 0, "{protocol}: {reported:?}");
        assert!(outcome.contains("export failed"), "{outcome}");
    }
}

#[test]
fn what_is_refused_for_good_is_not_sent_again() {
    for (status, code) in [(400, "InvalidArgument"), (401, "Unauthenticated"), (403, "PermissionDenied")] {
        for (transport, protocol) in TRANSPORTS {
            let sink = answering(transport, Signal::Traces, Answer::Refuse(status));
            let ending = run(&sink, protocol, &[("OTEL_BSP_SCHEDULE_DELAY", "60000")]);
            let ended = spans_of_a_run();
            assert_eq!(ending.reported, Reported { ended, exported: 0, failed: ended, unsent: 0 });
            assert_eq!(sink.headers(Signal::Traces).len(), 1, "{protocol} {status}");
            let reason = if transport == Transport::Http { status.to_string() } else { code.to_owned() };
            assert!(ending.outcome.contains(&format!("{reason} (")), "{}", ending.outcome);
        }
    }
}
