//! Every way in which a run can end: which events tell of it, innermost first, and what its spans say.

use std::{
    future::Future as _,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use agent_runtime::{
    llm::{ModelError, StatusError},
    prelude::*,
};
use parking_lot::Mutex;
use tracing::instrument::WithSubscriber as _;

use crate::support::{
    Ran, Recording, agent_flow, calling, check_over, eventually, full_flow, history, pass, replies, replies_for_ever,
    run, spans, story, tool,
};

const CANCELED: &str = "error(canceled): dropped before its end";

/// The ends among the events, each as `type component code`.
fn ends(events: &[Event]) -> Vec<String> {
    let terminal = events.iter().filter(|event| event.event_type.is_terminal());
    let line = |event: &Event| {
        let code = event.data.error_code().map(|code| format!(" {code}")).unwrap_or_default();
        format!("{} {}{code}", event.event_type, event.component_id)
    };
    terminal.map(line).collect()
}

/// The tree of spans with how each ended.
fn outcomes(ran: &Ran) -> String {
    ran.spans.tree_with(|span| format!(" · {}", spans::outcome(span)))
}

fn failing_transform() -> Workflow {
    let fail = |_| async { Err::<JsonValue, _>("the disk is full") };
    let inner = Workflow::new("inner").add_step(TransformStep::new("save", fail)).build();
    Workflow::new("flow").add_step(SubWorkflowStep::new(inner)).add_step(pass()).build()
}

fn refusing(status: u16) -> Workflow {
    let refusal = move || {
        let refusal = StatusError::new(status, "no");
        if status == 429 { refusal.with_retry_after(Duration::from_secs(7)).into() } else { refusal.into() }
    };
    agent_flow(replies([ScriptedReply::error(refusal)]), [])
}

fn divider() -> FnTool {
    tool("divide", |_args, _progress| async { Err(ToolError::with_code("division by zero", "DIV_BY_ZERO").into()) })
}

/// An agent whose only tool call goes wrong in some way, and which answers all the same.
fn with_tool(tool: FnTool) -> Workflow {
    agent_flow(calling(vec![("divide", json!({"by": 0}))], "It cannot be done."), [tool])
}

#[tokio::test]
async fn a_failure_ends_every_component_around_it_with_its_code_and_message() {
    let no_answer = "the model of agent \"agent\" gave no answer: ";
    let failed_agent = |code: &str, message: &str| {
        let outer = format!("error({code}): {no_answer}{message}");
        format!(
            "invoke_workflow flow · {outer}\n  workflow_step agent · {outer}\n    invoke_agent agent · {outer}\n      \
             chat scripted · error({code}): {message}\n"
        )
    };
    let failed_tool = |code: &str, message: &str| {
        format!(
            "invoke_workflow flow · unset\n  workflow_step agent · unset\n    invoke_agent agent · unset\n      \
             chat scripted · unset\n      execute_tool divide · error({code}): {message}\n      chat scripted · unset\n"
        )
    };
    let broken = replies([ScriptedReply::text("so far so good").then_error(2, || ModelError::StreamInterrupted)]);
    let looping = Arc::new(ScriptedModel::answering(|_| ScriptedReply::tool_calls([("divide", json!({}))])));
    let limit = "error(max_iterations): agent \"agent\" gave no answer within 2 iterations; raise the limit with \
                 `with_max_iterations`";
    let limited = Agent::builder("agent", looping).with_tool(divider()).with_max_iterations(2).build();
    let source = std::io::Error::other("socket closed");
    let source = Arc::new(Mutex::new(Some(source)));
    let own_error = tool("divide", move |_, _| {
        let source = source.lock().take().expect("it is called once");
        async { Err(source.into()) }
    });
    let cases = [
        ("401", refusing(401), failed_agent("authentication", "the model's server answered 401 (authentication): no")),
        ("429", refusing(429), failed_agent("rate_limit_exceeded", "the model's server answered 429 (rate_limit_exceeded): no")),
        ("500", refusing(500), failed_agent("server_error", "the model's server answered 500 (server_error): no")),
        (
            "cut stream",
            agent_flow(broken, []),
            failed_agent("stream_interrupted", "the model's answer was interrupted before its end"),
        ),
        (
            "iteration limit",
            Workflow::new("flow").add_step(AgentStep::new(limited)).build(),
            format!(
                "invoke_workflow flow · {limit}\n  workflow_step agent · {limit}\n    invoke_agent agent · {limit}\n      \
                 chat scripted · unset\n      execute_tool divide · error(DIV_BY_ZERO): division by zero\n      \
                 chat scripted · unset\n      execute_tool divide · error(DIV_BY_ZERO): division by zero\n"
            ),
        ),
        (
            "transform in a nested workflow",
            failing_transform(),
            "invoke_workflow flow · error(transform): nested workflow \"inner\" failed: step \"save\" failed: the disk is full\n  \
               workflow_step inner · error(transform): nested workflow \"inner\" failed: step \"save\" failed: the disk is full\n    \
                 invoke_workflow inner · error(transform): step \"save\" failed: the disk is full\n      \
                   workflow_step save · error(transform): step \"save\" failed: the disk is full\n"
                .to_owned(),
        ),
        ("failing tool", with_tool(divider()), failed_tool("DIV_BY_ZERO", "division by zero")),
        (
            "tool with a plain message",
            with_tool(tool("divide", |_, _| async { Err("no divisor".into()) })),
            failed_tool("tool_failed", "no divisor"),
        ),
        ("tool with an error of its own", with_tool(own_error), failed_tool("tool_failed", "socket closed")),
        (
            "panicking tool",
            with_tool(tool("divide", |_, _| async { panic!("off by {}", 1) })),
            failed_tool("panic", "the tool panicked: off by 1"),
        ),
        (
            "tool that panics before its first await",
            with_tool(tool("divide", |_, _| -> std::future::Ready<_> { panic!("at once") })),
            failed_tool("panic", "the tool panicked: at once"),
        ),
    ];
    for (name, workflow, expected) in cases {
        let ran = run(&workflow, "go").await;
        assert_eq!(outcomes(&ran), expected, "{name}");
        assert_eq!(
            ran.result.is_err(),
            expected.starts_with("invoke_workflow flow · error"),
            "{name}: {:?}",
            ran.result
        );
    }
}

#[tokio::test]
async fn a_broken_answer_keeps_what_had_come() {
    let broken = replies([ScriptedReply::text("so far so good").then_error(2, || ModelError::StreamInterrupted)]);
    let ran = run(&agent_flow(broken, []), "go").await;
    let request = ran.spans.one("chat scripted");
    assert_eq!(spans::chunk_counts(request), (2, 2));
    let told = ["gen_ai.response.id", "gen_ai.response.model", "gen_ai.response.finish_reasons"];
    let told = told.map(|key| spans::attribute(request, key));
    assert_eq!(told, [json!("scripted-0"), json!("scripted"), json!(["error"])]);
    let failed = ran.events.iter().find(|event| event.component_id == "agent:llm:0" && event.event_type.is_terminal());
    let failed = failed.expect("it ended");
    assert_eq!((failed.event_type, failed.data.response()), (EventType::Failed, Some("so far ")));
    assert!(ran.result.is_err_and(|error| error.is_retryable()));
}

#[tokio::test]
async fn a_rate_limit_says_when_to_try_again() {
    let ran = run(&refusing(429), "go").await;
    let failed = ran.events.iter().find(|event| event.event_type == EventType::Failed).expect("it failed");
    assert_eq!((failed.scope, &failed.data["retry_after"]), (EventScope::LlmRequest, &json!(7)));
    assert!(ran.result.is_err_and(|error| error.is_retryable() && error.code() == "rate_limit_exceeded"));
}

#[tokio::test]
async fn an_agent_without_iterations_asks_nothing_and_fails() {
    let agent = Agent::builder("agent", replies_for_ever("unasked")).with_max_iterations(0).build();
    let ran = run(&Workflow::new("flow").add_step(AgentStep::new(agent)).build(), "go").await;
    let expected = ["failed agent max_iterations", "failed flow:step:0 max_iterations", "failed flow max_iterations"];
    assert_eq!(ends(&ran.events), expected);
}

/// Polls a run so many times and drops it; gives whether it was over by then.
async fn drop_after(polls: usize, workflow: &Workflow) -> (bool, Vec<Event>) {
    let recording = Recording::new();
    let _subscriber = tracing::dispatcher::set_default(&recording.dispatch());
    let runtime = Runtime::new();
    let mut future = Box::pin(runtime.execute(workflow, "go"));
    let mut cx = Context::from_waker(Waker::noop());
    let mut is_over = false;
    for _ in 0..polls {
        is_over = is_over || future.as_mut().poll(&mut cx).is_ready();
        // Gives the run a new budget, without which it would wait for ever.
        tokio::task::yield_now().await;
    }
    drop(future);
    let events = history(&runtime).await;
    for span in &check_over(&recording, &events) {
        let outcome = spans::outcome(span);
        assert!(outcome == "unset" || outcome == CANCELED, "{}: {outcome}", span.name);
        assert_eq!(spans::attribute(span, "agent_runtime.canceled"), json!((outcome == CANCELED).then_some(true)));
    }
    (is_over, events)
}

#[tokio::test]
async fn a_run_dropped_at_any_point_is_canceled_innermost_first() {
    let workflow = full_flow();
    let mut points = 0;
    loop {
        let (is_over, events) = drop_after(points, &workflow).await;
        let Some(first) = events.first() else {
            assert_eq!(points, 0, "a run that was polled has begun");
            points += 1;
            continue;
        };
        let root_end = events.iter().rfind(|event| event.workflow_id == first.workflow_id).expect("it has an end");
        let expected = if is_over { EventType::Completed } else { EventType::Canceled };
        assert_eq!((root_end.scope, root_end.event_type), (EventScope::Workflow, expected), "after {points} polls");
        if is_over {
            break;
        }
        points += 1;
    }
    assert!(points > 20, "only {points} points to drop it at");
}

/// Workflows that hang, with the components that are open then, innermost first.
fn hanging() -> Vec<(&'static str, Workflow, Vec<&'static str>)> {
    let hang = || tool("divide", |_, _| std::future::pending());
    let calls = vec![("divide", json!({"by": 1})), ("divide", json!({"by": 2}))];
    let transform = TransformStep::new("wait", |_| std::future::pending::<Result<JsonValue, BoxError>>());
    let inner = Workflow::new("inner").add_step(transform).build();
    let chat = vec!["agent:llm:0", "agent", "flow:step:0", "flow"];
    vec![
        ("a model that does not answer", agent_flow(replies([ScriptedReply::pending()]), []), chat.clone()),
        (
            "a model that stops half-way",
            agent_flow(replies([ScriptedReply::text("one two three").then_pending(2)]), []),
            chat,
        ),
        (
            "two tools at once",
            agent_flow(calling(calls, ""), [hang()]),
            vec!["divide:0", "divide:1", "agent", "flow:step:0", "flow"],
        ),
        (
            "a transform in a nested workflow",
            Workflow::new("flow").add_step(SubWorkflowStep::new(inner)).build(),
            vec!["inner:step:0", "inner", "flow:step:0", "flow"],
        ),
    ]
}

/// Checks that the open components, and no others, were canceled, in the order given.
async fn check_canceled(name: &str, recording: &Recording, runtime: &Runtime, open: &[&str]) {
    let events = history(runtime).await;
    check_over(recording, &events);
    let canceled: Vec<_> = ends(&events).into_iter().filter(|end| end.starts_with("canceled")).collect();
    let expected: Vec<_> = open.iter().map(|id| format!("canceled {id} canceled")).collect();
    assert_eq!(canceled, expected, "{name}");
}

#[tokio::test(start_paused = true)]
async fn a_timeout_cancels_what_hangs() {
    for (name, workflow, open) in hanging() {
        let recording = Recording::new();
        let _subscriber = tracing::dispatcher::set_default(&recording.dispatch());
        let runtime = Runtime::new();
        let result = tokio::time::timeout(Duration::from_secs(30), runtime.execute(&workflow, "go")).await;
        assert!(result.is_err(), "{name} does not hang");
        check_canceled(name, &recording, &runtime, &open).await;
        let canceled = recording.spans();
        let root = canceled.one("invoke_workflow flow");
        assert_eq!(root.end_time_unix_nano - root.start_time_unix_nano, 30_000_000_000, "{name}");
    }
}

#[tokio::test]
async fn an_abort_of_the_task_cancels_what_hangs() {
    for (name, workflow, open) in hanging() {
        let recording = Recording::new();
        let _subscriber = tracing::dispatcher::set_default(&recording.dispatch());
        let runtime = Runtime::new();
        let task = tokio::spawn({
            let runtime = runtime.clone();
            async move { runtime.execute(&workflow, "go").await }
        });
        eventually("the hang", || recording.mapper().open_spans() == open.len()).await;
        task.abort();
        assert!(task.await.is_err_and(|error| error.is_cancelled()), "{name}");
        check_canceled(name, &recording, &runtime, &open).await;
    }
}

#[test]
fn the_end_of_the_tokio_runtime_cancels_what_hangs() {
    for (name, workflow, open) in hanging() {
        let recording = Recording::new();
        let _subscriber = tracing::dispatcher::set_default(&recording.dispatch());
        let runtime = Runtime::new();
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio.spawn({
            let runtime = runtime.clone();
            async move { runtime.execute(&workflow, "go").await }
        });
        tokio.block_on(eventually("the hang", || recording.mapper().open_spans() == open.len()));
        drop(tokio);
        futures_util::FutureExt::now_or_never(check_canceled(name, &recording, &runtime, &open))
            .expect("it waits for nothing");
    }
}

#[tokio::test]
async fn a_panic_in_a_transform_unwinds_the_run_and_is_a_failure_and_no_cancellation() {
    let explode = TransformStep::new("explode", |_: JsonValue| async {
        tokio::task::yield_now().await;
        if true {
            panic!("boom");
        }
        Ok::<_, ToolError>(JsonValue::Null)
    });
    let inner = Workflow::new("inner").add_step(explode).build();
    let workflow = Workflow::new("flow").add_step(SubWorkflowStep::new(inner)).build();
    let recording = Recording::new();
    let _subscriber = tracing::dispatcher::set_default(&recording.dispatch());
    let runtime = Runtime::new();
    let task = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.execute(&workflow, "go").await }
    });
    assert!(task.await.is_err_and(|error| error.is_panic()));
    let events = history(&runtime).await;
    assert_eq!(
        ends(&events),
        ["failed inner:step:0 panic", "failed inner panic", "failed flow:step:0 panic", "failed flow panic"]
    );
    for span in &check_over(&recording, &events) {
        assert_eq!(spans::outcome(span), "error(panic): panicked", "{}", span.name);
        assert_eq!(spans::attribute(span, "agent_runtime.canceled"), JsonValue::Null);
    }
}

#[tokio::test]
async fn a_panic_in_a_workflow_that_a_tool_runs_is_the_tools_failure() {
    let explode =
        TransformStep::new("explode", |_| -> std::future::Ready<Result<JsonValue, BoxError>> { panic!("boom") });
    let inner = Workflow::new("inner").add_step(explode).build();
    let runtime = Runtime::new();
    let nested = tool("divide", {
        let runtime = runtime.clone();
        move |_, _| {
            let (runtime, inner) = (runtime.clone(), inner.clone());
            async move { runtime.execute(&inner, "go").await.map(|run| run.output).map_err(Into::into) }
        }
    });
    let recording = Recording::new();
    let outer = with_tool(nested);
    runtime.execute(&outer, "go").with_subscriber(recording.dispatch()).await.expect("the run goes on");
    let events = history(&runtime).await;
    check_over(&recording, &events);
    let failed: Vec<_> = ends(&events).into_iter().filter(|end| end.starts_with("failed")).collect();
    assert_eq!(failed, ["failed inner:step:0 panic", "failed inner panic", "failed divide:0 panic"]);
}

#[tokio::test]
async fn one_of_two_tools_that_panics_leaves_the_other_alone() {
    let panics = tool("panics", |_, _| async { panic!("mine") });
    let works = tool("works", |_, _| async {
        tokio::task::yield_now().await;
        Ok(json!("fine"))
    });
    let calls = vec![("panics", json!({})), ("works", json!({}))];
    let ran = run(&agent_flow(calling(calls, "One of two."), [panics, works]), "go").await;
    assert_eq!(ends(&ran.events)[1..3], ["failed panics:0 panic", "completed works:0"]);
    assert_eq!(ran.result.expect("the run goes on").output, "One of two.");
}

#[tokio::test]
async fn a_callback_kept_beyond_its_tools_end_says_nothing_more() {
    let kept: Arc<Mutex<Option<ProgressCallback>>> = Arc::default();
    let keeps = tool("divide", {
        let kept = Arc::clone(&kept);
        move |_, progress| {
            progress("in time".to_owned(), None);
            *kept.lock() = Some(progress);
            async { Ok(json!(1)) }
        }
    });
    let recording = Recording::new();
    let _subscriber = tracing::dispatcher::set_default(&recording.dispatch());
    let runtime = Runtime::new();
    runtime.execute(&with_tool(keeps), "go").await.expect("the run succeeds");
    let before = history(&runtime).await;
    let late = kept.lock().take().expect("it was kept");
    late("too late".to_owned(), Some(1));
    std::thread::spawn(move || late("from elsewhere".to_owned(), None)).join().expect("no panic");
    assert_eq!(history(&runtime).await, before);
    check_over(&recording, &before);
    let said: Vec<_> = before.iter().filter(|event| event.scope == EventScope::Tool).collect();
    assert_eq!(
        story(&said.into_iter().cloned().collect::<Vec<_>>()),
        ["started divide:0", "progress divide:0", "completed divide:0"]
    );
}

#[tokio::test]
async fn the_callback_of_a_dropped_tool_says_nothing_more() {
    let kept: Arc<Mutex<Option<ProgressCallback>>> = Arc::default();
    let hangs = tool("divide", {
        let kept = Arc::clone(&kept);
        move |_, progress| {
            *kept.lock() = Some(progress);
            std::future::pending()
        }
    });
    let runtime = Runtime::new();
    let workflow = with_tool(hangs);
    let mut future = Box::pin(runtime.execute(&workflow, "go"));
    assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(future);
    let before = history(&runtime).await;
    (kept.lock().take().expect("it was kept"))("too late".to_owned(), None);
    assert_eq!(history(&runtime).await, before);
}

#[tokio::test]
async fn a_step_that_asks_a_model_itself_passes_on_whether_to_come_back() {
    let failing = |status: u16| {
        TransformStep::new("ask", move |_| async move {
            let refusal = StatusError::new(status, "no").with_retry_after(Duration::from_secs(7));
            Err::<JsonValue, _>(ModelError::from(refusal))
        })
    };
    for (status, is_retryable) in [(503, true), (400, false)] {
        let inner = Workflow::new("inner").add_step(failing(status)).build();
        let outer = Workflow::new("outer").add_step(SubWorkflowStep::new(inner)).build();
        let error = Runtime::new().execute(&outer, 1).await.expect_err("the step fails");
        assert_eq!((error.is_retryable(), error.retry_after()), (is_retryable, Some(Duration::from_secs(7))));
    }
    let other =
        Workflow::new("other").add_step(TransformStep::new("save", async |_| Err::<JsonValue, _>("full"))).build();
    let error = Runtime::new().execute(&other, 1).await.expect_err("the step fails");
    assert_eq!((error.is_retryable(), error.retry_after()), (false, None));
}
