//! The scale-out of docker-compose.kafka.yml: collector → Kafka → collector → Jaeger. Each part is killed (SIGKILL) in the
//! middle of a run and started again, and nothing is lost of what the first collector has said that it took.

use std::{thread, time::Duration};

use crate::{
    example::{self, Delivery},
    jaeger::Jaeger,
    native::Native,
    stack::Stack,
};

const PARTS: [&str; 4] = ["kafka", "jaeger", "collector", "consumer"];
const AWAY: Duration = Duration::from_secs(3);

#[test]
fn nothing_is_lost_on_the_way_through_kafka_whatever_is_killed() {
    let test = "nothing_is_lost_on_the_way_through_kafka_whatever_is_killed";
    let Some(stack) = Stack::up(test, &PARTS) else { return };
    let jaeger = Jaeger::of(&stack);
    // Behind the first collector, a failure is none of the application's business.
    for killed in [&["kafka"][..], &["consumer", "kafka", "jaeger"]] {
        let (delivery, native) = run(&stack, killed);
        let all = native.components().len();
        let complete = Delivery { ended: all as u64, exported: all as u64, failed: 0, unsent: 0 };
        assert_eq!(delivery, complete, "without {killed:?}");
        native.check_all(&jaeger.wait_for(&native.traces(), all), "load");
    }

    // The first collector itself: what it took before it was killed is in its queue on disk.
    let (Delivery { ended, exported, failed, unsent }, native) = run(&stack, &["collector"]);
    assert_eq!((exported + failed, unsent), (ended, 0));
    let wanted = usize::try_from(exported).expect("it fits");
    let spans = jaeger.wait_for(&native.traces(), wanted);
    let present = native.check_present(&spans, "load");
    eprintln!("collector killed: {exported} exported, {failed} failed, {present} in Jaeger");
    assert!((exported..=ended).contains(&present), "{exported} of {ended} exported, {present} are there");

    // Jaeger keeps what it has.
    stack.part("stop", "jaeger");
    stack.part("start", "jaeger");
    assert_eq!(jaeger.wait_for(&native.traces(), spans.len()).len(), spans.len(), "after a restart of Jaeger");
}

/// Runs the example and takes parts away from it for some seconds.
fn run(stack: &Stack, killed: &[&str]) -> (Delivery, Native) {
    let file = stack.file("events.jsonl");
    let path = file.to_str().expect("the path is text");
    let arguments = ["--workflows", "300", "--at-once", "50", "--pause-ms", "25", "--events", path];
    let mut variables = stack.otlp("grpc");
    variables.push(("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "100".to_owned()));
    let mut load = example::start("load", &arguments, &variables);
    load.wait_for_exported(200);
    killed.iter().for_each(|part| stack.part("kill", part));
    thread::sleep(AWAY);
    killed.iter().for_each(|part| stack.part("start", part));
    let lines = load.finish();
    (Delivery::last(&lines), Native::read(&file))
}
