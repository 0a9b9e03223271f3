//! Bounds of the loop.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use agent_runtime::prelude::*;

use super::notation::{call, calls, last, refusal, reply, said, text};
use super::{Case, check, done};
use crate::support::{HttpReply, RecordedRequest, tool};

/// The same call in every round.
fn for_ever(_: usize, _: &RecordedRequest) -> HttpReply {
    reply(calls(&[call(0, "a", "look", "{\"q\":1}")]))
}

#[tokio::test]
async fn whatever_a_model_can_make_grow_has_a_bound() {
    let small = |number: usize, request: &RecordedRequest| {
        let is_small = request.body.to_string().len() <= 1_000_000;
        match number {
            0 => {
                reply(calls(&[call(0, "a", "big", "{}"), call(1, "b", "big", "{}"), call(2, "c", "look", "{\"q\":1}")]))
            }
            _ if is_small => done(),
            _ => refusal(400, "the body is too large"),
        }
    };
    let many: Vec<_> = (0..129).map(|number| call(number, &format!("c{number}"), "look", "{}")).collect();
    check([
        Case::serving("M62", small)
            .agent(|agent| agent.with_tool(tool("big", |_, _| async { Ok(json!("x".repeat(5_000_000))) })))
            .also(|done| {
                let content = |place: usize| done.messages(1)[place]["content"].as_str().expect("a text").to_owned();
                assert!(content(2).ends_with("… [cut: the result has 5000000 bytes]"), "{}", &content(2)[..100]);
                assert!(content(2).len() + content(3).len() <= 64 * 1024);
                assert_eq!(content(4), "{\"q\":1}");
            }),
        Case::serving("M63", for_ever).fails("repeated_call", "look").asks(6).also(|done| {
            assert_eq!(done.events(EventScope::Tool, EventType::Completed).len(), 5);
        }),
        Case::serving("M63, as often as is set", for_ever)
            .agent(|agent| agent.with_max_repetitions(2))
            .fails("repeated_call", "2 times")
            .asks(3),
        Case::serving("M64", |number, _| match number {
            0..6 => reply(calls(&[call(0, "a", "job", "{}")])),
            _ => done(),
        })
        .agent(|agent| {
            let looks = AtomicU64::new(0);
            agent.with_tool(tool("job", move |_, _| {
                let look = looks.fetch_add(1, Ordering::Relaxed);
                async move { Ok(json!(look)) }
            }))
        })
        .asks(7),
        Case::serving("M65", |number, _| reply(calls(&[call(0, "a", "look", &format!("{{\"q\":{number}}}"))])))
            .agent(|agent| agent.with_max_iterations(3))
            .fails("max_iterations", "3 iterations")
            .asks(3)
            .runs(&[("look", json!({"q": 0})), ("look", json!({"q": 1})), ("look", json!({"q": 2}))]),
        Case::new("M65, calls at once", calls(&many)).fails("response_too_large", "more than 128 tool calls").runs(&[]),
    ])
    .await;
}

#[tokio::test]
async fn tools_that_fail_or_never_end_leave_the_others_alone() {
    let five = ["faulty", "panicking", "unknown", "look", "now"];
    let five: Vec<_> = (0..).zip(five).map(|(number, name)| call(number, &format!("c{number}"), name, "{}")).collect();
    check([
        Case::new("M66", calls(&[call(0, "a", "stuck", "{}"), call(1, "b", "look", "{}")]))
            .agent(|agent| agent.with_tool(tool("stuck", |_, _| std::future::pending())))
            .canceled_after(Duration::from_millis(300))
            .runs(&[("look", json!({}))])
            .also(|done| {
                let ends = done.events.iter().filter(|event| event.event_type == EventType::Canceled);
                let ends: Vec<_> = ends.map(|event| event.scope).collect();
                assert_eq!(ends, [EventScope::Tool, EventScope::Agent, EventScope::WorkflowStep, EventScope::Workflow]);
            }),
        Case::new("M67", calls(&five))
            .agent(|agent| {
                let faulty = tool("faulty", |_, _| async { Err(ToolError::with_code("no", "NO").into()) });
                agent.with_tool(faulty).with_tool(tool("panicking", |_, _| async { panic!("a panic of the test") }))
            })
            .runs(&[("look", json!({})), ("now", json!({}))])
            .also(|done| {
                let failed = done.events(EventScope::Tool, EventType::Failed);
                let codes: Vec<_> = failed.iter().filter_map(|event| event.data.error_code()).collect();
                assert_eq!(codes, ["NO", "panic", "unknown_tool"]);
            }),
    ])
    .await;
}

#[tokio::test]
async fn identical_calls_of_one_answer_are_repetitions_too() {
    let same = [call(0, "a", "look", "{\"q\":1}"), call(1, "b", "look", "{\"q\":1}")];
    check([Case::new("M63, within one answer", calls(&same)).asks(2).also(|done| {
        let reports = done.events(EventScope::System, EventType::Progress);
        assert_eq!(reports.len(), 1);
        let data = &reports[0].data;
        assert_eq!(
            (&data["agent"], &data["tool_name"], &data["call_count"]),
            (&json!("agent"), &json!("look"), &json!(2))
        );
        assert!(reports[0].message.as_ref().is_some_and(|message| message.contains("agent \"agent\"")));
    })])
    .await;
    check([Case::new("M63, other arguments", text("Yes.")).answers("Yes.")]).await;
}

#[tokio::test]
async fn an_answer_is_cut_off_at_its_bound_and_kept_up_to_it() {
    // Each piece is below the bound of an event.
    let pieces = || said(&"x".repeat(1 << 20)).repeat(96);
    check([
        Case::new("C59", pieces() + &text("")).fails("response_too_large", "more than 1048576 bytes").asks(1).also(
            |done| {
                let failed = done.events(EventScope::LlmRequest, EventType::Failed);
                let kept = failed[0].data.response().expect("the text up to the failure").len();
                assert!(kept <= 2 * Agent::DEFAULT_MAX_ANSWER_BYTES, "{kept}");
                assert!(done.events(EventScope::LlmRequest, EventType::Progress).len() <= 2, "the rest is not read");
            },
        ),
        Case::new("C59, as much as is set", said(&"x".repeat(1 << 20)) + &last(json!({"content": "Yes."}), "stop"))
            .agent(|agent| agent.with_max_answer_bytes(2 << 20))
            .also(|done| assert!(done.error.is_none()))
            .asks(1)
            .ends_with("Yes."),
    ])
    .await;
}
