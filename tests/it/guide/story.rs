//! One run of a small workflow, as the events it emits, and a channel that carries them.

use agent_runtime::prelude::*;
use tokio::sync::mpsc;

/// What the model streams in the run.
pub(super) const CHUNKS: [&str; 3] = ["42 × 137", " is ", "5754."];

/// A workflow with one agent step: a tool call, an answer, a search that fails and a request that is turned away.
pub(super) fn story() -> Vec<Event> {
    let run = || Some("wf_1".to_owned());
    let mut events = vec![
        Event::workflow_started("homework", run(), None, json!({"input": "42 × 137"})),
        Event::workflow_step_started(
            "homework:step:0",
            run(),
            None,
            json!({"step_name": "solve", "step_type": "agent"}),
        ),
        Event::agent_started("pupil", run(), None, json!({"input": "42 × 137"})),
        Event::tool_started("calculator", run(), None, json!({"arguments": {"a": 42, "b": 137}})),
        Event::tool_completed("calculator", run(), None, json!({"result": 5754, "duration_ms": 3})),
        Event::tool_started("search", run(), None, json!({"arguments": {}})),
        Event::tool_failed("search", "no network".to_owned(), run(), None, json!({"error_code": "offline"})),
        Event::llm_started("pupil:llm:0", run(), None, json!({"model": "m", "messages": [], "stream": true})),
        Event::llm_failed("pupil:llm:0", "rate_limit reached".to_owned(), run(), None, json!({"retry_after": 60})),
        Event::llm_started("pupil:llm:1", run(), None, json!({"model": "m", "messages": [], "stream": true})),
    ];
    events.extend(
        CHUNKS.map(|text| Event::llm_progress("pupil:llm:1", Some(text.into()), run(), None, json!({ "chunk": text }))),
    );
    let usage = json!({"prompt_tokens": 120, "completion_tokens": 80, "total_tokens": 200});
    events.extend([
        Event::llm_completed("pupil:llm:1", run(), None, json!({"response": CHUNKS.concat(), "usage": usage})),
        Event::agent_completed("pupil", run(), None, json!({"output": CHUNKS.concat(), "total_tokens": 200})),
        Event::workflow_step_completed("homework:step:0", run(), None, json!({"step_name": "solve", "duration_ms": 9})),
        Event::workflow_completed("homework", run(), None, json!({"output": CHUNKS.concat()})),
    ]);
    events
}

/// Appends the story.
pub(super) fn tell(stream: &EventStream) {
    for event in story() {
        stream.append(event).expect("the story is valid");
    }
}

/// The story through a stream and a channel, which is closed at its end.
pub(super) fn told_to_a_channel() -> mpsc::Receiver<Event> {
    let (tx, rx) = mpsc::channel(100);
    let stream = EventStream::new();
    let mut subscription = stream.subscribe();
    tell(&stream);
    tokio::spawn(async move {
        while let Ok(event) = subscription.recv().await {
            if tx.send(event).await.is_err() {
                break;
            }
        }
    });
    rx
}
