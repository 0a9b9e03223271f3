//! Two spans, or a span and a component, about the same: counted once.

use agent_runtime::{component, event::LlmCompleted, prelude::*};
use std::time::Duration;
use tracing::{Span, field::Empty, info_span};

use super::{Scene, find, outline};

fn chat() -> Span {
    info_span!(
        "chat",
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = "acme",
        gen_ai.request.model = "small",
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.response.id = Empty,
    )
}

fn answer(span: &Span) {
    span.record("gen_ai.usage.input_tokens", 8);
    span.record("gen_ai.usage.output_tokens", 2);
}

#[tokio::test]
async fn a_library_s_span_inside_our_request_is_that_request() {
    let scene = Scene::new();
    let _default = tracing::dispatcher::set_default(&scene.dispatch);
    let run = component::workflow(&scene.stream, "report").start().expect("a run");
    run.run(async {
        let ask = component::request("acme", "small").start().expect("a request");
        ask.enter(|| answer(&chat()));
        ask.complete(LlmCompleted::new("Hi.", Duration::ZERO).with_usage(agent_runtime::event::Usage::new(8, 2)));
        // Of a request whose caller does not say what it took, the library says it.
        let ask = component::request("acme", "small").start().expect("a request");
        ask.run(async { answer(&chat()) }).await;
        ask.complete(());
    })
    .await;
    run.complete(());
    let (events, spans) = scene.check();
    let tree = "invoke_workflow report\n  chat small\n  chat small\n";
    assert_eq!((outline(&events).as_str(), spans.tree().as_str()), (tree, tree));
    for id in ["report:llm:0", "report:llm:1"] {
        assert_eq!(find(&events, id, EventType::Completed).data["usage"]["total_tokens"], 10);
    }
}

#[test]
fn a_span_inside_a_span_for_the_same_request_adds_what_that_does_not_say() {
    let (events, _) = Scene::new().run(|_| {
        let outer = chat();
        outer.in_scope(|| {
            let inner = chat();
            answer(&inner);
            inner.record("gen_ai.response.id", "inner");
        });
        outer.record("gen_ai.response.id", "outer");
    });
    assert_eq!(outline(&events), "chat small\n");
    let completed = &events[1].data;
    assert_eq!((&completed["usage"]["total_tokens"], &completed["response_id"]), (&json!(10), &json!("outer")));
}

#[test]
fn an_agent_inside_one_of_its_name_is_that_agent_and_another_is_not() {
    let (events, _) = Scene::new().run(|stream| {
        let run = component::workflow(stream, "report").start().expect("a run");
        run.enter(|| {
            let writer = component::agent("writer").start().expect("an agent");
            writer.enter(|| {
                // Libraries begin a trace of their own where they see no span around them.
                let root = info_span!(
                    parent: None,
                    "invoke_agent",
                    gen_ai.operation.name = "invoke_agent",
                    gen_ai.agent.name = "writer"
                );
                root.in_scope(|| answer(&chat()));
                let other = info_span!("a", gen_ai.operation.name = "invoke_agent", gen_ai.agent.name = "critic");
                drop(other);
            });
            writer.complete(());
        });
        run.complete(());
    });
    let tree = "invoke_workflow report\n  invoke_agent writer\n    chat small\n    invoke_agent critic\n";
    assert_eq!(outline(&events), tree);
    assert_eq!(find(&events, "writer", EventType::Completed).data["total_tokens"], 10);
}
