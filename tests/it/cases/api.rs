//! The public API: a mistake is an error where it is made, and what is set counts.

use agent_runtime::{
    component::{Run, RunOptions},
    event::EventError,
    llm::{ChatRequest, ChatResponse},
    otel::{LogEmitter, MetricsRecorder, OtelLayer, SpanMapper},
    prelude::*,
    runtime::RunFuture,
    stream::{Batched, Emission},
};
use opentelemetry_sdk::trace::SdkTracer;
use tracing::dispatcher;

use crate::support::{Recording, calling, full_flow, run, spans};

/// C85.
#[tokio::test]
async fn an_id_of_a_run_that_cannot_be_one_is_refused_where_it_is_given() {
    let long = "x".repeat(1 << 20);
    let bad = ["", " ", "a\nb", "a\u{0}", " padded", "padded\u{a0}", long.as_str(), &"x".repeat(257)];
    for id in bad {
        let stream = EventStream::new();
        for (workflow, parent) in [(Some(id), None), (Some("w"), Some(id)), (None, Some(id))] {
            let [workflow, parent] = [workflow, parent].map(|id| id.map(str::to_owned));
            let error = stream.append(Event::tool_started("t", workflow, parent, json!({}))).expect_err("a bad id");
            assert!(matches!(error, EventError::WorkflowId { .. }), "{error}");
            assert!(error.to_string().len() < 2_000, "an error does not repeat a megabyte");
        }
        assert_eq!(stream.next_offset(), 0);
        for options in [RunOptions::default().with_workflow_id(id), RunOptions::default().with_parent_workflow_id(id)] {
            let runtime = Runtime::new();
            let error = runtime.execute_with(&full_flow(), "go", options).await.expect_err("a bad id");
            assert!(matches!(error, RunError::InvalidName(_)), "{error}");
            assert_eq!(runtime.event_stream().next_offset(), 0, "nothing was run");
        }
    }
    for id in ["w", "wf_0190", "order 17", "Prüfung/数据#1", &"x".repeat(256)] {
        let options = RunOptions::default().with_workflow_id(id).with_parent_workflow_id(id);
        Runtime::new().execute_with(&full_flow(), "go", options).await.unwrap_or_else(|error| panic!("{id}: {error}"));
    }
}

/// C86: what `append` sets has no effect before it.
#[test]
fn a_trace_that_was_set_by_hand_has_no_effect() {
    let recording = Recording::new();
    let real = recording.mapper().observe(&Event::tool_started("other", None, None, json!({}))).expect("a span").trace;
    for has_layer in [true, false] {
        let append = || {
            let mut event = Event::tool_started("t", None, None, json!({}));
            event.trace = Some(real);
            EventStream::new().append(event).expect("valid").trace
        };
        let trace = if has_layer { dispatcher::with_default(&recording.dispatch(), append) } else { append() };
        assert_eq!(trace.is_some(), has_layer);
        assert_ne!(trace, Some(real));
    }
}

/// C84: only the crates that carry telemetry are left out, by their paths and by the names of their packages.
#[test]
fn log_lines_are_left_out_by_crate_and_not_by_the_start_of_its_name() {
    let recording = Recording::new();
    macro_rules! log_from {
        ($($target:literal)*) => {
            dispatcher::with_default(&recording.dispatch(), || {
                let flow = Workflow::new("flow")
                    .add_step(TransformStep::new("log", |input| async move {
                        $(tracing::info!(target: $target, "a line");)*
                        Ok::<_, ToolError>(input)
                    }))
                    .build();
                let run = Runtime::new();
                futures_util::FutureExt::now_or_never(run.execute(&flow, 1)).expect("it waits for nothing").expect("it succeeds");
            })
        };
    }
    log_from!("hyperion" "h2o" "h2o::db" "tonics" "opentelemetry_shop" "reqwest_like" "user");
    log_from!("hyper" "hyper::proto" "hyper_util::client" "h2::codec" "tonic" "opentelemetry_sdk" "opentelemetry-otlp" "opentelemetry::x");
    let spans = recording.spans();
    let steps = spans.all("workflow_step log");
    let lines: Vec<_> = steps.iter().map(|step| spans::events(step, "log").len()).collect();
    assert_eq!(lines, [7, 0]);
}

/// C87: the public types and futures go where they could go.
#[test]
fn public_types_are_send_sync_and_unpin_as_before() {
    const fn all<T: Send + Sync + Unpin>() {}
    const fn send_and_unpin<T: Send + Unpin>() {}
    fn sends<T: Send>(_: T) {}
    all::<Event>();
    all::<EventStream>();
    all::<Subscription>();
    all::<Batched>();
    all::<Run>();
    all::<RunOptions>();
    all::<Runtime>();
    all::<Workflow>();
    all::<ProgressCallback>();
    all::<ChatRequest>();
    all::<ChatResponse>();
    all::<RunOutput>();
    all::<SpanMapper<SdkTracer>>();
    all::<OtelLayer>();
    all::<MetricsRecorder>();
    all::<LogEmitter>();
    send_and_unpin::<Emission>();
    send_and_unpin::<RunFuture>();
    let (runtime, workflow) = (Runtime::new(), full_flow());
    sends(runtime.execute(&workflow, 1));
    sends(workflow.execute(1, &tokio::sync::mpsc::channel(1).0));
    let mut events = runtime.event_stream().subscribe();
    sends(events.recv());
    sends(runtime.event_stream().subscribe().batched(std::time::Duration::ZERO).recv());
}

/// C73: filters of one kind widen, those of different kinds narrow.
#[tokio::test]
async fn two_filters_of_one_kind_let_both_through() {
    let stream = EventStream::new();
    let read = |filter: fn(Subscription) -> Subscription| {
        let mut events = filter(stream.subscribe_from(0));
        std::iter::from_fn(move || events.try_recv().ok()).map(|event| event.component_id).collect::<Vec<_>>()
    };
    for id in ["tool", "other"] {
        stream.append(Event::tool_started(id, Some(format!("run of {id}")), None, json!({}))).expect("valid");
    }
    stream.append(Event::agent_failed("agent", "no", None, None, json!({}))).expect("valid");
    stream.append(Event::workflow_started("flow", None, None, json!({}))).expect("valid");
    assert_eq!(read(|events| events.filter(EventScope::Tool).filter(EventScope::Agent)), ["tool", "other", "agent"]);
    let failed = |events: Subscription| events.filter_status(ComponentStatus::Failed);
    assert_eq!(read(failed), ["agent"]);
    assert_eq!(read(|events| events.filter(EventScope::Tool).filter_status(ComponentStatus::Failed)), [""; 0]);
    assert_eq!(read(|events| events.filter_component("tool").filter_component("agent")), ["tool", "agent"]);
    assert_eq!(read(|events| events.filter_workflow("run of tool").filter_workflow("run of other")), ["tool", "other"]);
}

/// C82: the callback is called as in the guide, and is a type of its own that can grow.
#[tokio::test]
async fn progress_is_reported_with_a_text_and_a_number() {
    #[derive(Debug)]
    struct LongRunning;
    #[async_trait]
    impl Tool for LongRunning {
        fn name(&self) -> &str {
            "long_running"
        }
        fn description(&self) -> &str {
            "Takes its time."
        }
        fn parameters(&self) -> JsonValue {
            json!({"type": "object"})
        }
        async fn execute_with_progress(
            &self,
            _args: JsonValue,
            progress: ProgressCallback,
        ) -> Result<JsonValue, BoxError> {
            for i in 0..3 {
                progress(format!("Processed {i}/3"), Some(i));
            }
            Ok(json!({"status": "done"}))
        }
    }
    let agent = Agent::builder("agent", calling(vec![("long_running", json!({}))], "Done.")).with_tool(LongRunning);
    let ran = run(&Workflow::new("flow").add_step(AgentStep::new(agent.build())).build(), "go").await;
    let reports =
        ran.events.iter().filter(|event| (event.scope, event.event_type) == (EventScope::Tool, EventType::Progress));
    let reports: Vec<_> = reports.map(|event| (event.message.as_deref(), event.data["progress"].as_u64())).collect();
    assert_eq!(
        reports,
        [0, 1, 2].map(|i| (["Processed 0/3", "Processed 1/3", "Processed 2/3"].get(i).copied(), Some(i as u64)))
    );
}

/// C83: what our signatures name can be named in the version that they name.
#[test]
fn the_crates_of_our_signatures_are_re_exported() {
    use agent_runtime::{
        llm::OpenAiClient,
        otel::PatternRedactor,
        reexports::{
            chrono::{DateTime, Utc},
            opentelemetry::trace::TracerProvider as _,
            opentelemetry_sdk::trace::SdkTracerProvider,
            regex, reqwest,
            tokio::sync::mpsc::Sender,
            uuid::Uuid,
        },
    };
    let event = Event::tool_started("t", None, None, json!({}));
    let _ids: (Uuid, DateTime<Utc>) = (event.event_id, event.timestamp);
    let _mapper = SpanMapper::new(SdkTracerProvider::builder().build().tracer("t"));
    let _client = OpenAiClient::builder("m").with_http_client(reqwest::Client::new());
    let _error: Option<regex::Error> = PatternRedactor::new().with_pattern("own", "(").err();
    let _channel: Option<Sender<Event>> = None;
}
