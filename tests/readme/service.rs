//! `examples/service.rs` as a program: a run for each request, in the caller's trace, its events to that caller alone.

use std::io::{BufRead as _, BufReader, Read as _};

use agent_runtime::prelude::*;

use super::support::{running::Running, sink::Sink};

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";

struct Service {
    running: Running,
    url: String,
}

impl Service {
    fn start(collector: &str) -> Self {
        let mut running = Running::start("service", &["127.0.0.1:0"], &[("OTEL_EXPORTER_OTLP_ENDPOINT", collector)]);
        let line = running.line();
        let url = line.strip_prefix("listening on ").expect("it says where").to_owned();
        Self { running, url }
    }

    fn ask(&self, question: &str) -> reqwest::blocking::Response {
        let request = reqwest::blocking::Client::new().post(format!("{}/ask", self.url)).body(question.to_owned());
        let request = request.header("traceparent", format!("00-{TRACE_ID}-b7ad6b7169203331-01"));
        request.send().expect("it answers").error_for_status().expect("it is well")
    }
}

/// The events in a body of server-sent events.
fn events(body: &str) -> Vec<Event> {
    let data = body.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|json| Event::from_json(json).expect("each is an event")).collect()
}

#[test]
fn each_caller_gets_its_own_run_and_the_trace_goes_on() {
    let sink = Sink::http();
    let mut service = Service::start(&sink.url());
    let (first, second) = (service.ask("Where is order 1?"), service.ask("Where is order 2?"));
    for (mut answer, order) in [(first, "order 1?"), (second, "order 2?")] {
        let mut body = String::new();
        answer.read_to_string(&mut body).expect("it is read to its end");
        let events = events(&body);
        let runs: std::collections::BTreeSet<_> = events.iter().map(|event| &event.workflow_id).collect();
        assert_eq!(runs.len(), 1, "{body}");
        assert_eq!((events[0].scope, events[0].event_type), (EventScope::Workflow, EventType::Started));
        let last = events.last().expect("there are events");
        assert_eq!((last.scope, last.event_type), (EventScope::Workflow, EventType::Completed));
        assert!(last.data["output"].as_str().is_some_and(|output| output.contains(order)), "{}", last.data);
        assert!(events.iter().all(|event| event.trace.is_some_and(|trace| trace.trace_id.to_string() == TRACE_ID)));
        let text: String = events.iter().filter_map(|event| event.data.chunk_text()).collect();
        assert_eq!(last.data["output"], text, "merged, and nothing lost");
    }
    assert_eq!(
        (service.running.line().ends_with(" completed"), service.running.line().ends_with(" completed")),
        (true, true)
    );

    let health = reqwest::blocking::get(format!("{}/health", service.url)).expect("it answers");
    assert!(health.status().is_success());
    assert!(health.text().expect("a text").contains(" of 8 spans exported"));
    let (success, rest) = service.running.interrupt();
    assert!(success);
    assert_eq!(rest, "all 8 spans arrived\n");
    assert_eq!(sink.spans().trace_ids().len(), 1);
}

#[test]
fn a_caller_that_leaves_cancels_its_run() {
    let mut service = Service::start("");
    let mut answer = BufReader::new(service.ask("Where is order 3?"));
    let mut line = String::new();
    answer.read_line(&mut line).expect("an event comes");
    assert!(!line.is_empty());
    drop(answer);
    assert!(service.running.line().ends_with(" canceled"));
}

#[test]
fn ctrl_c_lets_an_open_request_come_to_its_end() {
    let service = Service::start("");
    let mut answer = service.ask("Where is order 4?");
    let interrupting = std::thread::spawn(move || service.running.interrupt());
    let mut body = String::new();
    answer.read_to_string(&mut body).expect("it is read to its end");
    assert_eq!(events(&body).last().map(|event| event.event_type), Some(EventType::Completed));
    let (success, rest) = interrupting.join().expect("no panic");
    assert!(success && rest.contains(" completed\n"), "{rest}");
}
