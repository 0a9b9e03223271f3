//! B5-B14, C9: what comes in is taken exactly as W3C writes it or not at all, and baggage goes to whom it concerns.

use std::{collections::HashMap, sync::Arc};

use agent_runtime::{component::trace_headers, llm::OpenAiClient, otel, prelude::*, testing::Recorder};
use opentelemetry::{
    Context,
    baggage::BaggageExt as _,
    propagation::Extractor,
    trace::{FutureExt as _, TraceContextExt as _},
};

use crate::support::{HttpReply, ScriptedServer};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

fn headers<const N: usize>(headers: [(&str, &str); N]) -> HashMap<String, String> {
    headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn extracted<const N: usize>(list: [(&str, &str); N]) -> Context {
    otel::extract_context(&headers(list))
}

#[test]
fn a_traceparent_is_taken_to_the_letter_or_ignored() {
    let valid = |flags: &str| format!("00-{TRACE}-{CALLER}-{flags}");
    // The flag says whether the caller's trace is sampled; `None`, that the header is ignored.
    let rows = [
        ("B6", "00-abc-b7ad6b7169203331-01".to_owned(), None),
        ("B6: a short trace id", format!("00-{}-{CALLER}-01", &TRACE[1..]), None),
        ("B6: a long trace id", format!("00-0{TRACE}-{CALLER}-01"), None),
        ("B6: a short parent id", format!("00-{TRACE}-{}-01", &CALLER[1..]), None),
        ("B7", format!("00-{TRACE}-0{CALLER}-01"), None),
        ("B8", format!("00-+{}-{CALLER}-01", &TRACE[1..]), None),
        ("B8: in the parent id", format!("00-{TRACE}-+{}-01", &CALLER[1..]), None),
        ("B8: in the flags", format!("00-{TRACE}-{CALLER}-+1"), None),
        ("B8: in the version", format!("+0-{TRACE}-{CALLER}-01"), None),
        ("B9", format!("00-{TRACE}-{CALLER}-1"), None),
        ("B9: a trailing dash", valid("01-"), None),
        ("B9: no flags", format!("00-{TRACE}-{CALLER}"), None),
        ("B9: three digits", valid("001"), None),
        ("B10: upper case", format!("00-{}-{CALLER}-01", TRACE.to_uppercase()), None),
        ("B10: upper case in the parent id", format!("00-{TRACE}-{}-01", CALLER.to_uppercase()), None),
        ("B10: version ff", format!("ff-{TRACE}-{CALLER}-01"), None),
        ("B10: a fifth field", valid("01-more"), None),
        ("B10: zeros", format!("00-{}-{CALLER}-01", "0".repeat(32)), None),
        ("B10: zeros in the parent id", format!("00-{TRACE}-{}-01", "0".repeat(16)), None),
        ("version of one digit", format!("0-{TRACE}-{CALLER}-01"), None),
        ("no hex", format!("00-{}g-{CALLER}-01", &TRACE[1..]), None),
        ("another separator", format!("00_{TRACE}_{CALLER}_01"), None),
        ("a line feed", valid("01\n"), None),
        ("not ASCII", format!("00-{TRACE}-{CALLER}-0é"), None),
        ("empty", String::new(), None),
        ("B11", format!("cc-{TRACE}-{CALLER}-01-more"), Some(true)),
        ("B11: nothing more", format!("cc-{TRACE}-{CALLER}-01"), Some(true)),
        ("B11: more without a dash", format!("cc-{TRACE}-{CALLER}-01more"), None),
        ("B12: 03", valid("03"), Some(true)),
        ("B12: 02", valid("02"), Some(false)),
        ("B12: ff", valid("ff"), Some(true)),
        ("B12: 00", valid("00"), Some(false)),
        ("space around the value of a header", format!(" {}\t", valid("01")), Some(true)),
    ];
    for (id, header, expected) in rows {
        let context = extracted([("traceparent", &header)]);
        let span = context.span().span_context().clone();
        assert_eq!(span.is_valid().then_some(span.is_sampled()), expected, "{id}: {header:?}");
        if expected.is_some() {
            assert_eq!((span.trace_id().to_string().as_str(), span.span_id().to_string().as_str()), (TRACE, CALLER));
        }
    }
}

#[test]
fn a_tracestate_is_kept_as_it_is_or_ignored_alone() {
    let many = |members: usize| (0..members).map(|n| format!("v{n}=x")).collect::<Vec<_>>().join(",");
    let (most, too_many) = (many(32), many(33));
    let rows = [
        ("B13", "!!not=a=state!!", ""),
        ("B13: empty", "", ""),
        ("B13: 32 members", &most, &most),
        ("33 members", &too_many, ""),
        ("C9", "vendor=a\nb", ""),
        ("two, with space around", "a=1 , b=2", "a=1,b=2"),
        ("a tenant", "tenant@vendor=1", "tenant@vendor=1"),
        ("a space inside a value", "a=x y", "a=x y"),
        ("no value", "a=", ""),
        ("no key", "=1", ""),
        ("a key twice", "a=1,a=2", ""),
        ("upper case", "A=1", ""),
        ("not ASCII", "a=ü", ""),
        ("an empty member", "a=1,,b=2", "a=1,b=2"),
    ];
    for (id, state, expected) in rows {
        let parent = format!("00-{TRACE}-{CALLER}-01");
        let context = extracted([("traceparent", &parent), ("tracestate", state)]);
        let span = context.span().span_context().clone();
        assert!(span.is_valid(), "{id}: the traceparent is kept");
        assert_eq!(span.trace_state().header(), expected, "{id}");
    }
}

struct Twice;

impl Extractor for Twice {
    fn get(&self, key: &str) -> Option<&str> {
        self.get_all(key)?.into_iter().next()
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        (key == "traceparent").then(|| vec![parent, parent])
    }
}

#[test]
fn a_traceparent_that_comes_twice_is_ignored() {
    assert!(!otel::extract_context(&Twice).span().span_context().is_valid());
}

/// A workflow whose one step asks for the headers that it would send to a service.
fn asking() -> Workflow {
    let step = TransformStep::new("call_service", |_: JsonValue| async {
        Ok::<_, ToolError>(trace_headers().into_iter().map(|(name, value)| (name, json!(value))).collect())
    });
    Workflow::new("flow").add_step(step).build()
}

#[tokio::test]
async fn baggage_goes_on_whole_to_a_service_that_the_user_chose() {
    let rows = [
        ("B14", "tenant=acme,city=M%C3%BCnchen,level=3;ttl=60", "city=M%C3%BCnchen,level=3;ttl=60,tenant=acme"),
        ("a second equals sign", "key=dmFsdWU=", "key=dmFsdWU="),
        ("a percent sign", "share=100%25", "share=100%25"),
        ("a comma in a value", "list=a%2Cb", "list=a%2Cb"),
        ("two properties", "a=1;x;y=2", "a=1;x;y=2"),
        ("an empty value", "a=", "a="),
        ("space around", " a = 1 , b=2 ", "a=1,b=2"),
        ("malformed members beside a good one", "a,=1,b c=2,d=\"x\",e=%zz,good=1", "good=1"),
        ("a line feed in a property", "a=1;ttl=%0d%0aevil: 1,b=2", "b=2"),
    ];
    for (id, baggage, expected) in rows {
        let recorder = Recorder::new(1);
        let context = extracted([("baggage", baggage)]);
        let run = recorder.runtime().execute(&asking(), "x").with_context(context).await.unwrap();
        assert_eq!(run.output["baggage"], expected, "{id}");
    }
    let none = extracted([("baggage", "a b c")]);
    assert_eq!(none.baggage().len(), 0);
}

#[tokio::test]
async fn a_models_server_gets_the_trace_and_baggage_only_if_it_is_asked_for() {
    for (id, enabled, expected) in [
        ("B5", None, None),
        ("B5: off", Some(false), None),
        ("B5: asked for", Some(true), Some("customer.email=user@example.com,tenant=acme")),
    ] {
        let server = ScriptedServer::start([HttpReply::chat(&["hi"])]).await;
        let client = OpenAiClient::builder("m").with_base_url(server.base_url()).build().unwrap();
        let mut agent = Agent::builder("agent", Arc::new(client));
        if let Some(enabled) = enabled {
            agent = agent.with_baggage(enabled);
        }
        let recorder = Recorder::new(1);
        let parent = format!("00-{TRACE}-{CALLER}-01");
        let context =
            extracted([("traceparent", &parent), ("baggage", "customer.email=user%40example.com,tenant=acme")]);
        let workflow = Workflow::new("flow").add_step(AgentStep::new(agent.build())).build();
        recorder.runtime().execute(&workflow, "x").with_context(context).await.unwrap();
        let sent = &server.requests()[0].headers;
        assert!(sent["traceparent"].starts_with(&format!("00-{TRACE}-")), "{id}");
        assert_eq!(sent.get("baggage").map(String::as_str), expected, "{id}");
    }
}

#[tokio::test]
async fn a_tracestate_that_no_header_can_carry_costs_no_request() {
    let server = ScriptedServer::start([HttpReply::chat(&["hi"])]).await;
    let client = OpenAiClient::builder("m").with_base_url(server.base_url()).build().unwrap();
    let recorder = Recorder::new(1);
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let context = extracted([("traceparent", &parent), ("tracestate", "vendor=a\nb")]);
    let agent = Agent::builder("agent", Arc::new(client)).build();
    let workflow = Workflow::new("flow").add_step(AgentStep::new(agent)).build();
    recorder.runtime().execute(&workflow, "x").with_context(context).await.expect("C9: the server is asked");
    assert_eq!(server.requests()[0].headers.get("tracestate"), None);
}
