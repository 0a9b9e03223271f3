//! Events made by hand inside a component lie in it, with a bridge and without one.

use agent_runtime::{component, prelude::*, view::Tree};
use tracing::instrument::WithSubscriber as _;

use crate::support::{Recording, agent_flow, calling, tool};

/// An agent that a tool of the runtime's calls, all by hand; with the run's id, or without any.
#[tokio::test]
async fn events_made_by_hand_in_a_component_lie_in_it() {
    for names_its_run in [false, true] {
        let (recording, runtime) = (Recording::new(), Runtime::new());
        let stream = runtime.event_stream().clone();
        let by_hand = tool("by_hand", move |_, _| {
            let stream = stream.clone();
            async move {
                let run = component::current().workflow_id().filter(|_| names_its_run).map(str::to_owned);
                stream.append(Event::agent_started("helper", run.clone(), None, json!({"input": "x"})))?;
                tokio::task::yield_now().await;
                stream.append(Event::agent_progress(
                    "helper",
                    Some("at it".to_owned()),
                    run.clone(),
                    None,
                    json!({}),
                ))?;
                stream.append(Event::agent_completed("helper", run, None, json!({"output": "y"})))?;
                Ok(json!("helped"))
            }
        });
        let flow = agent_flow(calling(vec![("by_hand", json!({}))], "Done."), [by_hand]);
        runtime.execute(&flow, "go").with_subscriber(recording.dispatch()).await.expect("the run succeeds");
        let expected = "\
invoke_workflow flow
  workflow_step agent
    invoke_agent agent
      chat scripted
      execute_tool by_hand
        invoke_agent helper
      chat scripted
";
        assert_eq!(recording.spans().tree(), expected);
        let mut events = runtime.event_stream().get_events(0).await;
        assert!(events.iter().all(|event| event.workflow_id == events[0].workflow_id), "all are of one run");
        events.iter_mut().for_each(|event| event.trace = None);
        assert_eq!(Tree::of(&events).outline(), expected);
    }
}

#[tokio::test]
async fn a_run_made_by_hand_is_nested_in_the_one_around_and_another_stream_is_left_alone() {
    let (stream, other) = (EventStream::new(), EventStream::new());
    let work = async {
        for stream in [&stream, &other] {
            stream.append(Event::workflow_started("own", Some("wf_own".to_owned()), None, json!({})))?;
            stream.append(Event::tool_started("look", Some("wf_own".to_owned()), None, json!({})))?;
            stream.append(Event::tool_completed("look", Some("wf_own".to_owned()), None, json!({})))?;
            stream.append(Event::workflow_completed("own", Some("wf_own".to_owned()), None, json!({})))?;
        }
        other.append(Event::tool_started("stray", None, None, json!({})))
    };
    component::workflow(&stream, "flow").run(work).await.expect("all are valid");
    let events = stream.get_events(0).await;
    assert_eq!(Tree::of(&events).outline(), "invoke_workflow flow\n  invoke_workflow own\n    execute_tool look\n");
    assert_eq!(events[1].parent_workflow_id, events[0].workflow_id);
    let left_alone = other.get_events(0).await;
    assert!(left_alone.iter().all(|event| event.parent_workflow_id.is_none() && event.parent_start_id.is_none()));
    assert_eq!(left_alone.last().expect("there are five").workflow_id, None);
}
