//! The collector goes away in the middle of a run and comes back: the run is unharmed, and what was lost is counted.
//!
//! What can be known exactly: a span counts as exported once the collector has said that it took it, so
//! `ended = exported + failed + unsent` always, to the span. What Jaeger then has depends on how the collector ended.
//!
//! - SIGTERM: it hands on all that it took. Jaeger has every exported span. It may have more: where the answer to an
//!   export is lost with the connection, the spans were taken and count as failed.
//! - SIGKILL: what it had taken and not handed on is gone, which nobody outside can count. That is at most what was
//!   exported in the last moment, its `batch` timeout of 200 ms and the way to Jaeger; every earlier span is there.

use std::{collections::HashMap, thread, time::Duration};

use crate::{
    example::{self, Delivery},
    jaeger::{Jaeger, JaegerSpan},
    native::Native,
    stack::Stack,
};

/// Long enough for the collector to hand on what it took: several of its batch timeouts.
const HANDED_ON: Duration = Duration::from_secs(1);
const AWAY: Duration = Duration::from_secs(4);

/// A run with an outage in its middle.
struct Outage {
    /// Exported so long before the end of the collector that it had handed it on.
    safe: u64,
    delivery: Delivery,
    native: Native,
    spans: HashMap<String, JaegerSpan>,
}

#[test]
fn what_was_exported_before_and_after_a_stop_of_the_collector_arrives() {
    for protocol in ["grpc", "http/protobuf"] {
        let test = "what_was_exported_before_and_after_a_stop_of_the_collector_arrives";
        let Some(stack) = Stack::up(test, &["jaeger", "collector"]) else { return };
        let outage = run(&stack, "stop", protocol);
        let present = outage.check();
        let Delivery { exported, failed, .. } = outage.delivery;
        assert!(present >= exported, "{protocol}: of {exported} exported spans Jaeger has {present}");
        assert!(present <= exported + failed, "{protocol}: {exported} exported, {failed} failed, {present} there");
    }
}

#[test]
fn what_a_killed_collector_had_handed_on_arrives_and_the_rest_is_bounded() {
    for protocol in ["grpc", "http/protobuf"] {
        let test = "what_a_killed_collector_had_handed_on_arrives_and_the_rest_is_bounded";
        let Some(stack) = Stack::up(test, &["jaeger", "collector"]) else { return };
        let outage = run(&stack, "kill", protocol);
        let present = outage.check();
        assert!(present >= outage.safe, "{protocol}: {} were handed on, {present} are there", outage.safe);
        assert!(present <= outage.delivery.exported + outage.delivery.failed);
    }
}

#[test]
fn a_collector_killed_while_nothing_is_on_its_way_loses_nothing_that_it_took() {
    let test = "a_collector_killed_while_nothing_is_on_its_way_loses_nothing_that_it_took";
    let Some(stack) = Stack::up(test, &["jaeger", "collector"]) else { return };
    let jaeger = Jaeger::of(&stack);
    let file = stack.file("events.jsonl");
    let path = file.to_str().expect("the path is text");
    let before = example::run("load", &["--workflows", "50", "--events", path], &stack.otlp("grpc"));
    let first = Native::read(&file);
    thread::sleep(HANDED_ON);
    stack.part("kill", "collector");
    let during = example::run("load", &["--workflows", "5"], &stack.otlp("grpc"));
    stack.part("start", "collector");
    let after = example::run("load", &["--workflows", "50", "--events", path], &stack.otlp("grpc"));
    let second = Native::read(&file);

    for (lines, native) in [(before, first), (after, second)] {
        let all = native.components().len() as u64;
        assert_eq!(Delivery::last(&lines), Delivery { ended: all, exported: all, failed: 0, unsent: 0 });
        native.check_all(&jaeger.wait_for(&native.traces(), native.components().len()), "load");
    }
    let Delivery { ended, exported, failed, unsent } = Delivery::last(&during);
    assert_eq!((exported, failed + unsent), (0, ended), "without a collector nothing arrives, and it is said");
}

/// Runs the example and takes the collector away from it for some seconds.
fn run(stack: &Stack, how: &str, protocol: &str) -> Outage {
    let jaeger = Jaeger::of(stack);
    let file = stack.file("events.jsonl");
    let path = file.to_str().expect("the path is text");
    // About 14 s: one workflow every 20 ms, some before, some during and some after the outage.
    let arguments = ["--workflows", "700", "--at-once", "50", "--pause-ms", "20", "--events", path];
    let mut variables = stack.otlp(protocol);
    // Small batches often, so that the collector ends in the middle of something.
    variables.push(("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "100".to_owned()));
    let mut load = example::start("load", &arguments, &variables);
    let safe = load.wait_for_exported(300).exported;
    thread::sleep(HANDED_ON);
    stack.part(how, "collector");
    thread::sleep(AWAY);
    stack.part("start", "collector");
    let lines = load.finish();

    let ends = lines.iter().find(|line| line.contains("workflows completed"));
    assert_eq!(
        ends.map(String::as_str),
        Some("420 workflows completed, 140 failed, 140 canceled"),
        "as without an outage"
    );
    let native = Native::read(&file);
    let spans = jaeger.settled(&native.traces());
    Outage { safe, delivery: Delivery::last(&lines), native, spans }
}

impl Outage {
    /// Checks what holds after either end of the collector; gives how many spans Jaeger has.
    fn check(&self) -> u64 {
        let Delivery { ended, exported, failed, unsent } = self.delivery;
        assert_eq!(ended, self.native.components().len() as u64, "every component's span ended");
        assert_eq!(exported + failed + unsent, ended, "every span is accounted for");
        assert_eq!(unsent, 0, "the queue was large enough, and the collector was back before the end");
        assert!(failed > 0, "the outage was longer than the exporter's retries");
        let present = self.native.check_present(&self.spans, "load");
        eprintln!("{:?}: {} were safe, Jaeger has {present}", self.delivery, self.safe);
        present
    }
}
