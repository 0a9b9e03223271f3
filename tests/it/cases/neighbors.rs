//! B1-B4, F11: what a layer beside the bridge gets to see, and the user's span that it makes.

use std::sync::Arc;

use agent_runtime::{
    otel::{ContentPolicy, NeighborFilter, OtelLayer, PatternRedactor, SpanMapper},
    prelude::*,
    stream::EventStream,
};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::{
    Resource,
    trace::{InMemorySpanExporter, SdkTracerProvider, SpanData},
};
use tracing::Instrument as _;
use tracing_subscriber::{Layer as _, layer::SubscriberExt as _};

use crate::support;

/// README's advice for users' own spans: our layer and one of `tracing-opentelemetry`, over one provider.
struct Pairing {
    stream: EventStream,
    exporter: InMemorySpanExporter,
    _subscriber: tracing::subscriber::DefaultGuard,
}

impl Pairing {
    fn new(is_filtered: bool) -> Self {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let policy = ContentPolicy::default().with_redactor(PatternRedactor::new());
        let mapper = Arc::new(SpanMapper::new(provider.tracer("ours")).with_content(policy));
        let theirs = tracing_opentelemetry::layer().with_tracer(provider.tracer("theirs"));
        let theirs = if is_filtered { theirs.with_filter(NeighborFilter).boxed() } else { theirs.boxed() };
        let subscriber = tracing_subscriber::registry().with(theirs).with(OtelLayer::new(mapper));
        Self { stream: EventStream::new(), exporter, _subscriber: support::set_default(subscriber) }
    }

    fn runtime(&self) -> Runtime {
        Runtime::with_event_stream(self.stream.clone())
    }

    fn spans(&self) -> Vec<SpanData> {
        self.exporter.get_finished_spans().expect("the exporter is not shut down")
    }

    fn span(&self, name: &str) -> SpanData {
        self.spans().into_iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name}"))
    }
}

fn passing(steps: usize) -> Workflow {
    let pass = |number| {
        TransformStep::new(format!("step {number}"), |input: JsonValue| async move { Ok::<_, ToolError>(input) })
    };
    (0..steps).fold(Workflow::new("flow"), |workflow, number| workflow.add_step(pass(number))).build()
}

#[tokio::test]
async fn a_failures_text_is_exported_nowhere_and_subscribers_get_it() {
    for is_filtered in [false, true] {
        let pairing = Pairing::new(is_filtered);
        let tool = FnTool::new("find", "Finds.", json!({}), |_, _| async {
            Err("no customer user@example.com in the table".into())
        });
        let model = ScriptedModel::new("m")
            .with_reply(ScriptedReply::tool_calls([("find", json!({}))]))
            .with_reply(ScriptedReply::text("none"));
        let agent = Agent::builder("a", model).with_tool(tool).build();
        let workflow = Workflow::new("flow").add_step(AgentStep::new(agent)).build();
        pairing.runtime().execute(&workflow, "x").instrument(tracing::info_span!("request")).await.unwrap();

        let exported = agent_runtime::otel::to_otlp_json(pairing.spans(), &Resource::builder_empty().build()).unwrap();
        assert!(!exported.contains("user@"), "B1: {exported}");
        assert!(exported.contains("no customer [redacted:email] in the table"), "B1: {exported}");
        let failed = pairing.stream.get_events(0).await.into_iter().find(|event| event.event_type == EventType::Failed);
        assert_eq!(failed.unwrap().message.as_deref(), Some("no customer user@example.com in the table"), "B4");
    }
}

#[tokio::test]
async fn a_users_span_keeps_its_own_lines_and_gets_none_of_ours() {
    for (id, is_filtered) in [("B2, F11", false), ("B3", true)] {
        let pairing = Pairing::new(is_filtered);
        let work = async {
            tracing::info!("first line");
            pairing.runtime().execute(&passing(80), "x").await.unwrap();
            tracing::info!("last line");
        };
        work.instrument(tracing::info_span!("request")).await;
        let request = pairing.span("request");
        let lines: Vec<_> = request.events.iter().map(|event| event.name.as_ref()).collect();
        assert_eq!(lines, ["first line", "last line"], "{id}");
        assert_eq!(request.events.dropped_count, 0, "{id}");
        let workflow = pairing.span("invoke_workflow flow");
        assert_eq!(workflow.parent_span_id, request.span_context.span_id(), "{id}: all nests");
    }
}
