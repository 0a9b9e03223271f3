//! The agent's loop: what the model is told, and what becomes of odd calls.

use std::sync::Arc;

use agent_runtime::{
    llm::{ChatDelta, ChatMessage, ChatRequest, ChatStream, GenerationOptions, ModelError, Role, ToolCallDelta},
    prelude::*,
};
use futures_util::{StreamExt as _, stream};
use parking_lot::Mutex;

use crate::support::{agent_flow, history, replies, run, tool};

/// A model that answers from a list of pieces for each request, and keeps what it was asked.
#[derive(Debug)]
struct Asked {
    answers: Mutex<Vec<Vec<ChatDelta>>>,
    requests: Arc<Mutex<Vec<ChatRequest>>>,
}

#[async_trait]
impl ChatModel for Asked {
    fn provider(&self) -> &str {
        "test"
    }

    fn model(&self) -> &str {
        "asked"
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream, ModelError> {
        self.requests.lock().push(request);
        let answer = self.answers.lock().remove(0);
        Ok(stream::iter(answer.into_iter().map(Ok)).boxed())
    }
}

/// A model that makes the calls, each a name and its arguments as text, and then answers.
fn asking(calls: &[(&str, &str)]) -> (Arc<dyn ChatModel>, Arc<Mutex<Vec<ChatRequest>>>) {
    let call = |(index, (name, arguments)): (usize, &(&str, &str))| {
        ToolCallDelta::new(index).with_id(format!("id_{index}")).with_name(*name).with_arguments(*arguments).into()
    };
    let calls = calls.iter().enumerate().map(call).collect();
    let requests: Arc<Mutex<Vec<ChatRequest>>> = Arc::default();
    let answers = Mutex::new(vec![calls, vec![ChatDelta::Text("Done.".to_owned())]]);
    (Arc::new(Asked { answers, requests: Arc::clone(&requests) }), requests)
}

#[tokio::test]
async fn results_go_back_in_the_models_order_whichever_tool_is_done_first() {
    let (model, requests) = asking(&[("wait", "{\"turns\":9}"), ("wait", "{\"turns\":0}"), ("wait", "{\"turns\":4}")]);
    let wait = tool("wait", |args, _| async move {
        for _ in 0..args["turns"].as_u64().unwrap_or_default() {
            tokio::task::yield_now().await;
        }
        Ok(args)
    });
    let options = GenerationOptions::default().with_temperature(0.5).with_top_p(0.9).with_max_tokens(64);
    let agent = Agent::builder("agent", model)
        .with_system_prompt("Wait.")
        .with_generation_options(options.clone())
        .with_tool(wait)
        .build();
    let ran = run(&Workflow::new("flow").add_step(AgentStep::new(agent)).build(), "go").await;
    ran.result.expect("the run succeeds");
    let ended: Vec<_> = ran
        .events
        .iter()
        .filter(|event| event.scope == EventScope::Tool && event.event_type.is_terminal())
        .map(|event| event.component_id.as_str())
        .collect();
    assert_eq!(ended, ["wait:1", "wait:2", "wait:0"]);
    let requests = requests.lock();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|request| request.options == options && request.tools[0].name == "wait"));
    assert_eq!(requests[0].messages, [ChatMessage::system("Wait."), ChatMessage::user("go")]);
    let second = &requests[1].messages;
    assert_eq!(second[..2], requests[0].messages);
    assert_eq!((second[2].role, second[2].tool_calls.len()), (Role::Assistant, 3));
    assert_eq!(
        second[3..],
        [
            ChatMessage::tool("{\"turns\":9}", "id_0"),
            ChatMessage::tool("{\"turns\":0}", "id_1"),
            ChatMessage::tool("{\"turns\":4}", "id_2"),
        ]
    );
}

/// What the model is told of a call, and the events of the tool: its id, its code and what it was given.
async fn call(name: &str, arguments: &str) -> (String, String, Option<String>, JsonValue) {
    let (model, requests) = asking(&[(name, arguments)]);
    let echo = tool("echo", |args, _| async move { Ok(json!({"echo": args})) });
    let ran = run(&agent_flow(model, [echo]), "go").await;
    ran.result.expect("the run goes on");
    let told = requests.lock()[1].messages.last().expect("the model is told").content.clone();
    let of_tool: Vec<_> = ran.events.iter().filter(|event| event.scope == EventScope::Tool).collect();
    let code = of_tool[1].data.error_code().map(str::to_owned);
    (told, of_tool[0].component_id.clone(), code, of_tool[0].data["arguments"].clone())
}

#[tokio::test]
async fn odd_calls_are_answered_and_the_run_goes_on() {
    let cases = [
        ("echo", "{\"a\":1}", "{\"echo\":{\"a\":1}}", "echo:0", None, json!({"a": 1})),
        ("echo", "", "{\"echo\":{}}", "echo:0", None, json!({})),
        ("echo", " \n", "{\"echo\":{}}", "echo:0", None, json!({})),
        ("echo", "[1]", "expected a JSON object, got a list", "echo:0", Some("invalid_arguments"), json!("[1]")),
        (
            "echo",
            "{\"a\":",
            "expected a JSON object, got what is not JSON",
            "echo:0",
            Some("invalid_arguments"),
            json!("{\"a\":"),
        ),
        ("ecko", "{}", "there is no tool \\\"ecko\\\"; known tools: echo", "ecko:0", Some("unknown_tool"), json!({})),
        ("", "{}", "there is no tool \\\"\\\"", "unnamed_tool:0", Some("unknown_tool"), json!({})),
        ("a\nb", "{}", "there is no tool", "unnamed_tool:0", Some("unknown_tool"), json!({})),
    ];
    for (name, arguments, told, id, code, given) in cases {
        let result = call(name, arguments).await;
        assert!(result.0.contains(told), "{name:?} {arguments:?}: {}", result.0);
        assert_eq!((result.1.as_str(), result.2.as_deref(), result.3), (id, code, given), "{name:?} {arguments:?}");
    }
}

#[tokio::test]
async fn an_identical_call_is_reported_whatever_the_order_of_its_keys() {
    let call = |arguments: &str| ToolCallDelta::new(0).with_id("id").with_name("look").with_arguments(arguments).into();
    let answers = vec![
        vec![call("{\"a\":1,\"b\":{\"x\":1,\"y\":2}}")],
        vec![call("{\"a\":2,\"b\":{}}")],
        vec![call("{\"b\":{\"y\":2, \"x\":1},\"a\":1}")],
        vec![call("{ \"b\": {\"x\":1,\"y\":2}, \"a\": 1 }")],
        vec![ChatDelta::Text("Done.".to_owned())],
    ];
    let model = Arc::new(Asked { answers: Mutex::new(answers), requests: Arc::default() });
    let ran = run(&agent_flow(model, [tool("look", |_, _| async { Ok(json!("seen")) })]), "go").await;
    let reports: Vec<_> = ran.events.iter().filter(|event| event.scope == EventScope::System).collect();
    let counts: Vec<_> = reports.iter().map(|event| event.data["call_count"].as_u64()).collect();
    assert_eq!(counts, [Some(2), Some(3)]);
    for report in reports {
        assert_eq!(report.component_id, "system:tool_loop_detection");
        assert_eq!((report.data.tool_name(), &report.data["previous_result"]), (Some("look"), &json!("seen")));
        assert_eq!(report.workflow_id, ran.result.as_ref().ok().map(|run| run.workflow_id.clone()));
    }
}

#[tokio::test]
async fn an_agents_end_sums_up_what_it_did() {
    let usage = |prompt_tokens, completion_tokens| agent_runtime::event::Usage::new(prompt_tokens, completion_tokens);
    let model = replies([
        ScriptedReply::tool_calls([("look", json!({})), ("look", json!(1))]).with_usage(usage(10, 2)),
        ScriptedReply::text("Done.").with_usage(usage(20, 3)),
    ]);
    let runtime = Runtime::new();
    let workflow = agent_flow(model, [tool("look", |_, _| async { Ok(json!(1)) })]);
    let output = runtime.execute(&workflow, json!({"ask": "why"})).await.expect("the run succeeds");
    assert_eq!(output.output, "Done.");
    let events = history(&runtime).await;
    let find = |event_type| {
        events
            .iter()
            .find(|event| (event.scope, event.event_type) == (EventScope::Agent, event_type))
            .expect("it is told")
    };
    let data = &find(EventType::Completed).data;
    assert_eq!((data.iterations(), data.llm_calls(), data.tool_call_count()), (Some(2), Some(2), Some(2)));
    assert_eq!((data.total_tokens(), data.output()), (Some(35), Some(&json!("Done."))));
    assert_eq!(find(EventType::Progress).data["iteration"], 2);
    assert_eq!(find(EventType::Started).data.input(), Some(&json!({"ask": "why"})));
}
