//! An event as JSON: stable names, what may be missing, and errors that say what and where.

use agent_runtime::{
    event::{SpanId, TraceContext, TraceId},
    prelude::*,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::stream::support::{all_kinds, chain, chunk, event_of};

/// An event with every field set, as it must be written.
const FULL: &str = concat!(
    r#"{"event_id":"0198c0de-7aa0-7000-8000-00000000002a","offset":7,"scope":"llm_request","event_type":"failed","#,
    r#""component_id":"researcher:llm:2","status":"failed","message":"rate limit","#,
    r#""timestamp":"2026-02-16T08:09:10.123456789Z","workflow_id":"wf_1","parent_workflow_id":"wf_0","#,
    r#""trace":{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","#,
    r#""parent_span_id":"a2fb4a1d1a96d312","sampled":true},"#,
    r#""start_id":"0198c0de-7aa0-7000-8000-000000000029","#,
    r#""parent_start_id":"0198c0de-7aa0-7000-8000-000000000028","#,
    r#""data":{"error_code":"rate_limit_exceeded","retry_after":60}}"#,
);

/// The same with nothing that may be left out.
const BARE: &str = concat!(
    r#"{"event_id":"0198c0de-7aa0-7000-8000-00000000002a","scope":"workflow_step","event_type":"started","#,
    r#""component_id":"daily:step:0","status":"running","timestamp":"2026-02-16T08:09:10Z","data":null}"#,
);

fn full_event() -> Event {
    let error = "rate limit".to_owned();
    let data = json!({"error_code": "rate_limit_exceeded", "retry_after": 60});
    let mut event =
        Event::llm_failed("researcher:llm:2", error, Some("wf_1".to_owned()), Some("wf_0".to_owned()), data);
    event.event_id = "0198c0de-7aa0-7000-8000-00000000002a".parse().expect("well formed");
    event.timestamp = "2026-02-16T08:09:10.123456789Z".parse().expect("well formed");
    event.offset = Some(7);
    event.start_id = Some("0198c0de-7aa0-7000-8000-000000000029".parse().expect("well formed"));
    event.parent_start_id = Some("0198c0de-7aa0-7000-8000-000000000028".parse().expect("well formed"));
    let trace_id = TraceId::from_bytes(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes());
    let span = |id: u64| SpanId::from_bytes(id.to_be_bytes());
    let trace = TraceContext::new(trace_id, span(0x00f0_67aa_0ba9_02b7)).with_parent(span(0xa2fb_4a1d_1a96_d312));
    event.trace = Some(trace.with_sampled(true));
    event
}

fn round_trip(event: &Event) -> Event {
    let text = serde_json::to_string(event).expect("an event has a JSON form");
    Event::from_json(&text).unwrap_or_else(|error| panic!("{}: {text}", chain(&error)))
}

#[test]
fn the_written_form_is_stable() {
    assert_eq!(serde_json::to_string(&full_event()).unwrap(), FULL);
    assert_eq!(Event::from_json(FULL).unwrap(), full_event());

    let mut bare = Event::workflow_step_started("daily:step:0", None, None, JsonValue::Null);
    bare.event_id = full_event().event_id;
    bare.timestamp = "2026-02-16T08:09:10Z".parse().unwrap();
    assert_eq!(serde_json::to_string(&bare).unwrap(), BARE);
    assert_eq!(Event::from_json(BARE).unwrap(), bare);
}

#[test]
fn names_are_snake_case_in_json_and_in_text() {
    fn check<T: serde::Serialize + for<'a> serde::Deserialize<'a> + std::fmt::Display + std::fmt::Debug + PartialEq>(
        table: &[(T, &str)],
    ) {
        for (value, name) in table {
            assert_eq!(serde_json::to_value(value).unwrap(), *name);
            assert_eq!(serde_json::from_value::<T>(json!(name)).unwrap(), *value);
            assert_eq!(format!("{value:>13}"), format!("{name:>13}"), "{value:?} takes the width");
        }
    }
    check(&[
        (EventScope::Workflow, "workflow"),
        (EventScope::WorkflowStep, "workflow_step"),
        (EventScope::Agent, "agent"),
        (EventScope::LlmRequest, "llm_request"),
        (EventScope::Tool, "tool"),
        (EventScope::System, "system"),
    ]);
    check(&[
        (EventType::Started, "started"),
        (EventType::Progress, "progress"),
        (EventType::Completed, "completed"),
        (EventType::Failed, "failed"),
        (EventType::Canceled, "canceled"),
    ]);
    check(&[
        (ComponentStatus::Pending, "pending"),
        (ComponentStatus::Running, "running"),
        (ComponentStatus::Completed, "completed"),
        (ComponentStatus::Failed, "failed"),
        (ComponentStatus::Canceled, "canceled"),
    ]);
}

#[test]
fn every_scope_and_type_round_trips() {
    for (scope, event_type) in all_kinds() {
        let bare = event_of(scope, event_type);
        assert_eq!(round_trip(&bare), bare);
        let mut full = bare.in_workflow(Some("wf".to_owned()), Some("up".to_owned()));
        full.message = Some("so far".to_owned());
        full.trace = full_event().trace;
        full.data = json!({"list": [1, -2, 3.5, null, true, {"deep": "ü"}]}).into();
        assert_eq!(round_trip(&full), full);
        assert_eq!(serde_json::from_value::<Event>(serde_json::to_value(&full).unwrap()).unwrap(), full);
    }
}

#[test]
fn a_stored_event_round_trips_whole() {
    let stream = EventStream::new();
    for event in [chunk("writer:llm:0", "line\nnext \u{1f980}"), event_of(EventScope::Tool, EventType::Canceled)] {
        let stored = stream.append(event).unwrap();
        assert_eq!(round_trip(&stored), *stored, "offset and every digit of the time included");
    }
}

#[test]
fn random_events_round_trip() {
    let mut random = StdRng::seed_from_u64(0xe7e7);
    for round in 0..2_000 {
        let kinds: Vec<_> = all_kinds().collect();
        let (scope, event_type) = kinds[random.random_range(0..kinds.len())];
        let mut event = event_of(scope, event_type);
        event.message = random.random_bool(0.5).then(|| random_text(&mut random));
        event.workflow_id = random.random_bool(0.5).then(|| format!("wf_{}", random.random::<u64>()));
        event.start_id = random.random_bool(0.5).then(|| uuid::Uuid::from_u128(random.random()));
        event.parent_start_id = random.random_bool(0.5).then(|| uuid::Uuid::from_u128(random.random()));
        event.offset = random.random_bool(0.5).then(|| random.random());
        event.data = random_json(&mut random, 4).into();
        assert_eq!(round_trip(&event), event, "round {round}");
    }
}

fn random_text(random: &mut StdRng) -> String {
    let length = random.random_range(0..12);
    (0..length).map(|_| random.random::<char>()).collect()
}

fn random_json(random: &mut StdRng, depth: usize) -> JsonValue {
    match random.random_range(0..if depth == 0 { 5 } else { 7 }) {
        0 => JsonValue::Null,
        1 => json!(random.random::<bool>()),
        2 => json!(random.random::<i64>()),
        3 => json!(random.random::<u64>()),
        4 => json!(random_text(random)),
        5 => (0..random.random_range(0..4)).map(|_| random_json(random, depth - 1)).collect(),
        _ => (0..random.random_range(0..4)).map(|_| (random_text(random), random_json(random, depth - 1))).collect(),
    }
}

#[test]
fn fields_that_are_not_known_are_ignored_and_optional_ones_may_be_null() {
    let mut json: JsonValue = serde_json::from_str(BARE).unwrap();
    let known = Event::from_json(BARE).unwrap();
    json["severity"] = json!("high");
    json["nested"] = json!({"any": ["thing"]});
    for optional in ["offset", "message", "workflow_id", "parent_workflow_id", "trace", "start_id", "parent_start_id"] {
        json[optional] = JsonValue::Null;
    }
    assert_eq!(Event::from_json(&json.to_string()).unwrap(), known);
    json.as_object_mut().unwrap().remove("data");
    assert_eq!(Event::from_json(&json.to_string()).unwrap(), known, "absent data is null");
}

#[test]
fn each_missing_field_is_named_with_its_place() {
    for field in ["event_id", "scope", "event_type", "component_id", "status", "timestamp"] {
        let mut json: JsonValue = serde_json::from_str(FULL).unwrap();
        json.as_object_mut().unwrap().remove(field);
        let error = Event::from_json(&json.to_string()).expect_err(field);
        assert!(matches!(error, EventError::Json(_)), "{error:?}");
        let text = chain(&error);
        for part in ["not the JSON of an event", &format!("missing field `{field}`"), "line 1 column"] {
            assert!(text.contains(part), "{text:?} lacks {part:?}");
        }
    }
}

#[test]
fn malformed_json_is_an_error_that_says_where() {
    let full = |from: &str, to: &str| {
        assert!(FULL.contains(from), "{from}");
        FULL.replace(from, to)
    };
    let table = [
        (String::new(), vec!["EOF", "line 1 column 0"]),
        ("nonsense".to_owned(), vec!["expected ident", "line 1 column 2"]),
        ("[]".to_owned(), vec!["line 1"]),
        (FULL[..FULL.len() / 2].to_owned(), vec!["EOF", "line 1 column"]),
        (format!("{FULL} tail"), vec!["trailing characters", "line 1 column"]),
        (FULL.replace(",\"", ",\n\"").replace("\"scope\":", "\"scope\" "), vec!["expected `:`", "line 3 column"]),
        (full("0198c0de-", "0198"), vec!["UUID", "line 1 column"]),
        (full("llm_request", "LlmRequest"), vec!["unknown variant `LlmRequest`", "`llm_request`", "line 1 column"]),
        (full("\"failed\",\"component", "\"fail\",\"component"), vec!["unknown variant `fail`", "`failed`"]),
        (full("\"status\":\"failed\"", "\"status\":3"), vec!["line 1 column"]),
        (full("2026-02-16T", "16.2.2026 "), vec!["line 1 column"]),
        (full("\"offset\":7", "\"offset\":-7"), vec!["invalid value: integer `-7`", "u64", "line 1 column"]),
        (full("4bf92f", "4BF92F"), vec!["4BF92F3577b3", "32 hex digits in lower case", "line 1 column"]),
        (full("00f067aa", "00f067a"), vec!["00f067a0ba902b7", "16 hex digits in lower case"]),
        (full("a2fb4a1d", "a2fb4a1ü"), vec!["a2fb4a1ü", "16 hex digits"]),
        (full("60}", &"[".repeat(100_000)), vec!["recursion limit", "line 1 column"]),
    ];
    for (text, parts) in table {
        let shown: String = text.chars().take(400).collect();
        let error = Event::from_json(&text).expect_err(&shown);
        assert!(matches!(error, EventError::Json(_)), "{error:?}: {shown}");
        let message = chain(&error);
        for part in parts {
            assert!(message.contains(part), "{message:?} lacks {part:?} for {shown}");
        }
    }
}

#[test]
fn json_that_breaks_a_rule_gives_the_rule_and_not_a_syntax_error() {
    let bad_id = FULL.replace("researcher:llm:2", "researcher");
    let error = Event::from_json(&bad_id).expect_err("the id lacks its number");
    assert!(matches!(&error, EventError::ComponentId { scope: EventScope::LlmRequest, id, .. } if id == "researcher"));
    assert!(error.to_string().contains("`agent:llm:N`"), "{error}");

    let contradiction = FULL.replace("\"status\":\"failed\"", "\"status\":\"completed\"");
    let error = Event::from_json(&contradiction).expect_err("failed and completed");
    assert!(matches!(
        error,
        EventError::StatusMismatch { event_type: EventType::Failed, status: ComponentStatus::Completed, .. }
    ));
    assert!(error.to_string().contains("failed contradicts status completed"), "{error}");
}

#[test]
fn pending_is_a_status_that_other_producers_may_send() {
    let pending = BARE.replace("\"running\"", "\"pending\"");
    assert_eq!(Event::from_json(&pending).unwrap().status, ComponentStatus::Pending);
}

#[test]
fn span_ids_are_hex_both_ways() {
    let trace_id: TraceId = "4bf92f3577b34da6a3ce929d0e0e4736".parse().unwrap();
    assert_eq!(trace_id.to_bytes(), 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes());
    assert_eq!(format!("{trace_id} {trace_id:?}"), "4bf92f3577b34da6a3ce929d0e0e4736 4bf92f3577b34da6a3ce929d0e0e4736");
    let mut without_parent = full_event().trace.unwrap();
    without_parent.parent_span_id = None;
    let json = serde_json::to_value(without_parent).unwrap();
    assert_eq!(json.get("parent_span_id"), None);
    assert_eq!(serde_json::from_value::<TraceContext>(json).unwrap(), without_parent);
    let unsampled = json!({"trace_id": trace_id, "span_id": "00f067aa0ba902b7"});
    assert!(!serde_json::from_value::<TraceContext>(unsampled).unwrap().sampled);
}
