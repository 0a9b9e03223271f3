//! What is exported goes to the address that was set and nowhere else, and only a collector's answer counts as delivered.

use super::program::Program;
use crate::support::{HttpReply, ScriptedServer};

const PAGE: &str = "<html><body>Please log in</body></html>";

fn page() -> HttpReply {
    HttpReply::status(200).with_header("content-type", "text/html; charset=utf-8").then(PAGE)
}

async fn answering(reply: HttpReply) -> (ScriptedServer, String) {
    let server = ScriptedServer::answering(move |_, _| reply.clone()).await;
    let url = format!("http://127.0.0.1:{}", server.port());
    (server, url)
}

fn run(url: &str, variables: &[(&str, &str)]) -> Program {
    let own = [("OTEL_EXPORTER_OTLP_ENDPOINT", url), ("OTEL_METRICS_EXPORTER", "none")];
    Program::run(&[&own, variables].concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_take_neither_spans_nor_keys_elsewhere() {
    for (case, status) in [("C1", 302), ("C2", 307), ("C2", 308)] {
        let (elsewhere, url_of_elsewhere) = answering(page()).await;
        let redirect = HttpReply::status(status).with_header("location", &format!("{url_of_elsewhere}/login"));
        let (collector, url) = answering(redirect).await;
        let program = run(&url, &[("OTEL_EXPORTER_OTLP_HEADERS", "api-key=hush")]);
        assert_eq!((elsewhere.requests().len(), collector.requests().len()), (0, 1), "{case}: {program:?}");
        let outcome = program.outcome();
        assert!(outcome.starts_with("2 of 2 spans did not arrive (2 refused"), "{case}: {outcome}");
        assert!(outcome.contains(&status.to_string()) && outcome.contains("redirects are not followed"), "{outcome}");
    }
}

/// An answer, and whether it is a collector's.
fn answers() -> [(&'static str, HttpReply, bool); 8] {
    let of_type = |media_type| HttpReply::status(200).with_header("content-type", media_type);
    [
        ("C3 a page", page(), false),
        ("C3 text", of_type("text/plain").then("hello"), false),
        ("C3 JSON that is no object", of_type("application/json").then("[]"), false),
        ("C4 empty", HttpReply::status(200), true),
        ("C4 protobuf", of_type("application/x-protobuf").then("\u{a}\u{0}"), true),
        ("C4 {}", of_type("application/json").then("{}"), true),
        ("C4 no loss", of_type("application/json").then(r#"{"partialSuccess": {}}"#), true),
        (
            "in part, as JSON",
            of_type("application/json")
                .then(r#"{"partialSuccess": {"rejectedSpans": "1", "errorMessage": "too old"}}"#),
            false,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_collectors_answer_counts_as_delivered() {
    for (case, reply, is_delivered) in answers() {
        let (collector, url) = answering(reply).await;
        let program = run(&url, &[]);
        assert_eq!(collector.requests().len(), 1, "{case} is not tried again: {program:?}");
        assert_eq!(program.outcome() == "all 2 spans arrived", is_delivered, "{case}: {program:?}");
        if case.starts_with("C3") {
            assert!(program.outcome().contains("not a collector's answer"), "{case}: {program:?}");
        }
        if case.starts_with("in part") {
            let expected = "1 of 2 spans did not arrive (1 refused or unreachable, 0 not sent): the collector rejected 1 of \
                            2 spans: too old";
            assert!(program.outcome().starts_with(expected), "{program:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_is_asked_for_other_hosts_alone() {
    for proxies in [["HTTP_PROXY", "OTHER"], ["http_proxy", "OTHER"]] {
        let (proxy, url_of_proxy) = answering(HttpReply::status(200)).await;
        let (collector, url) = answering(HttpReply::status(200)).await;
        let variables = proxies.map(|name| (name, url_of_proxy.as_str()));
        let program = run(&url, &variables);
        assert_eq!((proxy.requests().len(), collector.requests().len()), (0, 1), "C5: {program:?}");

        let program = run("http://collector.example:4318", &variables);
        let asked: Vec<_> = proxy.requests().into_iter().map(|request| request.target).collect();
        assert_eq!(asked, ["POST http://collector.example:4318/v1/traces"], "C6: {program:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_exported_claims_no_trace_and_passes_on_what_came() {
    let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let (collector, url) = answering(HttpReply::status(200)).await;
    let variables = [("OTEL_SDK_DISABLED", "true"), ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str())];
    let program = Program::with_caller(caller, &variables);
    assert_eq!((program.said("trace: "), collector.requests().len()), (Some("None"), 0), "C7: {program:?}");
    let headers = program.said("headers: ").unwrap_or_default();
    assert!(headers.contains(caller), "C7: {program:?}");

    let program = Program::running(1, &variables);
    assert_eq!(program.said("headers: "), Some("[]"), "C7 without a caller: {program:?}");
}
