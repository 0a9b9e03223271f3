//! What a user may write for an endpoint works as the specification says or is an error at set-up; and what was lost names
//! the address that was asked.

use super::program::Program;
use crate::support::{HttpReply, ScriptedServer, sink::Sink};

const GENERAL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

#[test]
fn an_endpoint_that_cannot_work_is_refused_with_what_would_be_right() {
    let cases = [
        ("B54", GENERAL, "127.0.0.1:4317", "grpc"),
        ("B55", GENERAL, "127.0.0.1:4318", "http/protobuf"),
        ("B55", GENERAL, "localhost:4318", "http/protobuf"),
        ("F17", GENERAL, "htp://localhost:4318", "http/protobuf"),
        ("F17", TRACES, "htp://localhost:4318", "grpc"),
        ("no host", GENERAL, "http://", "http/protobuf"),
    ];
    for (case, variable, value, protocol) in cases {
        let program = Program::run(&[(variable, value), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)]);
        let refusal = program.refusal();
        assert!(
            refusal.starts_with(&format!("{variable}={value:?} is not a URL such as http://")),
            "{case}: {refusal}"
        );
    }
    let program = Program::run(&[(GENERAL, "htp://me:hush@collector.example?key=hush")]);
    assert!(program.refusal().contains("htp://…@collector.example\"") && !program.printed.contains("hush"));
}

#[test]
fn without_a_scheme_grpc_goes_unencrypted_only_where_that_is_asked_for() {
    let sink = Sink::grpc();
    let address = sink.address.to_string();
    let program = Program::run(&[
        (GENERAL, address.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "true"),
    ]);
    assert_eq!(sink.spans().len(), 2, "{program:?}");
}

/// The variable, what follows the address in it, and the path that is asked for spans.
const PATHS: [(&str, &str, &str, &str); 8] = [
    ("B56", GENERAL, "", "/v1/traces"),
    ("B56", GENERAL, "/", "/v1/traces"),
    ("B56", GENERAL, "/otlp", "/otlp/v1/traces"),
    ("B56", GENERAL, "/api/public/otel/", "/api/public/otel/v1/traces"),
    ("B57", TRACES, "", "/"),
    ("B57", TRACES, "/", "/"),
    ("B57", TRACES, "/ingest/x", "/ingest/x"),
    ("B57", TRACES, "/v1/traces/", "/v1/traces/"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_path_is_the_one_that_was_written() {
    for (case, variable, path, expected) in PATHS {
        let server = ScriptedServer::answering(|_, _| HttpReply::status(200)).await;
        let endpoint = format!("http://127.0.0.1:{}{path}", server.port());
        let program = Program::run(&[(variable, &endpoint), ("OTEL_METRICS_EXPORTER", "none")]);
        let asked: Vec<_> = server.requests().into_iter().map(|request| request.target).collect();
        assert_eq!(asked, [format!("POST {expected}")], "{case} {endpoint}: {program:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loss_names_the_address_that_was_asked() {
    let missing = ScriptedServer::answering(|_, _| HttpReply::status(404)).await;
    let missing = format!("http://127.0.0.1:{}/v1/traces", missing.port());
    let closed = format!("http://{}", Sink::closed());
    for (endpoint, address, reason) in [
        (closed.as_str(), format!("{closed}/v1/traces"), "Connection refused"),
        (&missing, format!("{missing}/v1/traces"), "404: is the path right?"),
    ] {
        let program = Program::run(&[
            (GENERAL, endpoint),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "300"),
        ]);
        let outcome = program.outcome();
        assert!(outcome.starts_with("2 of 2 spans did not arrive (2 refused or unreachable, 0 not sent)"), "{outcome}");
        assert!(outcome.contains(&address) && outcome.contains(reason), "{outcome}");
    }
    for (body, is_shown) in [("the header x-team is missing", true), ("hush is no key", false)] {
        let refusing = ScriptedServer::answering(move |_, _| {
            HttpReply::status(422).with_header("content-type", "text/plain").then(body)
        });
        let refusing = refusing.await;
        let program = Program::run(&[
            (GENERAL, &format!("http://127.0.0.1:{}", refusing.port())),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=hush"),
        ]);
        let outcome = program.outcome();
        assert_eq!(outcome.contains(&format!("422: {body} (")), is_shown, "{outcome}");
        assert!(outcome.contains("422") && !outcome.contains("hush"), "{outcome}");
    }
    let program = Program::run(&[
        (GENERAL, &format!("http://me:hush@{}", Sink::closed())),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "300"),
    ]);
    assert!(!program.printed.contains("hush"), "{program:?}");
}
