//! The largest texts that the limits allow reach the real collector, which keeps its default limits: on spans, in log events
//! and as labels of metrics.

use std::{collections::BTreeSet, env, iter, process::Command};

use agent_runtime::{
    otel::{DEFAULT_MAX_CONTENT_BYTES, DEFAULT_MAX_PROGRESS_EVENTS, MAX_TEXT_BYTES, Telemetry},
    prelude::*,
};
use chrono::TimeDelta;
use tracing::info;

use crate::{jaeger::Jaeger, stack::Stack};

/// What goes to the collector has several times the size that a request may have.
const COMPONENTS: usize = 60;

/// The longest value of a metric's label.
const LABEL_BYTES: usize = 256;

#[test]
fn the_largest_texts_reach_a_collector_with_its_default_limits() {
    let test = "the_largest_texts_reach_a_collector_with_its_default_limits";
    let Some(stack) = Stack::up(test, &["jaeger", "collector"]) else { return };
    for protocol in ["grpc", "http/protobuf"] {
        let mut child = Command::new(env::current_exe().expect("a test has a program"));
        child.args(["--exact", "largest::child_sends_the_largest_texts", "--ignored", "--nocapture"]);
        for (name, _) in env::vars().filter(|(name, _)| name.starts_with("OTEL_")) {
            child.env_remove(name);
        }
        child.envs(stack.otlp(protocol)).envs([
            ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_AND_EVENT"),
            ("AGENT_RUNTIME_OPEN_INFERENCE", "true"),
        ]);
        let output = child.output().expect("the test can be started again");
        let printed = String::from_utf8_lossy(&output.stdout);
        let said = |word: &str| printed.lines().find_map(|line| line.strip_prefix(word));
        assert_eq!(said("outcome: "), Some("all arrived"), "{protocol}: {printed}");
        let trace = said("trace: ").expect("it has a trace").to_owned();
        // One run with all that a tool's span takes.
        let spans = Jaeger::of(&stack).wait_for(&BTreeSet::from([trace]), 6);
        let tool = spans.values().find(|span| span.name == "execute_tool talk").expect("the tool has a span");
        let text =
            |log: &crate::jaeger::JaegerLog| log.fields.values().map(|value| value.to_string().len()).sum::<usize>();
        let logged: usize = tool.logs.iter().map(text).sum();
        assert!(logged > 16 * 3 * MAX_TEXT_BYTES, "{protocol}: {logged} bytes of {} events", tool.logs.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs in a process of its own"]
async fn child_sends_the_largest_texts() {
    let telemetry = Telemetry::from_env("largest").unwrap().install().unwrap();
    let run = Runtime::new().execute(&talking(), long('i', DEFAULT_MAX_CONTENT_BYTES)).await.unwrap();
    println!("\ntrace: {}", run.trace.expect("it is bridged").trace_id);
    fill_spans(&telemetry);
    let stream = EventStream::new();
    (0..COMPONENTS).for_each(|number| ask(&stream, number));
    match tokio::task::spawn_blocking(move || telemetry.shutdown()).await.unwrap() {
        Ok(report) => {
            assert_eq!(report.logs.delivery.exported, COMPONENTS as u64 + 2, "{report:?}");
            println!("outcome: all arrived");
        }
        Err(error) => println!("outcome: {error}"),
    }
}

/// Words of a letter, as many as make a text as long as that.
fn long(letter: char, bytes: usize) -> String {
    let word = format!("{} ", letter.to_string().repeat(31));
    iter::repeat_n(word, bytes / 32).collect()
}

/// A run whose tool says all that there is room for on its span.
fn talking() -> Workflow {
    let talk = FnTool::new("talk", long('d', MAX_TEXT_BYTES), json!({}), |_, _| async {
        let text = long('l', MAX_TEXT_BYTES);
        for _ in 0..20 {
            info!(a = text, b = text, c = text, d = text, e = text, f = text, "{text}");
        }
        Ok(json!(long('r', DEFAULT_MAX_CONTENT_BYTES)))
    });
    let model = ScriptedModel::new("m")
        .with_reply(ScriptedReply::tool_calls([("talk", json!({"text": long('a', DEFAULT_MAX_CONTENT_BYTES)}))]))
        .with_reply(ScriptedReply::text(long('o', DEFAULT_MAX_CONTENT_BYTES)));
    let agent = Agent::builder("talker", model).with_tool(talk).build();
    Workflow::new("largest").add_step(AgentStep::new(agent)).build()
}

/// Spans with as much progress as they take, which lies too far apart to be merged, and an error.
fn fill_spans(telemetry: &Telemetry) {
    for number in 0..COMPONENTS {
        let id = format!("tool:{number}");
        let mut at = TimeDelta::zero();
        let mut observe = |mut event: Event| {
            event.timestamp += at;
            at += TimeDelta::hours(1);
            telemetry.mapper().observe(&event).expect("it has a span");
        };
        let arguments = json!({"arguments": {"text": long('a', DEFAULT_MAX_CONTENT_BYTES)}});
        observe(Event::tool_started(&id, None, None, arguments));
        for _ in 0..DEFAULT_MAX_PROGRESS_EVENTS {
            observe(Event::tool_progress(&id, Some(long('p', MAX_TEXT_BYTES)), None, None, json!({})));
        }
        observe(Event::tool_failed(&id, long('e', MAX_TEXT_BYTES), None, None, json!({})));
    }
}

/// A request with as much content as an attribute takes, on its span and in its log event, and labels of the greatest length.
fn ask(stream: &EventStream, number: usize) {
    let name = |kind: &str| format!("{:a<LABEL_BYTES$}", format!("{kind}-{number}-"));
    let content = || long('c', DEFAULT_MAX_CONTENT_BYTES);
    let id = format!("agent:llm:{number}");
    let start = json!({
        "model": name("model"), "provider": name("provider"), "server_address": name("host"), "server_port": 443,
        "messages": [{"role": "user", "content": content()}],
        "tools": [{"name": "talk", "description": content(), "parameters": {}}],
    });
    let end = json!({
        "response": content(), "response_model": name("answered"),
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "cached_tokens": 1, "reasoning_tokens": 1},
    });
    stream.append(Event::llm_started(&id, None, None, start)).expect("it is valid");
    stream.append(Event::llm_completed(&id, None, None, end)).expect("it is valid");
}
