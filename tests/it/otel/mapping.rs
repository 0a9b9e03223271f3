//! What the spans of a full run are called, where they lie and what they say: the table of the module's documentation.

use std::collections::{BTreeMap, BTreeSet};

use agent_runtime::{
    event::Usage,
    llm::{ChatModel, GenerationOptions, ModelError, ServerAddress},
    llm::{ChatRequest, ChatStream},
    prelude::*,
};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::support::{FULL_TREE, agent_flow, calling, full_flow, pass, replies, run, spans, tool};

#[tokio::test]
async fn a_full_run_is_one_trace_with_every_span_in_its_place() {
    let ran = run(&full_flow(), "go").await;
    assert_eq!(ran.spans.tree(), FULL_TREE);
    assert_eq!((ran.spans.trace_ids().len(), ran.spans.roots().len()), (1, 1));
    for span in &ran.spans {
        assert_eq!(spans::outcome(span), "unset", "{}", span.name);
    }
}

/// A model with everything that a request can say of itself.
#[derive(Debug)]
struct Hosted(ScriptedModel);

#[async_trait]
impl ChatModel for Hosted {
    fn provider(&self) -> &str {
        "openai"
    }

    fn model(&self) -> &str {
        self.0.model()
    }

    fn server(&self) -> Option<ServerAddress> {
        Some(ServerAddress::new("llm.example", 8443))
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream, ModelError> {
        self.0.stream(request).await
    }
}

fn described_flow() -> Workflow {
    let usage = Usage::new(11, 7).with_cached_tokens(4).with_cache_write_tokens(3).with_reasoning_tokens(2);
    let model = ScriptedModel::new("gpt-x")
        .with_reply(ScriptedReply::tool_calls([("look", json!({"at": "it"}))]).with_usage(None))
        .with_reply(ScriptedReply::text("It is there.").with_usage(usage));
    let agent = Agent::builder("finder", std::sync::Arc::new(Hosted(model)))
        .with_description("Finds things")
        .with_generation_options(
            GenerationOptions::default().with_temperature(0.25).with_top_p(0.5).with_max_tokens(99),
        )
        .with_tool(tool("look", |_, _| async { Ok(json!("seen")) }))
        .build();
    let inner = Workflow::new("inner").add_step(AgentStep::new(agent).with_name("find")).build();
    Workflow::new("outer").add_step(pass()).add_step(SubWorkflowStep::new(inner)).build()
}

/// Attributes that every span has, whose values the events tell.
const COMMON: [&str; 4] = [
    "agent_runtime.component.id",
    "agent_runtime.workflow.id",
    "agent_runtime.workflow.parent_id",
    "agent_runtime.event.offset",
];

#[tokio::test]
async fn names_kinds_and_attributes_are_those_of_the_table() {
    let ran = run(&described_flow(), "go").await;
    let request = |extra: JsonValue| {
        let mut attributes = json!({
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-x",
            "gen_ai.request.stream": true,
            "gen_ai.request.temperature": 0.25,
            "gen_ai.request.top_p": 0.5,
            "gen_ai.request.max_tokens": 99,
            "server.address": "llm.example",
            "server.port": 8443,
            "gen_ai.agent.name": "finder",
            "gen_ai.response.model": "gpt-x",
        });
        attributes.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        attributes
    };
    let step = |name: &str, kind: &str, index: u64| {
        json!({
            "agent_runtime.step.name": name,
            "agent_runtime.step.type": kind,
            "agent_runtime.step.index": index,
        })
    };
    let expected = [
        (
            "invoke_workflow outer",
            SpanKind::Internal,
            json!({"gen_ai.operation.name": "invoke_workflow", "gen_ai.agent.name": "outer", "gen_ai.workflow.name": "outer"}),
        ),
        ("workflow_step pass", SpanKind::Internal, step("pass", "transform", 0)),
        ("workflow_step inner", SpanKind::Internal, step("inner", "subworkflow", 1)),
        (
            "invoke_workflow inner",
            SpanKind::Internal,
            json!({"gen_ai.operation.name": "invoke_workflow", "gen_ai.agent.name": "inner", "gen_ai.workflow.name": "inner"}),
        ),
        ("workflow_step find", SpanKind::Internal, step("find", "agent", 0)),
        (
            "invoke_agent finder",
            SpanKind::Internal,
            json!({
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": "finder",
                "gen_ai.agent.description": "Finds things",
                "gen_ai.request.model": "gpt-x",
                "agent_runtime.agent.iterations": 2,
                "agent_runtime.agent.llm_calls": 2,
                "agent_runtime.agent.tool_calls": 1,
                "agent_runtime.agent.total_tokens": 18,
            }),
        ),
        (
            "chat gpt-x",
            SpanKind::Client,
            request(json!({
                "agent_runtime.llm.index": 0,
                "gen_ai.response.id": "scripted-0",
                "gen_ai.response.finish_reasons": ["tool_call"],
                "agent_runtime.llm.chunk_count": 0,
            })),
        ),
        (
            "execute_tool look",
            SpanKind::Internal,
            json!({
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "look",
                "gen_ai.tool.type": "function",
                "gen_ai.tool.description": "A tool of the tests.",
                "gen_ai.tool.call.id": "call_0_0",
                "gen_ai.agent.name": "finder",
            }),
        ),
        (
            "chat gpt-x",
            SpanKind::Client,
            request(json!({
                "agent_runtime.llm.index": 1,
                "gen_ai.response.id": "scripted-1",
                "gen_ai.response.finish_reasons": ["stop"],
                "gen_ai.usage.input_tokens": 11,
                "gen_ai.usage.output_tokens": 7,
                "gen_ai.usage.cache_read.input_tokens": 4,
                "gen_ai.usage.cache_write.input_tokens": 3,
                "gen_ai.usage.reasoning.output_tokens": 2,
                "agent_runtime.llm.chunk_count": 3,
            })),
        ),
    ];
    let started = ran.events.iter().filter(|event| event.event_type == EventType::Started);
    for (event, (name, kind, attributes)) in started.zip(expected) {
        let id = event.trace.expect("the bridge is on").span_id;
        let span = ran.spans.iter().find(|span| span.span_id == id.to_bytes()).expect("it was exported");
        let mut said = spans::attributes(span);
        let common: Vec<_> = COMMON.iter().map(|key| said.remove(*key)).collect();
        assert_eq!(
            common,
            [
                Some(json!(event.component_id)),
                event.workflow_id.as_ref().map(|id| json!(id)),
                event.parent_workflow_id.as_ref().map(|id| json!(id)),
                Some(json!(event.offset)),
            ]
        );
        // Its value depends on how fast the machine is.
        let first_chunk = said.remove("gen_ai.response.time_to_first_chunk");
        assert_eq!(first_chunk.is_some(), name.starts_with("chat"), "{name}");
        let said: JsonValue = said.into_iter().collect::<serde_json::Map<_, _>>().into();
        assert_eq!((span.name.as_str(), span.kind(), said), (name, kind, attributes));
    }
}

/// A word in each place where content can be; none of them may leave the process by default.
const CANARIES: [&str; 8] = [
    "canary-input",
    "canary-system",
    "canary-answer",
    "canary-argument",
    "canary-result",
    "canary-output",
    "canary-previous",
    "canary-key",
];

fn canary_flow() -> Workflow {
    let call = || ScriptedReply::tool_calls([("look", json!({"canary-key": "canary-argument", "n": 1}))]);
    let model = replies([call(), call(), ScriptedReply::text("canary-answer and canary-answer")]);
    let look = tool("look", |_, progress| async move {
        progress("a message".to_owned(), Some(5));
        Ok(json!({"canary-key": "canary-result", "previous": "canary-previous"}))
    });
    let agent = Agent::builder("agent", model).with_system_prompt("canary-system").with_tool(look).build();
    Workflow::new("flow")
        .add_step(AgentStep::new(agent))
        .add_step(TransformStep::new("last", |_| async { Ok::<_, ToolError>(json!({"canary-key": "canary-output"})) }))
        .build()
}

#[tokio::test]
async fn nothing_that_was_asked_or_answered_is_exported_by_default() {
    let ran = run(&canary_flow(), json!({"canary-key": "canary-input"})).await;
    ran.result.as_ref().expect("the run succeeds");
    let told = serde_json::to_string(&ran.events).expect("events have a JSON form");
    for canary in CANARIES {
        assert!(told.contains(canary), "{canary} is in no event, so the test shows nothing");
        assert!(!spans::text(&ran.spans).contains(canary), "{canary} is exported:\n{}", spans::text(&ran.spans));
    }
    assert!(spans::text(&ran.spans).contains("a message"), "progress is for people to see");
}

#[tokio::test]
async fn a_system_event_lands_on_the_span_of_the_agent_that_it_is_about() {
    let look = || tool("look", |_, _| async { Ok(json!("seen")) });
    let call = || ScriptedReply::tool_calls([("look", json!({}))]);
    let ran = run(&agent_flow(replies([call(), call(), ScriptedReply::text("Done.")]), [look()]), "go").await;
    for span in &ran.spans {
        let reports = spans::events(span, "agent_runtime.system.tool_loop_detection");
        assert_eq!(reports.len(), usize::from(span.name == "invoke_agent agent"), "{}", span.name);
        for report in reports {
            assert_eq!(spans::event_attribute(report, "gen_ai.tool.name"), "look");
            assert_eq!(spans::event_attribute(report, "agent_runtime.data.call_count"), 2);
        }
    }
}

#[tokio::test]
async fn a_system_event_said_in_a_tool_lands_on_that_tool() {
    for names_its_workflow in [true, false] {
        let runtime = Runtime::new();
        let stream = runtime.event_stream().clone();
        let limited = tool("limited", move |args, _| {
            let stream = stream.clone();
            async move {
                if args["n"] == 1 {
                    let workflow_id = stream.get_events(0).await[0].workflow_id.clone().filter(|_| names_its_workflow);
                    let event = Event::system_progress(
                        "system:rate_limit",
                        Some("slow down".into()),
                        workflow_id,
                        None,
                        json!({}),
                    );
                    stream.append(event).expect("the id is well-formed");
                }
                tokio::task::yield_now().await;
                Ok(args)
            }
        });
        let calls = (0..3).map(|n| ("limited", json!({ "n": n }))).collect();
        let workflow = agent_flow(calling(calls, "Done."), [limited]);
        let recording = crate::support::Recording::new();
        let dispatch = recording.dispatch();
        tracing::instrument::WithSubscriber::with_subscriber(runtime.execute(&workflow, "go"), dispatch).await.unwrap();
        let spans = recording.spans();
        let with_report: BTreeSet<_> = spans
            .iter()
            .filter(|span| !spans::events(span, "agent_runtime.system.rate_limit").is_empty())
            .map(|span| spans::attribute(span, "agent_runtime.component.id").to_string())
            .collect();
        assert_eq!(
            with_report,
            BTreeSet::from(["\"limited:1\"".to_owned()]),
            "names its workflow: {names_its_workflow}"
        );
    }
}

#[tokio::test]
async fn an_error_type_is_a_word_of_few_and_never_a_sentence() {
    let cases = [("DIV_BY_ZERO", "DIV_BY_ZERO"), ("it broke at 12:04", "_OTHER"), ("", "_OTHER"), ("größe", "_OTHER")];
    for (code, expected) in cases {
        let fails = tool("fails", move |_, _| async move { Err(ToolError::with_code("broken", code).into()) });
        let ran = run(&agent_flow(calling(vec![("fails", json!({}))], "Done."), [fails]), "go").await;
        assert_eq!(spans::attribute(ran.spans.one("execute_tool fails"), "error.type"), expected, "{code:?}");
    }
    let long = tool("fails", |_, _| async { Err(ToolError::with_code("broken", "x".repeat(65)).into()) });
    let ran = run(&agent_flow(calling(vec![("fails", json!({}))], "Done."), [long]), "go").await;
    assert_eq!(spans::attribute(ran.spans.one("execute_tool fails"), "error.type"), "_OTHER");
}

#[tokio::test]
async fn the_context_in_every_event_is_that_of_its_exported_span() {
    let ran = run(&full_flow(), "go").await;
    let mut by_span: BTreeMap<[u8; 8], usize> = BTreeMap::new();
    for event in &ran.events {
        let trace = event.trace.expect("the bridge is on");
        let span = ran.spans.iter().find(|span| span.span_id == trace.span_id.to_bytes()).expect("it was exported");
        assert_eq!(span.trace_id, trace.trace_id.to_bytes());
        assert_eq!(span.parent_span_id, trace.parent_span_id.map(|id| id.to_bytes().to_vec()).unwrap_or_default());
        assert_eq!(spans::attribute(span, "agent_runtime.component.id"), event.component_id.as_str());
        assert!(trace.sampled);
        *by_span.entry(trace.span_id.to_bytes()).or_default() += 1;
    }
    assert_eq!(by_span.len(), ran.spans.len());
    assert_eq!(ran.result.expect("the run succeeds").trace, ran.events[0].trace);
}
