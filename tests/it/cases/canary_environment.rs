//! Secrets in the environment, in headers and in builders, which a model, a collector and a tool that panics repeat: what a
//! process prints and exports has none of them.

use std::sync::Arc;

use agent_runtime::{
    llm::OpenAiClient,
    otel::{PatternRedactor, Telemetry},
    prelude::*,
};

use crate::support::{
    HttpReply, ScriptedServer,
    process::{Finished, run_child},
    sink::Sink,
};

/// Values that have the form of no secret, in the places where the program has them from.
const COLLECTOR_HEADER: &str = "canary of the collector 17";
const MODEL_HEADER: &str = "canary-of-the-models-header-23";
const QUERY: &str = "canary-of-the-query-29";
const PASSWORD: &str = "canary-of-the-password-31";

/// Values in the forms that the redactor knows.
const KEY: &str = "sk-proj-Canary0123456789abcdefghij";
const PERSONAL: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";

const SECRETS: [&str; 6] = [COLLECTOR_HEADER, MODEL_HEADER, QUERY, PASSWORD, KEY, PERSONAL];

/// Of a key in its form nothing may stay, of another value that a model repeats all does where content is captured.
const WITH_A_FORM: [&str; 2] = [KEY, PERSONAL];

/// A server that refuses the first request and says everything that it was sent, then has a tool called, then says it all.
async fn repeating_model() -> ScriptedServer {
    ScriptedServer::answering(|number, request| {
        let sent = format!("{} {:?} {MODEL_HEADER} {QUERY}", request.target, request.headers);
        match number {
            0 => {
                HttpReply::json(401, &json!({"error": {"message": format!("Incorrect API key: {sent}"), "code": KEY}}))
            }
            1 => HttpReply::tool_calls(&[("explode", &SECRETS.join(" "), json!({"about": SECRETS}))]),
            _ => HttpReply::chat(&["You sent ", &SECRETS.join(" and "), "."]),
        }
    })
    .await
}

fn child(model: &ScriptedServer, collector: &str, capture: &str) -> Finished {
    let headers = format!("authorization=Bearer%20{}", COLLECTOR_HEADER.replace(' ', "%20"));
    let base_url = format!("{}?key={QUERY}", model.base_url());
    run_child(
        "cases::canary_environment::child_repeats_nothing",
        &[
            ("OPENAI_API_KEY", KEY),
            ("OPENAI_MODEL", "m"),
            ("OPENAI_BASE_URL", &base_url),
            ("OTEL_EXPORTER_OTLP_HEADERS", &headers),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector),
            ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", capture),
            ("AGENT_RUNTIME_OPEN_INFERENCE", "true"),
            ("DATABASE_PASSWORD", PASSWORD),
            ("GITHUB_TOKEN", PERSONAL),
        ],
    )
}

#[track_caller]
fn assert_none(case: &str, secrets: &[&str], text: &str) {
    for secret in secrets {
        if let Some(at) = text.find(secret) {
            let around = text.floor_char_boundary(at.saturating_sub(300))..text.ceil_char_boundary(at + secret.len());
            panic!("{case}: {secret}: {}", &text[around]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_printed_or_exported_repeats_a_secret_of_the_environment() {
    for (capture, secrets) in [("NO_CONTENT", &SECRETS[..]), ("SPAN_AND_EVENT", &WITH_A_FORM[..])] {
        let (model, sink) = (repeating_model().await, Sink::http());
        let finished = child(&model, &sink.url(), capture);
        assert!(finished.stdout.contains("outcome: all "), "{finished:#?}");
        let printed = format!("{}{}", finished.stdout, finished.stderr);
        assert_none(capture, &SECRETS, &printed);
        assert!(model.requests().len() > 2, "{finished:#?}");
        for (way, text) in [
            ("spans", format!("{:?}", sink.requests())),
            ("metrics", format!("{:?}", sink.metrics())),
            ("logs", format!("{:?}", sink.logs())),
        ] {
            assert_none(&format!("{capture}, {way}"), secrets, &text);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_repeats_its_headers_is_not_repeated() {
    let (model, collector) = (
        repeating_model().await,
        ScriptedServer::answering(|_, request| {
            HttpReply::status(401).then(format!("no such token: {:?} {COLLECTOR_HEADER}", request.headers))
        })
        .await,
    );
    let url = format!("http://ann:{PASSWORD}@127.0.0.1:{}?key={QUERY}", collector.port());
    let finished = child(&model, &url, "NO_CONTENT");
    assert!(finished.stdout.contains("did not arrive"), "{finished:#?}");
    assert_none("refused", &SECRETS, &format!("{}{}", finished.stdout, finished.stderr));
    assert!(!collector.requests().is_empty(), "{finished:#?}");
}

#[test]
fn an_endpoint_that_cannot_be_used_is_named_without_its_credentials() {
    for endpoint in [format!("htp://ann:{PASSWORD}@127.0.0.1"), format!("http://ann:{PASSWORD}@[::1/?key={QUERY}")] {
        let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
        let finished = run_child("cases::canary_environment::child_cannot_be_set_up", &variables);
        assert!(finished.stdout.contains("set-up: "), "{finished:#?}");
        assert_none(&endpoint, &SECRETS, &format!("{}{}", finished.stdout, finished.stderr));
    }
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_cannot_be_set_up() {
    let error = Telemetry::from_env("canary").expect_err("the endpoint is none");
    println!("\nset-up: {error} {error:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs in a process of its own"]
async fn child_repeats_nothing() {
    let client = || OpenAiClient::builder("m").with_header("x-internal", MODEL_HEADER).with_query("also", QUERY);
    let from_env = OpenAiClient::from_env().expect("the variables are right");
    let builder = Telemetry::builder("canary")
        .with_content_capture_from_env()
        .with_redactor(PatternRedactor::new())
        .with_otlp_from_env();
    println!("\n{:?} {from_env:?} {builder:?}", client().with_api_key(KEY));
    let telemetry = builder.build().unwrap().install().unwrap();
    println!("{telemetry:?} {:?}", telemetry.layer());

    let explode = FnTool::new("explode", "Panics.", json!({"type": "object"}), |_, progress| async move {
        progress(format!("connecting as {}", std::env::var("DATABASE_PASSWORD")?), Some(1));
        Err(format!("cannot connect with \"{}\"", std::env::var("DATABASE_PASSWORD")?).into())
    });
    let base_url = std::env::var("OPENAI_BASE_URL").expect("it is set");
    let own = client().with_api_key(KEY).with_base_url(base_url).build().expect("the settings are right");
    let models: [Arc<dyn agent_runtime::llm::ChatModel>; 2] = [Arc::new(own), Arc::new(from_env)];
    for model in models {
        let agent = Agent::builder("helper", model).with_tool(explode.clone());
        println!("{agent:?}");
        let workflow = Workflow::new("flow").add_step(AgentStep::new(agent.build())).build();
        match Runtime::new().execute(&workflow, "x").await {
            Ok(_) => println!("went well"),
            // As a program prints it, with all that is behind it.
            Err(error) => println!("{error} {error:?}"),
        }
    }
    match telemetry.shutdown() {
        Ok(report) => println!("outcome: {report} {report:?}"),
        Err(error) => println!("outcome: {error} {error:?}"),
    }
}
