//! All that the examples send, against the rules that it must follow: each span, span event, metric and log event that a
//! collector gets of the examples as programs is held against [`rules`], and each rule against what the examples show.

mod documentation;
mod rules;
#[expect(dead_code, unused_imports, reason = "shared with other test binaries, which use other parts of it")]
#[path = "../support/mod.rs"]
mod support;
mod walk;

use agent_runtime::prelude::*;
use support::{HttpReply, ScriptedServer, process::run_example, running::Running, sink::Sink};
use walk::Walk;

/// An example, its arguments, and whether it captures content.
const RUNS: [(&str, &[&str], bool); 4] = [
    ("quickstart", &[], false),
    ("quickstart", &[], true),
    ("failures", &[], true),
    ("load", &["--workflows", "20", "--progress", "both"], false),
];

#[test]
fn all_that_the_examples_send_follows_the_rules_and_every_rule_is_shown() {
    let mut walk = Walk::default();
    for (example, arguments, has_content) in RUNS {
        let (protocol, sink) = if has_content { ("grpc", Sink::grpc()) } else { ("http/protobuf", Sink::http()) };
        let content = if has_content { "SPAN_AND_EVENT" } else { "NO_CONTENT" };
        let variables = [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.url()),
            ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", content),
        ];
        run(example, arguments, &variables);
        sink.spans().assert_well_formed();
        walk.of(example, &sink, has_content);
    }
    chat(&mut walk);
    service(&mut walk);
    resumed_job(&mut walk);
    let faults: Vec<_> = walk.faults.iter().cloned().chain(walk.faults_of_the_rules()).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn chat(walk: &mut Walk) {
    let asked = |request: &support::RecordedRequest| request.body["messages"].as_array().map_or(0, Vec::len);
    let server = ScriptedServer::answering(move |_, request| match asked(request) {
        0..=2 => HttpReply::tool_calls(&[("call_1", "clock", json!({}))]),
        _ => HttpReply::chat(&["Half past nine."]),
    });
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let (server, sink) = (runtime.block_on(server), Sink::http());
    let (model, collector) = (server.base_url(), sink.url());
    let variables = [
        ("OPENAI_BASE_URL", model.as_str()),
        ("OPENAI_MODEL", "scripted-model"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector),
    ];
    run("chat", &[], &variables);
    sink.spans().assert_well_formed();
    walk.of("my-agents", &sink, false);
}

fn service(walk: &mut Walk) {
    let sink = Sink::http();
    let mut service = Running::start("service", &["127.0.0.1:0"], &[("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.url())]);
    let line = service.line();
    let url = line.strip_prefix("listening on ").expect("it says where");
    let answer = reqwest::blocking::Client::new().post(format!("{url}/ask")).body("Where is order 1?").send();
    answer.and_then(reqwest::blocking::Response::text).expect("it answers");
    assert!(service.interrupt().0, "it ends well");
    sink.spans().assert_well_formed();
    walk.of("service", &sink, false);
}

/// Two lives of one job: what the first has done of it lies below the span of the second, which is younger.
fn resumed_job(walk: &mut Walk) {
    let sink = Sink::http();
    run("resumed_job", &[], &[("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.url())]);
    walk.of("resumed_job", &sink, false);
}

fn run(example: &str, arguments: &[&str], variables: &[(&str, &str)]) {
    let finished = run_example(example, arguments, variables);
    assert!(finished.success, "{example}: {finished:#?}");
}
