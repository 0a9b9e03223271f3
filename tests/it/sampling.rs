//! Sampling by the SDK's samplers, with ids that come from events.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use agent_runtime::{
    component::{spawn, trace_headers},
    otel::{EventIdGenerator, OtelLayer, SpanMapper},
    prelude::*,
    stream::{Emission, EventStream},
};
use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanKind, TraceId, TraceState, TracerProvider as _},
};
use opentelemetry_sdk::trace::{
    InMemorySpanExporter, Sampler, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample,
};
use parking_lot::Mutex;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::support::{self, tool};

#[test]
fn a_ratio_of_a_tenth_keeps_a_tenth_of_100_000_workflows_whole() {
    for whole in [false, true] {
        keeps_a_tenth_of_100_000_workflows_whole(whole);
    }
}

fn keeps_a_tenth_of_100_000_workflows_whole(decided_by_workflow: bool) {
    const WORKFLOWS: usize = 100_000;
    let exporter = InMemorySpanExporter::default();
    let provider = provider(&exporter, Sampler::TraceIdRatioBased(0.1));
    let mapper = SpanMapper::new(provider.tracer("test")).with_whole_workflows_sampled(decided_by_workflow);
    let stream = EventStream::builder().with_capacity(1).build();
    for number in 0..WORKFLOWS {
        let id = || Some(format!("wf_{number}"));
        for event in [
            Event::workflow_started("flow", id(), None, json!({})),
            Event::agent_started("agent", id(), None, json!({})),
            Event::agent_completed("agent", id(), None, json!({})),
            Event::workflow_completed("flow", id(), None, json!({})),
        ] {
            mapper.observe(&stream.append(event).expect("valid"));
        }
    }
    let spans = exporter.get_finished_spans().expect("the exporter is open");
    let roots = spans.iter().filter(|span| span.name == "invoke_workflow flow").count();
    assert!((WORKFLOWS * 9 / 100..=WORKFLOWS * 11 / 100).contains(&roots), "{roots} of {WORKFLOWS} kept");
    assert_eq!(spans.len(), roots * 2, "a kept trace is kept whole");
    assert_eq!(mapper.open_spans(), 0);
}

#[tokio::test]
async fn an_unsampled_run_emits_its_events_and_no_spans() {
    for whole in [false, true] {
        emits_its_events_and_no_spans(whole).await;
    }
}

async fn emits_its_events_and_no_spans(decided_by_workflow: bool) {
    let exporter = InMemorySpanExporter::default();
    let provider = provider(&exporter, Sampler::AlwaysOff);
    let mapper = SpanMapper::new(provider.tracer("test")).with_whole_workflows_sampled(decided_by_workflow);
    let mapper = Arc::new(mapper);
    let registry = tracing_subscriber::registry().with(OtelLayer::new(Arc::clone(&mapper)));
    let _subscriber = support::set_default(registry);

    let model = Arc::new(ScriptedModel::new("script").with_reply(ScriptedReply::text("two words")));
    let workflow = Workflow::new("flow").add_step(AgentStep::new(Agent::builder("agent", model).build())).build();
    let runtime = Runtime::new();
    let run = runtime.execute(&workflow, "hi").await.expect("the run succeeds");

    assert!(run.trace.is_some_and(|trace| !trace.sampled), "the run knows that there is nothing to link to");
    assert_eq!(runtime.event_stream().next_offset(), 10, "four components, start and end, and two chunks");
    assert!(exporter.get_finished_spans().expect("the exporter is open").is_empty());
    assert_eq!(mapper.open_spans(), 0);
    assert!(Emission::with_current(|_| ()).is_none());
}

/// Remembers what it is asked with, by the name of the span, and lets go of steps alone.
#[derive(Clone, Debug, Default)]
struct WithoutSteps(Arc<Mutex<BTreeMap<String, Vec<String>>>>);

impl ShouldSample for WithoutSteps {
    fn should_sample(
        &self,
        _parent: Option<&Context>,
        _trace_id: TraceId,
        name: &str,
        _kind: &SpanKind,
        attributes: &[KeyValue],
        _links: &[Link],
    ) -> SamplingResult {
        let keys = attributes.iter().map(|attribute| attribute.key.to_string()).collect();
        self.0.lock().insert(name.to_owned(), keys);
        let is_step = name.starts_with("workflow_step");
        SamplingResult {
            decision: if is_step { SamplingDecision::Drop } else { SamplingDecision::RecordAndSample },
            attributes: Vec::new(),
            trace_state: TraceState::default(),
        }
    }
}

/// A run of a workflow with a workflow inside, as hand-made events, the last of which comes late.
fn nested_run() -> Vec<Event> {
    let id = |id: &str| Some(id.to_owned());
    let (outer, inner) = (|| id("outer"), || id("inner"));
    vec![
        Event::workflow_started("flow", outer(), None, json!({})),
        Event::workflow_step_started("flow:step:0", outer(), None, json!({ "step_name": "one" })),
        Event::workflow_started("part", inner(), outer(), json!({})),
        Event::agent_started("agent", inner(), outer(), json!({})),
        Event::llm_started("agent:llm:0", inner(), outer(), json!({})),
        Event::llm_progress("agent:llm:0", None, inner(), outer(), EventData::chunk("so")),
        Event::system_progress("system:retry", Some("again".to_owned()), inner(), outer(), json!({})),
        Event::llm_completed("agent:llm:0", inner(), outer(), json!({})),
        Event::agent_completed("agent", inner(), outer(), json!({})),
        Event::workflow_completed("part", inner(), outer(), json!({})),
        Event::workflow_completed("flow", outer(), None, json!({})),
        Event::workflow_step_completed("flow:step:0", outer(), None, json!({})),
    ]
}

#[test]
fn a_sampler_that_looks_at_each_span_is_asked_for_each() {
    let (exporter, sampler) = (InMemorySpanExporter::default(), WithoutSteps::default());
    let provider = provider(&exporter, sampler.clone());
    let mapper = SpanMapper::new(provider.tracer("test"));
    for event in nested_run() {
        mapper.observe(&event);
    }
    let mut names: Vec<_> = exporter.get_finished_spans().unwrap().into_iter().map(|span| span.name).collect();
    names.sort_unstable();
    assert_eq!(names, ["chat", "invoke_agent agent", "invoke_workflow flow", "invoke_workflow part"]);
    assert_eq!(sampler.0.lock().len(), 5);
}

/// Those that the conventions want to be there "at span creation time".
#[test]
fn a_sampler_is_asked_with_what_the_conventions_call_important_for_it() {
    let sampler = WithoutSteps::default();
    let mapper = SpanMapper::new(provider(&InMemorySpanExporter::default(), sampler.clone()).tracer("test"));
    let id = || Some("wf".to_owned());
    let request = json!({
        "model": "m", "provider": "p", "server_address": "a", "server_port": 1, "stream": true, "messages": [],
    });
    for event in [
        Event::workflow_started("flow", id(), None, json!({})),
        Event::agent_started("agent", id(), None, json!({ "model": "m" })),
        Event::llm_started("agent:llm:0", id(), None, request),
        Event::tool_started("look:0", id(), None, json!({ "tool_name": "look", "agent": "agent" })),
    ] {
        mapper.observe(&event);
    }
    let asked = sampler.0.lock();
    for (name, important) in [
        ("invoke_workflow flow", &["gen_ai.operation.name", "gen_ai.agent.name", "gen_ai.workflow.name"][..]),
        ("invoke_agent agent", &["gen_ai.operation.name", "gen_ai.agent.name", "gen_ai.request.model"]),
        (
            "chat m",
            &["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "server.address", "server.port"],
        ),
        ("execute_tool look", &["gen_ai.operation.name", "gen_ai.tool.name", "gen_ai.tool.type", "gen_ai.agent.name"]),
    ] {
        assert_eq!(asked[name], important, "{name}");
    }
}

#[test]
fn an_unsampled_workflow_decides_for_all_that_is_in_it_to_the_last_event() {
    let exporter = InMemorySpanExporter::default();
    let provider = provider(&exporter, Sampler::ParentBased(Box::new(Sampler::AlwaysOff)));
    let mapper = SpanMapper::new(provider.tracer("test")).with_whole_workflows_sampled(true);
    let mut traces = HashSet::new();
    for event in nested_run() {
        let trace = mapper.observe(&event).expect("it has a context").trace;
        assert!(!trace.sampled, "{event:?}");
        traces.insert(trace.trace_id);
        assert!(mapper.open_spans() <= 2, "only the workflows are kept");
    }
    assert_eq!(traces.len(), 1);
    assert_eq!(mapper.open_spans(), 0);
    assert!(exporter.get_finished_spans().unwrap().is_empty());
}

#[tokio::test]
async fn a_tool_of_an_unsampled_workflow_hands_its_trace_on() {
    let exporter = InMemorySpanExporter::default();
    let provider = provider(&exporter, Sampler::AlwaysOff);
    let mapper = Arc::new(SpanMapper::new(provider.tracer("test")).with_whole_workflows_sampled(true));
    let registry = tracing_subscriber::registry().with(OtelLayer::new(mapper));
    let _subscriber = support::set_default(registry);

    let headers = tool("ask", |_, _| async {
        let headers = spawn(async { trace_headers() }).await;
        headers.map(|headers| json!(headers)).map_err(|error| error.to_string().into())
    });
    let model = ScriptedModel::new("script")
        .with_reply(ScriptedReply::tool_calls([("ask", json!({}))]))
        .with_reply(ScriptedReply::text("done"));
    let agent = Agent::builder("agent", Arc::new(model)).with_tool(headers).build();
    let workflow = Workflow::new("flow").add_step(AgentStep::new(agent)).build();
    let runtime = Runtime::new();
    let run = runtime.execute(&workflow, "hi").await.unwrap();

    let events = runtime.event_stream().get_events(0).await;
    let tool = events.iter().find(|event| event.scope == EventScope::Tool && event.event_type.is_terminal()).unwrap();
    let trace = run.trace.expect("there is a bridge");
    let traceparent = format!("00-{}-{}-00", trace.trace_id, trace.span_id);
    assert_eq!(tool.data["result"], json!([["traceparent", traceparent]]));
    assert!(events.iter().all(|event| event.trace.is_some_and(|own| own.trace_id == trace.trace_id)));
}

fn provider(exporter: &InMemorySpanExporter, sampler: impl ShouldSample + 'static) -> SdkTracerProvider {
    SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .with_sampler(sampler)
        .with_id_generator(EventIdGenerator::default())
        .build()
}
