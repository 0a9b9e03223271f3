//! Ids: which workflow an event belongs to, calls at once told apart, and names that cannot be ids.

use std::sync::Arc;

use agent_runtime::{component::RunOptions, prelude::*};

use crate::support::{agent_flow, calling, full_flow, history, pass, replies_for_ever, run, spans, tool};

#[tokio::test]
async fn every_event_carries_its_run_and_the_run_around_it() {
    let runtime = Runtime::new();
    let options = RunOptions::default().with_workflow_id("wf_mine");
    let output = runtime.execute_with(&full_flow(), "go", options).await.expect("the run succeeds");
    assert_eq!(output.workflow_id, "wf_mine");
    let mut nested_ids = Vec::new();
    for event in history(&runtime).await {
        let is_nested = event.component_id.starts_with("check") && event.component_id != "check:step";
        if is_nested {
            assert_eq!(event.parent_workflow_id.as_deref(), Some("wf_mine"), "{}", event.component_id);
            nested_ids.push(event.workflow_id.expect("it belongs to a run"));
        } else {
            assert_eq!((event.workflow_id.as_deref(), event.parent_workflow_id), (Some("wf_mine"), None));
        }
    }
    nested_ids.dedup();
    assert_eq!(nested_ids.len(), 1);
    assert!(nested_ids[0].starts_with("wf_") && nested_ids[0] != "wf_mine");
}

#[tokio::test]
async fn a_workflow_run_by_a_tool_or_a_transform_is_nested_in_the_run_around_it() {
    let runtime = Runtime::new();
    let inner = agent_flow(replies_for_ever("inner answer"), []);
    let nest = {
        let runtime = runtime.clone();
        move || {
            let (runtime, inner) = (runtime.clone(), inner.clone());
            async move { runtime.execute(&inner, "go").await.map(|run| run.output).map_err(Into::into) }
        }
    };
    let by_tool = tool("nest", {
        let nest = nest.clone();
        move |_, _| nest()
    });
    let by_transform = TransformStep::new("nest", move |_| nest());
    let agent = Agent::builder("outer_agent", calling(vec![("nest", json!({}))], "Done.")).with_tool(by_tool).build();
    let outer = Workflow::new("outer").add_step(AgentStep::new(agent)).add_step(by_transform).build();
    let output = runtime.execute(&outer, "go").await.expect("the run succeeds");
    let events = history(&runtime).await;
    let roots: Vec<_> = events
        .iter()
        .filter(|event| (event.scope, event.event_type) == (EventScope::Workflow, EventType::Started))
        .map(|event| (event.component_id.as_str(), event.parent_workflow_id.as_deref()))
        .collect();
    let id = output.workflow_id.as_str();
    assert_eq!(roots, [("outer", None), ("flow", Some(id)), ("flow", Some(id))]);
}

#[tokio::test]
async fn calls_at_once_and_requests_in_a_row_have_ids_of_their_own() {
    let calls = vec![("calculator", json!({"a": 1})), ("calculator", json!({"a": 2})), ("clock", json!({}))];
    let calculator = tool("calculator", |args, _| async move { Ok(args["a"].clone()) });
    let clock = tool("clock", |_, _| async { Ok(json!("noon")) });
    let ran = run(&agent_flow(calling(calls, "Done."), [calculator, clock]), "go").await;
    let started = ran.events.iter().filter(|event| event.event_type == EventType::Started);
    let ids: Vec<_> = started.map(|event| event.component_id.as_str()).collect();
    assert_eq!(
        ids,
        ["flow", "flow:step:0", "agent", "agent:llm:0", "calculator:0", "calculator:1", "clock:0", "agent:llm:1",]
    );
    let said = |id: &str| {
        let completed =
            ran.events.iter().find(|event| event.component_id == id && event.event_type == EventType::Completed);
        completed.and_then(|event| event.data.result().cloned())
    };
    assert_eq!((said("calculator:0"), said("calculator:1")), (Some(json!(1)), Some(json!(2))));
}

#[tokio::test]
async fn the_ids_of_runs_differ() {
    let runtime = Runtime::new();
    let workflow = Workflow::new("flow").build();
    let mut ids = Vec::new();
    for _ in 0..100 {
        ids.push(runtime.execute(&workflow, "go").await.expect("the run succeeds").workflow_id);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 100);
}

#[tokio::test]
async fn a_name_that_cannot_be_an_id_is_refused_before_anything_is_emitted() {
    let agent = |name: &str| Agent::builder(name, replies_for_ever("unasked")).build();
    let with_tool = |name: &str| {
        Agent::builder("agent", replies_for_ever("unasked"))
            .with_tool(tool(name, |_, _| async { Ok(json!(1)) }))
            .build()
    };
    let flow = |agent: Agent| Workflow::new("flow").add_step(pass()).add_step(AgentStep::new(agent)).build();
    let nested = |name: &str| Workflow::new("flow").add_step(SubWorkflowStep::new(Workflow::new(name).build())).build();
    let long = "x".repeat(300);
    let cases = [
        ("", Workflow::new("").build(), "scope workflow"),
        ("a\nb", Workflow::new("a\nb").build(), "scope workflow"),
        (" padded", Workflow::new(" padded").build(), "scope workflow"),
        ("", flow(agent("")), "scope agent"),
        ("a::b", flow(agent("a::b")), "scope agent"),
        ("tab\t", flow(with_tool("tab\t")), "scope tool"),
        ("", flow(with_tool("")), "scope tool"),
        ("inner ", nested("inner "), "scope workflow"),
        (&long, flow(agent(&long)), "scope agent"),
    ];
    for (id, workflow, scope) in cases {
        let runtime = Runtime::new();
        let error = runtime.execute(&workflow, "go").await.expect_err("it is refused");
        let RunError::InvalidName(EventError::ComponentId { id: named, rule, .. }) = &error else {
            panic!("{error:?}")
        };
        assert_eq!((named.as_str(), error.code()), (id, "invalid_name"));
        let text = std::error::Error::source(&error).expect("it has a source").to_string();
        assert!(text.contains(&format!("{id:?}")) && text.contains(rule) && text.contains(scope), "{text}");
        assert!(history(&runtime).await.is_empty(), "{id:?}");
    }
}

/// Names at the edge of what can be an id, which leave no room for what the runtime puts behind them.
#[tokio::test]
async fn a_name_too_long_for_the_ids_made_of_it_is_refused_too() {
    let long = "x".repeat(EventScope::MAX_COMPONENT_ID_BYTES);
    let agent = Agent::builder(&long, replies_for_ever("unasked")).build();
    let cases = [
        ("agent", Workflow::new("flow").add_step(AgentStep::new(agent)).build()),
        ("workflow", Workflow::new(&long).add_step(pass()).build()),
        ("tool", agent_flow(calling(vec![("x", json!({}))], ""), [tool(&long, |_, _| async { Ok(json!(1)) })])),
    ];
    for (name, workflow) in cases {
        let runtime = Runtime::new();
        let error = runtime.execute(&workflow, "go").await.expect_err("it is refused");
        assert!(matches!(error, RunError::InvalidName(_)), "{name}: {error:?}");
        assert!(history(&runtime).await.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn names_of_any_script_and_with_colons_work() {
    let model = calling(vec![("mcp:suche", json!({}))], "Fertig.");
    let agent =
        Agent::builder("团队:lead", Arc::clone(&model)).with_tool(tool("mcp:suche", |_, _| async { Ok(json!(1)) }));
    let workflow = Workflow::new("Prüfung:step:0").add_step(AgentStep::new(agent.build())).build();
    let ran = run(&workflow, "go").await;
    ran.result.expect("the run succeeds");
    assert_eq!(
        ran.spans
            .tree_with(|span| format!(" · {}", spans::attribute(span, "agent_runtime.component.id").as_str().unwrap())),
        "\
invoke_workflow Prüfung:step:0 · Prüfung:step:0
  workflow_step 团队:lead · Prüfung:step:0:step:0
    invoke_agent 团队:lead · 团队:lead
      chat scripted · 团队:lead:llm:0
      execute_tool mcp:suche · mcp:suche:0
      chat scripted · 团队:lead:llm:1
"
    );
}
