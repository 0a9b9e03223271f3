//! When a span is a component, and what its start says.

use agent_runtime::prelude::*;
use tracing::{field::Empty, info_span};

use super::{Scene, find, lines, outline};

#[test]
fn each_operation_becomes_a_component_of_its_scope() {
    let (events, spans) = Scene::new().run(|_| {
        let flow =
            info_span!("w", gen_ai.operation.name = "invoke_workflow", gen_ai.workflow.name = "report").entered();
        let agent = info_span!("a", gen_ai.operation.name = "invoke_agent", gen_ai.agent.name = "writer").entered();
        for operation in ["chat", "text_completion", "generate_content", "embeddings"] {
            drop(info_span!(
                "c",
                gen_ai.operation.name = operation,
                gen_ai.provider.name = "acme",
                gen_ai.request.model = "small",
                gen_ai.request.temperature = 0.5,
                gen_ai.request.max_tokens = 64,
                server.address = "models.acme.example",
                server.port = 443_i64,
            ));
        }
        drop(info_span!("t", gen_ai.operation.name = "execute_tool", gen_ai.tool.name = "search"));
        drop(info_span!("p", gen_ai.operation.name = "plan", gen_ai.agent.name = "writer"));
        drop(info_span!("n", other = "chat"));
        drop((agent, flow));
    });
    let tree = "invoke_workflow report\n  invoke_agent writer\n    chat small\n    chat small\n    chat small\n    chat small\n    execute_tool search\n";
    assert_eq!(outline(&events), tree);
    assert_eq!(spans.tree(), tree);
    let started = find(&events, "writer:llm:0", EventType::Started);
    let said = ["provider", "model", "temperature", "max_tokens", "server_address", "server_port"];
    assert_eq!(
        said.map(|field| started.data[field].clone()),
        [json!("acme"), json!("small"), json!(0.5), json!(64), json!("models.acme.example"), json!(443)]
    );
    assert_eq!(find(&events, "search:0", EventType::Started).data["agent"], "writer");
    let runs: std::collections::BTreeSet<_> = events.iter().map(|event| event.workflow_id.clone()).collect();
    assert!(runs.len() == 1 && !runs.contains(&None), "{runs:?}");
}

#[test]
fn a_root_that_is_no_workflow_lies_in_a_run_of_its_own() {
    let (events, _) = Scene::new().run(|_| {
        for conversation in ["c-1", "c-2"] {
            let agent = info_span!(
                "a",
                gen_ai.operation.name = "invoke_agent",
                gen_ai.agent.name = "writer",
                gen_ai.conversation.id = conversation
            );
            agent.in_scope(|| drop(info_span!("c", gen_ai.operation.name = "chat", gen_ai.request.model = "small")));
        }
    });
    assert_eq!(outline(&events), "invoke_agent writer\n  chat small\ninvoke_agent writer\n  chat small\n");
    assert_ne!(events[0].workflow_id, events[4].workflow_id);
    assert!(events.iter().all(|event| event.workflow_id.is_some()));
    assert_eq!(
        (&events[0].data["conversation_id"], &events[4].data["conversation_id"]),
        (&json!("c-1"), &json!("c-2"))
    );
}

#[test]
fn an_operation_that_is_recorded_late_starts_the_component_then() {
    let (events, _) = Scene::new().run(|stream| {
        let span = info_span!("x", gen_ai.operation.name = Empty, gen_ai.tool.name = "search");
        span.in_scope(|| assert_eq!(stream.next_offset(), 0));
        span.record("gen_ai.operation.name", "execute_tool");
        assert_eq!(stream.next_offset(), 1);
    });
    assert_eq!(lines(&events), ["search:0 started", "search:0 completed"]);
}

/// As rig does it: the tool's name and arguments are recorded inside of the span, the model where the provider is asked.
#[test]
fn what_is_recorded_before_a_span_is_left_is_in_its_start() {
    let (events, _) = Scene::new().run(|stream| {
        let tool = info_span!(
            "execute_tool",
            gen_ai.operation.name = "execute_tool",
            gen_ai.tool.name = Empty,
            gen_ai.tool.call.id = Empty,
            gen_ai.tool.call.arguments = Empty,
        );
        tool.in_scope(|| {
            tool.record("gen_ai.tool.name", "search");
            tool.record("gen_ai.tool.call.id", tracing::field::display("call_1"));
            assert_eq!(stream.next_offset(), 0, "there may be more to say");
            tool.record("gen_ai.tool.call.arguments", r#"{"query": "otters"}"#);
            assert_eq!(stream.next_offset(), 1, "that is all it has room for");
        });
        let chat = info_span!(
            "chat",
            gen_ai.operation.name = "chat",
            gen_ai.provider.name = Empty,
            gen_ai.request.model = Empty,
            gen_ai.request.stream = Empty,
        );
        chat.in_scope(|| {
            chat.record("gen_ai.provider.name", "acme");
            chat.record("gen_ai.request.model", "small");
        });
        assert_eq!(stream.next_offset(), 2, "it was left");
    });
    let started = &events[0].data;
    assert_eq!(events[0].component_id, "search:0");
    assert_eq!((&started["tool_call_id"], &started["arguments"]), (&json!("call_1"), &json!({"query": "otters"})));
    assert_eq!((&events[1].data["provider"], &events[1].data["model"]), (&json!("acme"), &json!("small")));
}

/// As genai does it: the span is never entered, and what the request says is recorded right after it is made.
#[test]
fn a_span_that_is_never_entered_starts_when_what_is_around_it_is_left() {
    let (events, _) = Scene::new().run(|stream| {
        let agent = info_span!("a", gen_ai.operation.name = "invoke_agent", gen_ai.agent.name = "writer");
        let chat = agent.in_scope(|| {
            let chat = info_span!(
                "genai.chat",
                gen_ai.operation.name = "chat",
                gen_ai.provider.name = "acme",
                gen_ai.request.model = "small",
                server.address = Empty,
                gen_ai.request.temperature = Empty,
                gen_ai.usage.input_tokens = Empty,
            );
            chat.record("server.address", "models.acme.example");
            assert_eq!(stream.next_offset(), 1, "the agent alone");
            chat
        });
        assert_eq!(stream.next_offset(), 2);
        chat.record("gen_ai.usage.input_tokens", 3);
    });
    let (started, completed) = (&events[1], &events[2]);
    assert_eq!(started.data["server_address"], "models.acme.example");
    assert_eq!(completed.data["usage"]["prompt_tokens"], 3);
    assert_eq!(outline(&events), "invoke_agent writer\n  chat small\n");
}

#[test]
fn what_starts_in_a_span_starts_the_span_first() {
    let (events, spans) = Scene::new().run(|_| {
        let tool = info_span!(
            "t",
            gen_ai.operation.name = "execute_tool",
            gen_ai.tool.name = Empty,
            gen_ai.tool.call.arguments = Empty
        );
        let _in_it = tool.enter();
        tool.record("gen_ai.tool.name", "ask");
        agent_runtime::component::agent("inner").start().expect("a place").complete(());
    });
    let tree = "execute_tool ask\n  invoke_agent inner\n";
    assert_eq!((outline(&events).as_str(), spans.tree().as_str()), (tree, tree));
}

#[test]
fn any_name_makes_an_id() {
    let names = ["", " \n", "a::b", "crate::tool ", "x\u{0}y", &"long".repeat(1_000), "団体:道具"];
    let (events, _) = Scene::new().run(|_| {
        for name in names {
            drop(info_span!("t", gen_ai.operation.name = "execute_tool", gen_ai.tool.name = name));
            drop(info_span!("a", gen_ai.operation.name = "invoke_agent", gen_ai.agent.name = name));
        }
    });
    assert_eq!(events.len(), 4 * names.len());
}

#[test]
fn a_span_whose_name_is_still_to_come_is_waited_for() {
    let (events, _) = Scene::new().run(|stream| {
        let agent = info_span!("a", gen_ai.operation.name = "invoke_agent", gen_ai.agent.name = "writer");
        let chat = agent.in_scope(|| {
            info_span!(
                "c",
                gen_ai.operation.name = "chat",
                gen_ai.request.model = Empty,
                gen_ai.usage.input_tokens = Empty
            )
        });
        chat.in_scope(|| assert_eq!(stream.next_offset(), 1));
        assert_eq!(stream.next_offset(), 1, "it was left without a name");
        chat.in_scope(|| {
            chat.record("gen_ai.request.model", "small");
        });
        assert_eq!(stream.next_offset(), 2);
        let nameless = info_span!("t", gen_ai.operation.name = "execute_tool", gen_ai.tool.name = Empty);
        drop(nameless);
    });
    assert_eq!((&events[1].data["model"], events[2].scope), (&json!("small"), EventScope::Tool));
    assert_eq!(lines(&events)[2..4], ["unnamed:0 started", "unnamed:0 completed"]);
}
