//! One story, for whoever can tell it: two agents, tools in parallel, one that fails, a nested run, an answer that its reader
//! leaves, and a cancellation.

use agent_runtime::{prelude::*, view::Tree};

use super::scripted_server::{HttpReply, RecordedRequest, ScriptedServer, chat_events};

/// What is to be told, whoever does: each component with its status, a request's tokens and the pieces of its answer.
pub(crate) const STORY: &str = "\
invoke_workflow report: completed
  invoke_agent researcher: completed
    chat researcher: completed, 7 + 5 tokens, 0 chunks
    execute_tool search: completed
    execute_tool prices: completed
    execute_tool broken: failed
    chat researcher: completed, 7 + 5 tokens, 2 chunks
  invoke_agent writer: completed
    chat writer: completed, 7 + 5 tokens, 0 chunks
    execute_tool ask_editor: completed
      invoke_workflow review: completed
        invoke_agent editor: completed
          chat editor: completed, 7 + 5 tokens, 1 chunks
    chat writer: completed, 7 + 5 tokens, 3 chunks
  invoke_agent talker: canceled
    chat talker: canceled, 1 chunks
  invoke_agent waiter: canceled
    chat waiter: completed, 7 + 5 tokens, 0 chunks
    execute_tool wait: canceled
";

/// A server whose models are called like the agents.
pub(crate) async fn server() -> ScriptedServer {
    ScriptedServer::answering(|_, request| reply(request)).await
}

/// Does work until its tool `wait` has begun, and drops it then.
pub(crate) async fn cancel_waiting(stream: &EventStream, work: impl Future) {
    let mut events = stream.subscribe_from(0);
    let waiting = async {
        while let Ok(event) = events.recv().await {
            if event.component_id.starts_with("wait:") {
                return;
            }
        }
    };
    tokio::select! {
        _ = work => panic!("it waits for ever"),
        () = waiting => {}
    }
}

/// How a stream of events tells it.
pub(crate) fn telling(stream: &EventStream) -> String {
    let mut reader = stream.subscribe_from(0);
    let events: Vec<_> = std::iter::from_fn(|| reader.try_recv().ok()).collect();
    agent_runtime::testing::assert_balanced(&events);
    let line = |(depth, node): (usize, &agent_runtime::view::TreeNode)| {
        let mut line = format!("{}{}: {}", "  ".repeat(depth), node.title(), node.status());
        if let (Some(input), Some(output)) = (node.input_tokens(), node.output_tokens()) {
            line += &format!(", {input} + {output} tokens");
        }
        if node.scope() == EventScope::LlmRequest {
            line += &format!(", {} chunks", node.progress());
        }
        line + "\n"
    };
    Tree::of(&events).iter().map(line).collect()
}

fn reply(request: &RecordedRequest) -> HttpReply {
    let model = request.body["model"].as_str().unwrap_or_default();
    let messages = request.body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let has_results = messages.iter().any(|message| message["role"] == "tool");
    let call = |name: &'static str| (name, name, json!({}));
    match (model, has_results) {
        ("researcher", false) => HttpReply::tool_calls(&[call("search"), call("prices"), call("broken")]),
        ("researcher", true) => HttpReply::chat(&["Otters ", "pay."]),
        ("writer", false) => HttpReply::tool_calls(&[call("ask_editor")]),
        ("writer", true) => HttpReply::chat(&["Otters ", "pay ", "well."]),
        ("editor", _) => HttpReply::chat(&["Fine."]),
        ("talker", _) => {
            let events = chat_events([json!({"content": "Well, "})], "stop");
            let (first, _) = events.split_once("\n\n").expect("an event");
            HttpReply::events().then(format!("{first}\n\n")).then_hang()
        }
        ("waiter", _) => HttpReply::tool_calls(&[call("wait")]),
        _ => HttpReply::json(400, &json!({"error": {"message": "no such model", "code": "model_not_found"}})),
    }
}
