//! The guard around hand-written code: where components lie, what they say, and that each ends once.

use agent_runtime::{
    component::{self, InCurrent as _},
    event::{AgentStarted, LlmCompleted, LlmStarted, ToolStarted, Usage},
    prelude::*,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::task::JoinSet;
use tracing::instrument::WithSubscriber as _;

use crate::support::{Recording, check_over, spans};

type Outcome = Result<(), BoxError>;

/// Runs work as a workflow of the name `flow` under a recording.
async fn run<T, E, Kind>(work: impl Future<Output = Result<T, E>>) -> (Result<T, E>, Recording, Vec<Event>)
where
    E: component::Cause<Kind>,
{
    let (recording, stream) = (Recording::new(), EventStream::new());
    let result = component::workflow(&stream, "flow").run(work).with_subscriber(recording.dispatch()).await;
    let events = stream.get_events(0).await;
    (result, recording, events)
}

#[tokio::test]
async fn a_hand_written_loop_has_the_tree_and_the_numbers_of_the_runtime() {
    let ask = async |text: &'static str| {
        let pieces = stream::iter(text.split_inclusive(' ')).map(Ok::<_, BoxError>);
        let answer = component::request("acme", "small").stream(async { Ok::<_, BoxError>(pieces) }).await?;
        answer
            .on_item(|request, piece| {
                request.chunk(*piece);
                request.usage(Usage::new(5, 2));
            })
            .try_collect::<String>()
            .await
    };
    let agent = async {
        ask("look it up").await?;
        let mut calls = JoinSet::new();
        for page in 0..2 {
            let call = async move { Ok::<_, BoxError>(page) };
            calls.spawn(component::tool("fetch").with_arguments(json!({ "page": page })).run(call).in_current());
        }
        calls.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?;
        let answer = ask("two pages").await?;
        component::reporter().output(answer);
        Ok::<_, BoxError>(())
    };
    let (result, recording, events) =
        run(component::step("research").run(component::agent("researcher").with_input("otters").run(agent))).await;
    result.expect("the loop succeeds");
    let spans = check_over(&recording, &events);
    assert_eq!(
        spans.tree(),
        "\
invoke_workflow flow
  workflow_step research
    invoke_agent researcher
      chat small
      execute_tool fetch
      execute_tool fetch
      chat small
"
    );
    let agent = spans.one("invoke_agent researcher");
    let numbers = ["llm_calls", "tool_calls", "total_tokens"];
    let numbers = numbers.map(|name| spans::attribute(agent, &format!("agent_runtime.agent.{name}")));
    assert_eq!(numbers, [json!(2), json!(2), json!(14)]);
    let completed = |id: &str| {
        let is_it = |event: &&Event| event.component_id == id && event.event_type == EventType::Completed;
        events.iter().find(is_it).expect("it completed").data.clone()
    };
    let asked = completed("researcher:llm:0");
    assert_eq!((&asked["response"], &asked["chunk_count"]), (&json!("look it up"), &json!(3)));
    assert_eq!(completed("researcher")["output"], "two pages");
    assert_eq!(completed("fetch:1")["tool_name"], "fetch");
    let started = events.iter().find(|event| event.component_id == "fetch:0").expect("it started");
    assert_eq!((started.data.agent(), &started.data["arguments"]), (Some("researcher"), &json!({"page": 0})));
}

#[tokio::test]
async fn outside_every_run_work_runs_and_nothing_is_reported() {
    let tool = component::tool("search").start().expect("it is inert");
    assert!(!tool.is_recording() && !component::current().is_recording() && !component::reporter().is_recording());
    assert_eq!((tool.workflow_id(), tool.trace(), tool.headers().len()), (None, None, 0));
    tool.progress("on it");
    assert_eq!(tool.run(async { 7 }).in_current().await, 7);
    tool.complete(json!(1));
    assert_eq!(component::agent("a").run(async { Err::<(), _>("no") }).await, Err("no"));
    assert_eq!(component::nested_workflow("w").call(|| Ok::<_, BoxError>(1)).expect("it succeeds"), 1);
}

#[tokio::test]
async fn a_foreign_name_fails_no_work_and_stays_in_the_data() {
    let long = "n".repeat(10_000);
    for name in ["web search", "My Agent/2", "", "a::b", "tab\t", "团队", &long] {
        let work = async {
            component::step(name).run(async { Ok::<_, BoxError>(()) }).await?;
            component::agent(name)
                .run(async {
                    component::request("p", name).run(async { Ok::<_, BoxError>(()) }).await?;
                    component::tool(name).run(async { Ok::<_, BoxError>(()) }).await
                })
                .await
        };
        let (recording, stream) = (Recording::new(), EventStream::new());
        let run = component::workflow(&stream, name).run(work).with_subscriber(recording.dispatch());
        run.await.expect("no name fails the work");
        let events = stream.get_events(0).await;
        check_over(&recording, &events);
        assert_eq!(events.len(), 10, "{name:?}");
        let said = |scope: EventScope, field: &str| {
            let started = events.iter().find(|event| event.scope == scope).expect("it started");
            started.data[field].clone()
        };
        assert_eq!(said(EventScope::Tool, "tool_name"), name);
        assert_eq!(said(EventScope::WorkflowStep, "step_name"), name);
        assert_eq!(said(EventScope::LlmRequest, "model"), name);
    }
}

#[tokio::test]
async fn payloads_of_the_scope_are_completed_by_what_the_component_knows() -> Outcome {
    let work = async {
        let data = LlmStarted::new("acme", "large", json!([{"role": "user", "content": "hi"}])).with_temperature(0.5);
        let request = component::request("", "").with_data(data).start()?;
        request.chunk("Hello");
        request.usage(Usage::new(1, 1));
        request.complete(LlmCompleted::new("", std::time::Duration::ZERO).with_finish_reason("stop"));
        let agent = component::agent("writer").with_data(AgentStarted::new("go").with_model("large")).start()?;
        let tool = ToolStarted::new("search", json!({})).with_tool_call_id("call-1");
        component::tool("search").with_data(tool).with_parent(&agent).start()?.fail(&"no such page");
        agent.cancel("enough");
        Ok::<_, BoxError>(())
    };
    let (result, recording, events) = run(work).await;
    result?;
    let spans = check_over(&recording, &events);
    let request = spans.one("chat large");
    let said =
        ["gen_ai.response.finish_reasons", "gen_ai.usage.input_tokens"].map(|key| spans::attribute(request, key));
    assert_eq!(said, [json!(["stop"]), json!(1)]);
    let outcomes = spans.tree_with(|span| format!(" · {}", spans::outcome(span)));
    assert_eq!(
        outcomes,
        "\
invoke_workflow flow · unset
  chat large · unset
  invoke_agent writer · error(canceled): enough
    execute_tool search · error(tool_failed): no such page
"
    );
    Ok(())
}

/// A future grows by what each component around it needs, however many there are, and never by copies of itself.
#[tokio::test]
async fn components_around_work_hold_it_once() {
    async fn pass(bytes: [u8; 4096]) -> Result<usize, BoxError> {
        tokio::task::yield_now().await;
        Ok(bytes.len())
    }
    let work = pass([0; 4096]);
    let alone = size_of_val(&work);
    let nested = component::agent("a").run(component::step("b").run(component::tool("c").run(work).in_current()));
    let each = (size_of_val(&nested) - alone) / 3;
    assert!(each < 1_024, "{each} bytes for each component around {alone}");
    assert_eq!(nested.await.expect("it succeeds"), 4096);
}

/// Without content, the trace has the application's words and not those that a provider wrote, wherever they are repeated.
#[tokio::test]
async fn what_a_provider_wrote_does_not_leave_by_the_errors_around_it() {
    let ask = async { Err::<(), BoxError>("invalid request: the key swordfish is unknown".into()) };
    let work = async {
        component::nested_workflow("inner")
            .run(component::agent("a").run(async {
                let asked = component::request("acme", "small").run(ask).await;
                asked.map_err(|error| BoxError::from(format!("the question was not answered: {error}")))
            }))
            .await
    };
    let (result, recording, events) = run(component::tool("host").run(work)).await;
    assert!(result.expect_err("it fails").to_string().contains("swordfish"));
    let spans = check_over(&recording, &events);
    assert!(!spans::text(&spans).contains("swordfish"), "{}", spans::text(&spans));
    let outcome = spans::outcome(spans.one("execute_tool host"));
    assert!(outcome.starts_with("error(tool_failed): the question was not answered: "), "{outcome}");
    let message = events.last().and_then(|event| event.message.as_deref());
    assert!(message.is_some_and(|message| message.contains("swordfish")), "in the process it is whole");
    let own = component::tool("t").run(async { Err::<(), _>(std::io::Error::other("the disk is full")) });
    let (result, recording, events) = run(own).await;
    result.expect_err("it fails");
    let spans = check_over(&recording, &events);
    assert_eq!(spans::outcome(spans.one("execute_tool t")), "error(std::io::error::Error): the disk is full");
}
