//! C10-C23, C34, C70, C80, C81, B41, B42: what leaves without content, and what a redactor sees.

use std::{borrow::Cow, sync::Arc};

use agent_runtime::{
    llm::StatusError,
    otel::{ContentCapture, ContentPolicy, MIN_CONTENT_BYTES, PatternRedactor, Redactor},
    prelude::*,
};
use opentelemetry::trace::Status;

use crate::content::{Export, text};

fn status(export: &Export, name: &str) -> String {
    match export.span(name).status {
        Status::Error { description } => description.into_owned(),
        status => panic!("{name}: {status:?}"),
    }
}

/// An agent without the tools that the model calls.
fn calling(name: &str) -> Workflow {
    let model = ScriptedModel::new("m")
        .with_reply(ScriptedReply::tool_calls([(name, json!({"n": 1}))]))
        .with_reply(ScriptedReply::tool_calls([(name, json!({"n": 1}))]))
        .with_reply(ScriptedReply::text("done"));
    let known = FnTool::new("known", "Is known.", json!({}), |_, _| async { Ok(json!(1)) });
    let agent = Agent::builder("a", model).with_tool(known).build();
    Workflow::new("flow").add_step(AgentStep::new(agent)).build()
}

#[tokio::test]
async fn a_name_that_a_model_made_up_stays_here() {
    for (id, name) in [
        ("C10", "search(query='Ann Smith, diabetes')"),
        ("C10: a plain one", "diabetes"),
        ("C10: no id", "\u{1}diabetes"),
    ] {
        let export = Export::with(ContentPolicy::default());
        export.runtime().execute(&calling(name), "x").await.unwrap();
        let exported = export.exported();
        assert!(!exported.contains("diabetes"), "{id}: {exported}");
        let tools: Vec<_> = export.spans().into_iter().filter(|span| span.name.starts_with("execute_tool")).collect();
        for (number, span) in tools.iter().enumerate() {
            assert_eq!(span.name, "execute_tool _OTHER", "{id}");
            assert_eq!(text(span, "gen_ai.tool.name").as_deref(), Some("_OTHER"), "{id}");
            assert_eq!(text(span, "agent_runtime.component.id"), Some(format!("_OTHER:{number}")), "{id}");
            assert_eq!(text(span, "error.type").as_deref(), Some("unknown_tool"), "{id}");
        }
        assert_eq!(tools.len(), 2, "{id}");
        let events = export.stream.get_events(0).await;
        let named = events.iter().filter(|event| event.data.tool_name() == Some(name)).count();
        assert!(named >= 4, "{id}: subscribers see the name");
    }
}

#[tokio::test]
async fn a_tool_of_the_agents_keeps_its_name() {
    let export = Export::with(ContentPolicy::default());
    export.runtime().execute(&calling("known"), "x").await.unwrap();
    let span = export.spans().into_iter().find(|span| span.name == "execute_tool known").expect("C11");
    assert_eq!(text(&span, "agent_runtime.component.id").as_deref(), Some("known:0"));
}

#[test]
fn a_failed_requests_status_has_known_words_alone() {
    for (id, message, gone) in [
        ("C12", r#"not a piece of an answer: "患者張三患有糖尿病""#, "糖尿病"),
        ("C12: unquoted", "not a piece of an answer: 患者張三患有糖尿病", "糖尿病"),
        ("C13", r#"not UTF-8: b"dear diary, today""#, "diary"),
        ("C13: single quotes", "not UTF-8: b'dear diary'", "diary"),
        ("C14", "cannot parse “dear diary”", "diary"),
        ("C14: guillemets", "kann «dear diary» nicht lesen", "diary"),
        ("C14: corner brackets", "「dear diary」を読めません", "diary"),
        ("C15", "invalid type: integer `4111111111111111`, expected a date", "4111"),
        ("C15: unquoted", "invalid type: integer 4111111111111111, expected a date", "4111"),
        ("C16", r#"invalid value: string "hunter2-the-password""#, "hunter2"),
        ("C17", r#"string "dear diary""#, "diary"),
        ("C17: an address", r#"no such user "ann@example.com""#, "ann"),
        ("unquoted", "Incorrect API key provided: sk-proj-abc. Ann Smith has diabetes", "diabetes"),
        ("a URL", "error sending request for url (https://a.example/?key=hunter2)", "hunter2"),
    ] {
        let export = Export::with(ContentPolicy::default());
        export.append(Event::llm_started("a:llm:0", None, None, json!({"model": "m"})));
        export.append(Event::llm_failed("a:llm:0", message, None, None, json!({})));
        let status = status(&export, "chat");
        assert!(!status.contains(gone) && status.contains('…'), "{id}: {status}");
        assert!(!export.exported().contains(gone), "{id}");
    }
}

#[test]
fn a_failure_of_the_applications_loses_what_it_quotes_and_no_more() {
    let whole = "the archive of the second branch was closed at 17:30, since nobody was left who knew where its key \
                 is kept; the agents' lists are in the drawer. "
        .repeat(3);
    for (id, message, expected) in [
        ("B24", whole.as_str(), whole.as_str()),
        ("C12", r#"cannot file "患者張三患有糖尿病""#, r#"cannot file "…""#),
        ("C13", r#"not UTF-8: b"dear diary, today""#, r#"not UTF-8: b"…""#),
        ("C14", "cannot parse “dear diary”", "cannot parse “…”"),
        ("C14: guillemets", "kann «dear diary» nicht lesen", "kann «…» nicht lesen"),
        ("C15", "invalid type: integer `4111111111111111`", "invalid type: integer `…`"),
        ("C16", r#"invalid value: string "hunter2-the-password""#, r#"invalid value: string "…""#),
    ] {
        let export = Export::with(ContentPolicy::default());
        export.append(Event::tool_started("t:0", None, None, json!({})));
        export.append(Event::tool_failed("t:0", message, None, None, json!({})));
        assert_eq!(status(&export, "execute_tool"), expected, "{id}");
    }
}

#[tokio::test]
async fn the_status_of_a_run_names_its_agent_and_nothing_that_the_provider_said() {
    let refusal = || StatusError::new(401, "Incorrect key of Ann Smith, who has diabetes").into();
    let model = ScriptedModel::new("m").with_reply(ScriptedReply::error(refusal));
    let workflow = Workflow::new("flow").add_step(AgentStep::new(Agent::builder("writer", model).build())).build();
    let export = Export::with(ContentPolicy::default());
    export.runtime().execute(&workflow, "x").await.expect_err("C18");
    for name in ["invoke_workflow", "workflow_step", "invoke_agent"] {
        assert!(status(&export, name).contains(r#""writer""#), "C18: {}", status(&export, name));
        assert_eq!(text(&export.span(name), "error.type").as_deref(), Some("authentication"), "C18");
    }
    assert!(!export.exported().contains("diabetes"));
    let failed = export.stream.get_events(0).await.into_iter().find(|event| event.event_type == EventType::Failed);
    assert!(failed.unwrap().message.unwrap().contains("diabetes"), "subscribers see the whole message");
}

#[test]
fn a_system_event_goes_without_what_it_quotes() {
    let export = Export::with(ContentPolicy::default());
    let id = || Some("w".to_owned());
    export.append(Event::workflow_started("flow", id(), None, json!({})));
    let message = "cannot parse \"dear diary, today\"";
    export.append(Event::system_failed("system:parser", message, id(), None, json!({})));
    export.append(Event::workflow_completed("flow", id(), None, json!({})));
    let exported = export.exported();
    assert!(!exported.contains("diary") && exported.contains("cannot parse"), "C19: {exported}");
}

#[tokio::test]
async fn a_librarys_fields_stay_here_unless_content_is_asked_for() {
    for (capture, is_there) in [(ContentCapture::NoContent, false), (ContentCapture::SpanOnly, true)] {
        let export = Export::capturing(capture);
        let step = TransformStep::new("query", |input: JsonValue| async move {
            tracing::warn!(
                statement = "select * from patients where name = 'Ann Smith'",
                rows = 3,
                level = "theirs",
                "slow statement of 'Ann Smith'"
            );
            tracing::info!(target: "hyperion", "of hyperion");
            tracing::info!(target: "h2o::pool", "of h2o");
            tracing::info!(target: "hyper::client", "of hyper");
            Ok::<_, ToolError>(input)
        });
        export.runtime().execute(&Workflow::new("flow").add_step(step).build(), "x").await.unwrap();
        let exported = export.exported();
        assert_eq!(exported.contains("Ann Smith"), is_there, "C20: {exported}");
        assert!(exported.contains("slow statement") && exported.contains("rows"), "C20: {exported}");
        let step = export.span("workflow_step");
        assert_eq!(step.events.len(), 3, "C84: {:?}", step.events);
        assert_no_key_twice(&export);
    }
}

#[test]
fn a_redactor_sees_the_names_of_fields() {
    let key = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    for (id, capture) in [("C21", ContentCapture::NoContent), ("C21: in content", ContentCapture::SpanOnly)] {
        let policy = ContentPolicy::default().with_capture(capture);
        let export = Export::with(policy.with_redactor(PatternRedactor::new()));
        let own_part = json!([{"role": "user", "content": [{"type": "own", key: 1}]}]);
        export.append(Event::tool_started("t:0", None, None, json!({"arguments": {key: 1}})));
        export.append(Event::tool_progress("t:0", None, None, None, json!({key: 3, format!("{key}2"): 4})));
        export.append(Event::tool_completed("t:0", None, None, json!({"result": {key: 1}})));
        export.append(Event::llm_started("a:llm:0", None, None, json!({"messages": own_part})));
        export.append(Event::llm_completed("a:llm:0", None, None, json!({"response": "x"})));
        assert!(!export.exported().contains("ghp_"), "{id}: {}", export.exported());
        assert_no_key_twice(&export);
    }
}

/// Takes one word out, wherever it stands.
struct NoCanary;

impl Redactor for NoCanary {
    fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        text.replace("canary", "[gone]").into()
    }
}

#[test]
fn a_redactor_sees_the_words_of_providers() {
    for (id, capture) in ContentCapture::ALL.iter().map(|capture| ("C22, C23", *capture)) {
        let policy = ContentPolicy::default().with_capture(capture);
        let export = Export::with(policy.with_redactor(NoCanary));
        let own = json!([{"role": "canary", "content": [{"type": "canary", "modality": "canary", "canary": 1}]}]);
        let started = json!({"model": "canary", "provider": "canary", "messages": own, "conversation_id": "canary"});
        let ended = json!({
            "response": "x", "finish_reason": "canary", "response_id": "canary", "response_model": "canary",
            "tool_calls": [{"id": "canary", "name": "canary", "arguments": {"canary": "canary"}}],
        });
        export.append(Event::llm_started("canary:llm:0", Some("canary".into()), None, started));
        export.append(Event::llm_completed("canary:llm:0", Some("canary".into()), None, ended));
        assert!(!export.exported().contains("canary"), "{id}, {capture}: {}", export.exported());
    }
}

#[test]
fn without_content_a_providers_words_are_known_ones_or_names() {
    let rows = [
        ("stop", "stop"),
        ("tool_calls", "tool_call"),
        ("end_turn", "end_turn"),
        ("MAX_TOKENS", "MAX_TOKENS"),
        ("diabetes", "_OTHER"),
        ("since Ann Smith asked", "_OTHER"),
    ];
    for (reason, expected) in rows {
        let export = Export::with(ContentPolicy::default());
        let said = json!({"finish_reason": reason, "response_id": "Ann Smith 1", "response_model": "of Ann Smith"});
        export.append(Event::llm_started("a:llm:0", None, None, json!({"model": "m"})));
        export.append(Event::llm_completed("a:llm:0", None, None, said));
        let span = export.span("chat");
        let reasons = text(&span, "gen_ai.response.finish_reasons").unwrap();
        assert!(reasons.contains(expected) && !export.exported().contains("Smith"), "{reason}: {reasons}");
    }
}

/// Counts the bytes that it is given.
struct Counting(Arc<std::sync::atomic::AtomicUsize>);

impl Redactor for Counting {
    fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.0.fetch_add(text.len(), std::sync::atomic::Ordering::Relaxed);
        text.into()
    }
}

#[test]
fn what_is_cut_off_anyway_is_not_redacted() {
    let message = |size: usize| json!({"role": "user", "content": "word ".repeat(size / 5)});
    let rows = [
        ("C34: one long message", vec![message(1 << 20)]),
        ("C34: many short ones", (0..1_024).map(|_| message(1_024)).collect()),
        ("C34: very many", (0..65_536).map(|_| message(16)).collect()),
    ];
    for (id, messages) in rows {
        let bytes = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let policy = ContentPolicy::default().with_capture(ContentCapture::SpanOnly).with_max_bytes(MIN_CONTENT_BYTES);
        let export = Export::with(policy.with_redactor(Counting(Arc::clone(&bytes))));
        export.append(Event::llm_started("a:llm:0", None, None, json!({"messages": messages})));
        let seen = bytes.load(std::sync::atomic::Ordering::Relaxed);
        assert!(seen <= 8 * MIN_CONTENT_BYTES, "{id}: {seen} bytes");
    }
}

#[test]
fn tokens_that_nobody_reported_are_not_there() {
    for (id, usage, input, output) in [
        ("C70", json!({"total_tokens": 5}), None, None),
        ("C70: one of them", json!({"prompt_tokens": 3}), Some("3"), None),
        ("C70: both", json!({"prompt_tokens": 3, "completion_tokens": 0}), Some("3"), Some("0")),
    ] {
        let export = Export::with(ContentPolicy::default());
        export.append(Event::llm_started("a:llm:0", None, None, json!({})));
        export.append(Event::llm_completed("a:llm:0", None, None, json!({"usage": usage})));
        let span = export.span("chat");
        assert_eq!(text(&span, "gen_ai.usage.input_tokens").as_deref(), input, "{id}");
        assert_eq!(text(&span, "gen_ai.usage.output_tokens").as_deref(), output, "{id}");
    }
}

#[test]
fn a_name_is_a_name_unless_it_is_the_id_of_a_run() {
    let generated = "wf_0198f1b2c3d47e5f8a9b0c1d2e3f4a5b";
    for (id, name, run, parent, expected) in [
        ("C80", "wf_billing", "run-7", None, Some("wf_billing")),
        ("C80: hex, but short", "wf_0190", "run-7", None, Some("wf_0190")),
        ("C80: a generated id", generated, "run-7", None, None),
        ("C80: the id of the run around", "run-1", "run-7", Some("run-1"), None),
        ("C81", "run-7", "run-7", None, None),
    ] {
        let export = Export::with(ContentPolicy::default());
        let ids = || (Some(run.to_owned()), parent.map(str::to_owned));
        export.append(Event::workflow_started(name, ids().0, ids().1, json!({})));
        export.append(Event::workflow_completed(name, ids().0, ids().1, json!({})));
        let span = export.span("invoke_workflow");
        assert_eq!(span.name.strip_prefix("invoke_workflow ").map(str::to_owned).as_deref(), expected, "{id}");
        for attribute in ["gen_ai.workflow.name", "gen_ai.agent.name"] {
            assert_eq!(text(&span, attribute).as_deref(), expected, "{id}");
        }
    }
}

/// Checks that a key stands once on each span and each of its events.
#[track_caller]
fn assert_no_key_twice(export: &Export) {
    for span in export.spans() {
        let lists = std::iter::once(&span.attributes).chain(span.events.iter().map(|event| &event.attributes));
        for list in lists {
            let mut keys: Vec<_> = list.iter().map(|attribute| attribute.key.as_str()).collect();
            keys.sort_unstable();
            let twice = keys.windows(2).find(|pair| pair[0] == pair[1]);
            assert_eq!(twice, None, "{}", span.name);
        }
    }
}

#[test]
fn a_key_stands_once_where_input_and_output_are_both_cut() {
    let export = Export::with(
        ContentPolicy::default()
            .with_capture(ContentCapture::SpanAndEvent)
            .with_max_bytes(MIN_CONTENT_BYTES)
            .with_open_inference(true),
    );
    let long = "word ".repeat(1_000);
    let id = || Some("w".to_owned());
    let input = json!({"input": long, "step_name": "s", "step_type": "agent", "arguments": {"a": long}, "model": "m",
        "messages": [{"role": "user", "content": long}]});
    let output = json!({"output": long, "result": {"a": long}, "response": long});
    export.append(Event::workflow_started("f", id(), None, input.clone()));
    export.append(Event::workflow_step_started("f:step:0", id(), None, input.clone()));
    export.append(Event::agent_started("a", id(), None, input.clone()));
    export.append(Event::llm_started("a:llm:0", id(), None, input.clone()));
    export.append(Event::llm_completed("a:llm:0", id(), None, output.clone()));
    export.append(Event::tool_started("t:0", id(), None, input));
    export.append(Event::tool_completed("t:0", id(), None, output.clone()));
    export.append(Event::agent_completed("a", id(), None, output.clone()));
    export.append(Event::workflow_step_completed("f:step:0", id(), None, output.clone()));
    export.append(Event::workflow_completed("f", id(), None, output));
    assert_eq!(export.spans().len(), 5, "B41");
    for span in export.spans() {
        assert_eq!(text(&span, "agent_runtime.content.truncated").as_deref(), Some("true"), "B41: {}", span.name);
    }
    assert_no_key_twice(&export);
}

/// C12.5: without content only the measures of the crate leave, under whatever name the application reports a number.
#[test]
fn the_applications_numbers_are_content() {
    let rows =
        [(ContentCapture::NoContent, false), (ContentCapture::EventOnly, false), (ContentCapture::SpanOnly, true)];
    for (capture, leaves) in rows {
        let export = Export::with(ContentPolicy::default().with_capture(capture));
        let data = json!({"progress": 7, "birthday": 19_700_101, "is_ill": true, "answer": 42, "account": 4_711});
        export.append(Event::tool_started("t", None, None, json!({})));
        export.append(Event::tool_progress("t", None, None, None, data));
        export.append(Event::tool_completed("t", None, None, json!({})));
        let span = export.span("execute_tool t");
        let names: Vec<_> = span.events[0].attributes.iter().map(|attribute| attribute.key.as_str()).collect();
        assert!(names.contains(&"agent_runtime.data.progress"), "{names:?}");
        for field in ["birthday", "is_ill", "answer", "account"] {
            let name = format!("agent_runtime.data.{field}");
            assert_eq!(names.contains(&name.as_str()), leaves, "{capture:?} {name}: {names:?}");
        }
    }
}
