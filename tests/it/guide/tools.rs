//! Tools that report how far they are, repetitions that are noticed, and events of an application's subsystems.

use std::sync::Arc;

use agent_runtime::prelude::*;

use crate::support::{agent_flow, replies, run, tool};

/// What takes long and says so.
#[derive(Debug)]
struct Scraper;

#[async_trait]
impl Tool for Scraper {
    fn name(&self) -> &str {
        "web_scraper"
    }

    fn description(&self) -> &str {
        "Reads pages."
    }

    fn parameters(&self) -> JsonValue {
        json!({"type": "object", "properties": {"pages": {"type": "integer"}}})
    }

    async fn execute_with_progress(&self, args: JsonValue, progress: ProgressCallback) -> Result<JsonValue, BoxError> {
        let pages = args["pages"].as_u64().ok_or("`pages` must be a whole number")?;
        for i in 0..pages {
            progress(format!("Processed {i}/{pages}"), Some(i));
        }
        Ok(json!({"status": "done"}))
    }
}

#[tokio::test]
async fn a_tool_reports_its_progress_through_a_callback() {
    let model = replies([
        ScriptedReply::tool_calls([("web_scraper", json!({"pages": 3})), ("web_scraper", json!({"pages": "all"}))]),
        ScriptedReply::text("Done."),
    ]);
    let agent = Agent::builder("agent", model).with_tool(Scraper).build();
    let ran = run(&Workflow::new("flow").add_step(AgentStep::new(agent)).build(), "go").await;
    let of = |id: &str| ran.events.iter().filter(move |event| event.component_id == id).collect::<Vec<_>>();
    let reports: Vec<_> = of("web_scraper:0")
        .iter()
        .filter(|event| event.event_type == EventType::Progress)
        .map(|event| (event.message.clone().unwrap_or_default(), event.data["progress"].as_u64()))
        .collect();
    assert_eq!(reports, [0, 1, 2].map(|i| (format!("Processed {i}/3"), Some(i))));
    let failed = of("web_scraper:1").pop().expect("it ended");
    assert_eq!(failed.message.as_deref(), Some("`pages` must be a whole number"), "any error will do");
}

#[tokio::test]
async fn a_call_that_is_repeated_is_noticed_and_the_agent_named() {
    let call = ("calculator", json!({"a": 5, "b": 3}));
    let add = || {
        tool("calculator", |args, _| async move {
            Ok(json!(args["a"].as_u64().zip(args["b"].as_u64()).map(|(a, b)| a + b)))
        })
    };
    // In rounds one after the other, and twice in one answer.
    let rounds = [vec![vec![call.clone()], vec![call.clone()]], vec![vec![call.clone(), call.clone()]]];
    for (rounds, previous) in rounds.into_iter().zip([json!(8), JsonValue::Null]) {
        let calls = rounds.into_iter().map(ScriptedReply::tool_calls);
        let ran = run(&agent_flow(replies(calls.chain([ScriptedReply::text("Eight.")])), [add()]), "go").await;
        let noticed: Vec<_> = ran.events.iter().filter(|event| event.scope == EventScope::System).collect();
        let [noticed] = noticed[..] else { panic!("{noticed:?}") };
        assert_eq!(
            (noticed.component_id.as_str(), noticed.event_type),
            ("system:tool_loop_detection", EventType::Progress)
        );
        assert!(noticed.message.as_deref().is_some_and(|message| message.contains("calculator")));
        let expected = json!({
            "tool_name": "calculator", "arguments": {"a": 5, "b": 3}, "previous_result": previous, "call_count": 2,
            "agent": "agent",
        });
        assert_eq!(noticed.data, expected);
        assert_eq!(ran.result.expect("the run goes on").output, "Eight.");
    }
}

#[tokio::test]
async fn a_tool_speaks_for_a_subsystem_of_the_application_in_the_stream_of_its_run() {
    let limiter = tool("limited", |_, _| async {
        let run = Run::current().ok_or("outside a run")?;
        let message = "Rate limit approaching: 90% of quota used".to_owned();
        let data = json!({"requests_used": 900, "requests_limit": 1000});
        let workflow_id = Some(run.workflow_id().to_owned());
        run.stream().append(Event::system_progress("system:rate_limiter", Some(message), workflow_id, None, data))?;
        Ok(json!(null))
    });
    let model = Arc::new(
        ScriptedModel::new("m")
            .with_reply(ScriptedReply::tool_calls([("limited", json!({}))]))
            .with_reply(ScriptedReply::text("Done.")),
    );
    let ran = run(&agent_flow(model, [limiter]), "go").await;
    let place = |id: &str, event_type| {
        let is_it = |event: &Event| event.component_id == id && event.event_type == event_type;
        ran.events.iter().position(is_it).expect("it is there")
    };
    let warning = place("system:rate_limiter", EventType::Progress);
    assert!(place("limited:0", EventType::Started) < warning && warning < place("limited:0", EventType::Completed));
    let workflow_id = ran.result.as_ref().map(|run| run.workflow_id.as_str()).ok();
    assert_eq!(ran.events[warning].workflow_id.as_deref(), workflow_id);
    assert_eq!(ran.events[warning].data["requests_used"], 900);
}
