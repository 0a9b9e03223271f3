//! What the data of each kind of event holds, read by the names of the guide's reference.

use agent_runtime::{event::Failure, prelude::*};

use super::homework::{CHUNKS, QUESTION, do_on};

/// The events of a run and of one that fails.
async fn events() -> Vec<Event> {
    let stream = EventStream::new();
    do_on(&stream).await;
    stream.get_events(0).await
}

#[track_caller]
fn find<'a>(events: &'a [Event], event_type: EventType, component: &str) -> &'a Event {
    let is_it = |event: &&Event| event.event_type == event_type && event.component_id == component;
    events.iter().find(is_it).unwrap_or_else(|| panic!("no event {event_type} {component}"))
}

#[tokio::test]
async fn workflows_and_steps() {
    let events = events().await;
    assert_eq!(find(&events, EventType::Started, "homework").data["input"], QUESTION);
    assert_eq!(find(&events, EventType::Completed, "homework").data["output"], CHUNKS.concat());
    let step = &find(&events, EventType::Started, "homework:step:0").data;
    assert_eq!((&step["step_name"], &step["step_type"]), (&json!("solve"), &json!("agent")));
    assert_eq!(step["input"], QUESTION);
    let step = &find(&events, EventType::Completed, "homework:step:0").data;
    assert_eq!((&step["step_name"], &step["output"]), (&json!("solve"), &json!(CHUNKS.concat())));
    assert!(step["duration_ms"].is_u64());
}

#[tokio::test]
async fn each_kind_of_step_is_named() {
    let transform = || TransformStep::map("double", |n| json!(n.as_u64().unwrap_or(0) * 2));
    let workflow = Workflow::new("kinds")
        .add_step(transform())
        .add_step(ConditionalStep::new("again", |n| n.as_u64() < Some(10)).then(transform()))
        .add_step(SubWorkflowStep::new(Workflow::new("inner").add_step(transform()).build()))
        .build();
    let (tx, mut rx) = mpsc::channel(100);
    assert_eq!(workflow.execute(3, &tx).await.expect("it succeeds").output, 24);
    drop(tx);
    let mut kinds = Vec::new();
    while let Some(event) = rx.recv().await {
        if let (EventScope::WorkflowStep, EventType::Started) = (event.scope, event.event_type) {
            kinds.push(event.data["step_type"].as_str().expect("a word").to_owned());
        }
    }
    assert_eq!(kinds, ["transform", "conditional", "subworkflow", "transform"]);
}

#[tokio::test]
async fn agents_and_requests() {
    let events = events().await;
    assert_eq!(find(&events, EventType::Started, "pupil").data["input"], QUESTION);
    let progress = &find(&events, EventType::Progress, "pupil").data;
    assert_eq!((&progress["iteration"], &progress["max_iterations"]), (&json!(2), &json!(10)));
    let completed = &find(&events, EventType::Completed, "pupil").data;
    assert_eq!(completed["output"], CHUNKS.concat());
    let counts = ["llm_calls", "tool_calls", "total_tokens"].map(|name| completed[name].as_u64());
    assert_eq!(counts, [Some(3), Some(2), Some(320)]);

    let asked = &find(&events, EventType::Started, "pupil:llm:0").data;
    assert_eq!((&asked["model"], &asked["stream"]), (&json!("gpt-4"), &json!(true)));
    assert_eq!(asked["messages"][0], json!({"role": "system", "content": "You do homework."}));
    assert_eq!(asked["messages"][1], json!({"role": "user", "content": QUESTION}));
    let refused = &find(&events, EventType::Failed, "pupil:llm:0").data;
    assert_eq!((&refused["error_code"], &refused["retry_after"]), (&json!("rate_limit_exceeded"), &json!(0)));
    let called = &find(&events, EventType::Completed, "pupil:llm:1").data;
    assert_eq!(
        (&called["finish_reason"], &called["tool_calls"][0]["name"]),
        (&json!("tool_calls"), &json!("calculator"))
    );
    let piece = find(&events, EventType::Progress, "pupil:llm:2");
    assert_eq!((piece.message.as_deref(), &piece.data["chunk"]), (Some(CHUNKS[0]), &json!(CHUNKS[0])));
    let answered = &find(&events, EventType::Completed, "pupil:llm:2").data;
    assert_eq!((&answered["response"], &answered["finish_reason"]), (&json!(CHUNKS.concat()), &json!("stop")));
    assert_eq!(answered["usage"], json!({"prompt_tokens": 120, "completion_tokens": 80, "total_tokens": 200}));
    assert_eq!(answered["tool_calls"], json!([]));
}

#[tokio::test]
async fn tools() {
    let events = events().await;
    let started = &find(&events, EventType::Started, "calculator:0").data;
    assert_eq!((&started["tool_name"], &started["arguments"]), (&json!("calculator"), &json!({"a": 42, "b": 137})));
    let progress = find(&events, EventType::Progress, "calculator:0");
    assert_eq!((progress.message.as_deref(), &progress.data["progress"]), (Some("carrying the one"), &json!(1)));
    let completed = &find(&events, EventType::Completed, "calculator:0").data;
    assert_eq!((&completed["tool_name"], &completed["result"]), (&json!("calculator"), &json!(5754)));
    assert!(completed["duration_ms"].is_u64());
    let failed = find(&events, EventType::Failed, "search:0");
    assert_eq!(failed.message.as_deref(), Some("no network"));
    assert_eq!((&failed.data["tool_name"], &failed.data["error_code"]), (&json!("search"), &json!("offline")));
}

#[tokio::test]
async fn a_workflow_that_fails_says_its_error_in_its_message_and_in_its_data() {
    let save = TransformStep::new("save", async |_| Err::<JsonValue, _>("the disk is full"));
    let (tx, mut rx) = mpsc::channel(100);
    let error = Workflow::new("flow").add_step(save).build().execute(1, &tx).await.expect_err("the step fails");
    assert_eq!(error.code(), "transform");
    drop(tx);
    let mut failures = Vec::new();
    while let Some(event) = rx.recv().await {
        if event.event_type == EventType::Failed {
            failures.push(event);
        }
    }
    let [step, workflow] = &failures[..] else { panic!("{failures:?}") };
    let sentence = "step \"save\" failed: the disk is full";
    assert_eq!((step.message.as_deref(), workflow.message.as_deref()), (Some(sentence), Some(sentence)));
    assert_eq!((workflow.data["error"].as_str(), workflow.data.error()), (Some(sentence), Some(sentence)));
    let failure: Failure = serde_json::from_value(workflow.data.as_json().clone()).expect("its payload");
    assert_eq!((failure.error_code.as_str(), failure.details.error.as_deref()), ("transform", Some(sentence)));
}
