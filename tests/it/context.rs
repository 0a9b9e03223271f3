//! The trace's context on its way in, out and beside: callers, services, links, conversations and the user's own events.

use std::{collections::HashMap, sync::Arc};

use agent_runtime::{
    component::{RunOptions, spawn, trace_headers},
    event::TraceContext,
    otel,
    prelude::*,
    testing::Recorder,
};
use opentelemetry::{
    Context, SpanId, TraceId, Value,
    baggage::BaggageExt as _,
    trace::{FutureExt as _, SpanContext, TraceContextExt as _, TraceFlags, TraceState},
};
use opentelemetry_sdk::trace::SpanData;

use crate::support::{HttpReply, ScriptedServer};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

#[tokio::test]
async fn a_run_joins_the_trace_of_the_request_it_serves() {
    let recorder = Recorder::new(1);
    let headers = headers([
        ("traceparent", format!("00-{TRACE}-{CALLER}-01")),
        ("tracestate", "vendor=1".to_owned()),
        ("baggage", "tenant=7".to_owned()),
    ]);
    let context = otel::extract_context(&headers);
    assert_eq!(context.baggage().get("tenant").map(ToString::to_string).as_deref(), Some("7"));
    let run = recorder.runtime().execute(&headers_workflow(), "x").with_context(context).await.unwrap();

    let trace = run.trace.unwrap();
    assert_eq!(
        (trace.trace_id.to_string().as_str(), trace.parent_span_id.unwrap().to_string().as_str()),
        (TRACE, CALLER)
    );
    let spans = recorder.spans();
    assert!(spans.iter().all(|span| span.span_context.trace_id().to_string() == TRACE), "{}", recorder.span_tree(&[]));

    let tool = span(&spans, "execute_tool call_service");
    let headers: JsonValue = serde_json::from_str(run.output.as_str().expect("a text")).unwrap();
    assert_eq!(
        headers,
        json!({
            "baggage": "tenant=7",
            "traceparent": format!("00-{TRACE}-{}-01", tool.span_context.span_id()),
            "tracestate": "vendor=1",
        })
    );
}

#[tokio::test]
async fn malformed_headers_begin_a_trace_of_their_own() {
    let bad = ["", "00", "00-zz-b7ad6b7169203331-01", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"];
    for traceparent in bad {
        let recorder = Recorder::new(1);
        let context = otel::extract_context(&headers([("traceparent", traceparent.to_owned())]));
        let run = recorder.runtime().execute(&headers_workflow(), "x").with_context(context).await.unwrap();
        assert_eq!(run.trace.unwrap().parent_span_id, None, "{traceparent:?}");
    }
}

#[tokio::test]
async fn a_request_to_a_model_carries_the_context_of_its_span() {
    let server = ScriptedServer::start([HttpReply::chat(&["hi"])]).await;
    let client = agent_runtime::llm::OpenAiClient::builder("m").with_base_url(server.base_url()).build().unwrap();
    let recorder = Recorder::new(1);
    let agent = Agent::builder("agent", Arc::new(client)).build();
    recorder.runtime().execute(&Workflow::new("flow").add_step(AgentStep::new(agent)).build(), "x").await.unwrap();

    let spans = recorder.spans();
    let chat = span(&spans, "chat m").span_context.clone();
    let expected = format!("00-{}-{}-01", chat.trace_id(), chat.span_id());
    assert_eq!(server.requests()[0].headers["traceparent"], expected);
}

#[tokio::test]
async fn without_a_bridge_nothing_is_sent_along() {
    let run = Runtime::new().execute(&headers_workflow(), "x").await.unwrap();
    assert_eq!((run.output, run.trace), (json!("{}"), None));
    assert!(trace_headers().is_empty());
}

#[tokio::test]
async fn a_conversation_is_on_every_span_but_the_steps_and_only_if_there_is_one() {
    let options = || RunOptions::default().with_conversation_id("conversation-5");
    let with = Recorder::new(1);
    let nested = Workflow::new("outer").add_step(SubWorkflowStep::new(headers_workflow())).build();
    with.runtime().execute_with(&nested, "x", options()).await.unwrap();
    let without = Recorder::new(1);
    without.runtime().execute(&nested, "x").await.unwrap();

    for span in with.spans() {
        let expected = (!span.name.starts_with("workflow_step")).then_some("conversation-5");
        assert_eq!(attribute(&span, "gen_ai.conversation.id").as_deref(), expected, "{}", span.name);
    }
    assert!(without.spans().iter().all(|span| attribute(span, "gen_ai.conversation.id").is_none()));
}

#[tokio::test]
async fn a_run_links_to_what_it_repeats_and_to_a_parent_that_is_over() {
    let recorder = Recorder::new(1);
    let first = recorder.runtime().execute(&Workflow::new("first").build(), "x").await.unwrap();
    let options =
        RunOptions::default().with_link(first.trace.unwrap()).with_parent_workflow_id(first.workflow_id.as_str());
    recorder.runtime().execute_with(&Workflow::new("again").build(), "x", options).await.unwrap();
    let unknown = RunOptions::default().with_parent_workflow_id("wf_of_nobody");
    recorder.runtime().execute_with(&Workflow::new("stray").build(), "x", unknown).await.unwrap();

    let spans = recorder.spans();
    let links = |name: &str| -> Vec<_> {
        span(&spans, name).links.iter().map(|link| link.span_context.span_id().to_string()).collect()
    };
    let first = first.trace.unwrap().span_id.to_string();
    assert_eq!(links("invoke_workflow again"), [first.clone(), first]);
    assert!(links("invoke_workflow stray").is_empty());
    assert_eq!(span(&spans, "invoke_workflow again").parent_span_id, SpanId::INVALID);
}

#[tokio::test]
async fn the_users_own_tracing_events_are_on_the_span_they_happen_in() {
    let recorder = Recorder::new(1);
    let log = TransformStep::new("log", |value: JsonValue| async move {
        tracing::info!(rows = 3, ok = true, "loaded {}", "all");
        tracing::debug!("too fine");
        for _ in 0..30 {
            tracing::warn!("again");
        }
        Ok::<_, ToolError>(value)
    });
    tracing::info!("outside");
    recorder.runtime().execute(&Workflow::new("flow").add_step(log).build(), "x").await.unwrap();

    let spans = recorder.spans();
    let step = span(&spans, "workflow_step log");
    assert_eq!(step.events.len(), 16, "a span keeps room for the progress");
    let first = &step.events[0];
    let fields: HashMap<_, _> =
        first.attributes.iter().map(|field| (field.key.as_str(), field.value.clone())).collect();
    assert_eq!(first.name, "log");
    assert_eq!((&fields["rows"], &fields["ok"]), (&Value::I64(3), &Value::Bool(true)));
    assert_eq!((fields["message"].as_str(), fields["level"].as_str()), ("loaded all".into(), "INFO".into()));
    assert_eq!(attribute(step, "agent_runtime.log.dropped_count").as_deref(), Some("15"));
    assert!(span(&spans, "invoke_workflow flow").events.is_empty());
}

#[tokio::test]
async fn a_workflow_in_a_spawned_task_of_a_tool_nests_in_the_callers_span() {
    let recorder = Recorder::new(1);
    let runtime = recorder.runtime().clone();
    let step = TransformStep::new("spawns", move |value: JsonValue| {
        let runtime = runtime.clone();
        async move {
            let inner = spawn(async move { runtime.execute(&Workflow::new("inner").build(), value).await });
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(inner.await??.output)
        }
    });
    let caller = SpanContext::new(
        TraceId::from_hex(TRACE).unwrap(),
        SpanId::from_hex(CALLER).unwrap(),
        TraceFlags::SAMPLED,
        false,
        TraceState::default(),
    );
    let context = Context::new().with_remote_span_context(caller);
    let flow = Workflow::new("outer").add_step(step).build();
    let run = recorder.runtime().execute(&flow, "x").with_context(context).await.unwrap();

    let expected = "\
invoke_workflow outer
  workflow_step spawns
    invoke_workflow inner
";
    let tree: String =
        recorder.span_tree(&[]).lines().map(|line| line.rsplit_once(' ').unwrap().0.to_owned() + "\n").collect();
    assert_eq!(tree, expected);
    let spans = recorder.spans();
    let inner = span(&spans, "invoke_workflow inner");
    assert_eq!(attribute(inner, "agent_runtime.workflow.parent_id"), Some(run.workflow_id));
    assert!(matches!(run.trace, Some(TraceContext { sampled: true, .. })));
}

/// A workflow whose agent calls a tool that gives the headers it would send to a service.
fn headers_workflow() -> Workflow {
    let tool = FnTool::new("call_service", "Calls a service.", json!({}), |_args, _progress| async {
        let headers: serde_json::Map<_, _> =
            trace_headers().into_iter().map(|(name, value)| (name, json!(value))).collect();
        Ok(JsonValue::Object(headers))
    });
    let model = ScriptedModel::answering(|request| {
        let last = request.messages.last().expect("a request has messages");
        match last.tool_call_id {
            Some(_) => ScriptedReply::text(&last.content),
            None => ScriptedReply::tool_calls([("call_service", json!({}))]),
        }
    });
    let agent = Agent::builder("agent", Arc::new(model)).with_tool(tool).build();
    Workflow::new("flow").add_step(AgentStep::new(agent)).build()
}

fn headers<const N: usize>(headers: [(&str, String); N]) -> HashMap<String, String> {
    headers.map(|(name, value)| (name.to_owned(), value)).into()
}

fn span<'a>(spans: &'a [SpanData], name: &str) -> &'a SpanData {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name:?}"))
}

fn attribute(span: &SpanData, name: &str) -> Option<String> {
    span.attributes.iter().find(|attribute| attribute.key.as_str() == name).map(|attribute| attribute.value.to_string())
}
