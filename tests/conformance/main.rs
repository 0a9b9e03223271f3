//! All that the examples send, against the rules that it must follow: each span, span event, metric and log event that a
//! collector gets of the examples as programs is held against [`rules`], and each rule against what the examples show.

mod documentation;
mod rules;
#[expect(dead_code, unused_imports, reason = "shared with other test binaries, which use other parts of it")]
#[path = "../support/mod.rs"]
mod support;
mod walk;

use support::{process::run_example, sink::Sink};
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
        let finished = run_example(example, arguments, &variables);
        assert!(finished.success, "{example}: {finished:#?}");
        walk.of(example, &sink, has_content);
    }
    let faults: Vec<_> = walk.faults.iter().cloned().chain(walk.faults_of_the_rules()).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
