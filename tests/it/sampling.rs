//! Sampling by the SDK's samplers, with ids that come from events.

use std::sync::Arc;

use agent_runtime::{
    event::{Emission, EventStream},
    otel::{EventIdGenerator, OtelLayer, SpanMapper},
    prelude::*,
};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SdkTracerProvider};
use tracing_subscriber::layer::SubscriberExt as _;

#[test]
fn a_ratio_of_a_tenth_keeps_a_tenth_of_100_000_workflows_whole() {
    const WORKFLOWS: usize = 100_000;
    let exporter = InMemorySpanExporter::default();
    let provider = provider(&exporter, Sampler::TraceIdRatioBased(0.1));
    let mapper = SpanMapper::new(provider.tracer("test"));
    let stream = EventStream::builder().with_capacity(1).build();
    for number in 0..WORKFLOWS {
        let id = || Some(format!("wf_{number}"));
        for event in [
            Event::workflow_started("flow", id(), None, json!({})),
            Event::agent_started("agent", id(), None, json!({})),
            Event::agent_completed("agent", id(), None, json!({})),
            Event::workflow_completed("flow", id(), None, json!({})),
        ] {
            mapper.observe(&stream.append(event).unwrap());
        }
    }
    let spans = exporter.get_finished_spans().unwrap();
    let roots = spans.iter().filter(|span| span.name == "invoke_workflow flow").count();
    assert!((WORKFLOWS * 9 / 100..=WORKFLOWS * 11 / 100).contains(&roots), "{roots} of {WORKFLOWS} kept");
    assert_eq!(spans.len(), roots * 2, "a kept trace is kept whole");
    assert_eq!(mapper.open_spans(), 0);
}

#[tokio::test]
async fn an_unsampled_run_emits_its_events_and_no_spans() {
    let exporter = InMemorySpanExporter::default();
    let provider = provider(&exporter, Sampler::AlwaysOff);
    let mapper = Arc::new(SpanMapper::new(provider.tracer("test")));
    let registry = tracing_subscriber::registry().with(OtelLayer::new(Arc::clone(&mapper)));
    let _subscriber = tracing::subscriber::set_default(registry);

    let model = Arc::new(ScriptedModel::new("script").with_reply(ScriptedReply::text("two words")));
    let workflow = Workflow::new("flow").add_step(AgentStep::new(Agent::builder("agent", model).build())).build();
    let runtime = Runtime::new();
    let run = runtime.execute(&workflow, "hi").await.unwrap();

    assert!(run.trace.is_some_and(|trace| !trace.sampled), "the run knows that there is nothing to link to");
    assert_eq!(runtime.event_stream().next_offset(), 10, "four components, start and end, and two chunks");
    assert!(exporter.get_finished_spans().unwrap().is_empty());
    assert_eq!(mapper.open_spans(), 0);
    assert!(Emission::with_current(|_| ()).is_none());
}

fn provider(exporter: &InMemorySpanExporter, sampler: Sampler) -> SdkTracerProvider {
    SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .with_sampler(sampler)
        .with_id_generator(EventIdGenerator::default())
        .build()
}
