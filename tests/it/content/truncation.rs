//! Content of any size and form is cut to valid JSON of the same schema, within the limit.

use agent_runtime::{
    otel::{ContentCapture, ContentPolicy, DEFAULT_MAX_CONTENT_BYTES, MIN_CONTENT_BYTES},
    prelude::*,
};

use super::{Export, as_json, json_of, log_attribute, schema::check_all, text};

const MARKER: &str = "… [truncated]";

const CONTENT: [&str; 6] = [
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.tool.definitions",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "agent_runtime.step.input",
];

fn limited(bytes: usize) -> Export {
    Export::with(ContentPolicy::default().with_capture(ContentCapture::SpanAndEvent).with_max_bytes(bytes))
}

/// Lists and objects in each other; `json!` would copy the inside of each.
fn nested(depth: usize, innermost: JsonValue) -> JsonValue {
    (0..depth).fold(innermost, |inner, level| match level % 2 {
        0 => JsonValue::from(vec![inner]),
        _ => JsonValue::Object([("in".to_owned(), inner)].into_iter().collect()),
    })
}

/// Values that are hard to cut, all of about the given size.
fn awkward(size: usize) -> Vec<(&'static str, JsonValue)> {
    let many = |count: usize, value: JsonValue| JsonValue::Array(vec![value; count]);
    let fields = |count: usize| JsonValue::Object((0..count).map(|n| (format!("field {n}"), json!(n))).collect());
    vec![
        ("letters", json!("x".repeat(size))),
        ("two bytes each", json!("é".repeat(size / 2))),
        ("four bytes each", json!("🐎".repeat(size / 4))),
        ("joined characters", json!("👩‍🚀".repeat(size / 11))),
        ("escapes of two bytes", json!("\"\\\n".repeat(size / 6))),
        ("escapes of six bytes", json!("\u{1}\u{1f}".repeat(size / 12))),
        ("words", json!("word ".repeat(size / 5))),
        ("many numbers", many(size / 8, json!(1_234_567))),
        ("many short texts", many(size / 8, json!("short"))),
        ("many empty lists", many(size / 3, json!([]))),
        ("many fields", fields(size / 16)),
        ("long names", json!({"n".repeat(size / 2): 1, "m".repeat(size / 2): {"k".repeat(size): "v"}})),
        ("deep", nested(60, json!("y".repeat(size)))),
        ("too deep", nested(1_000, json!(1))),
        ("wide and deep", nested(20, many(size / 32, nested(20, json!("z".repeat(10)))))),
        ("one long among short", json!({"a": "short", "b": "x".repeat(size), "c": [1, 2, 3]})),
    ]
}

#[test]
fn whatever_is_cut_is_valid_and_within_the_limit_and_says_so() {
    for limit in [MIN_CONTENT_BYTES, MIN_CONTENT_BYTES + 1, 1_000, 2_048] {
        for size in [limit - 60, limit, limit + 1, limit * 8] {
            for (name, value) in awkward(size) {
                check(limit, &format!("{name}, {size} bytes, limit {limit}"), &value);
            }
        }
    }
}

fn check(limit: usize, what: &str, value: &JsonValue) {
    let export = limited(limit);
    let history = |value: &JsonValue| {
        json!([
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": value},
            {"role": "assistant", "tool_calls": [{"name": "f", "arguments": value}]},
            {"role": "tool", "tool_call_id": "c", "content": value.to_string()},
        ])
    };
    let tools = json!([{"name": "f", "description": value.to_string(), "parameters": value}]);
    export.append(Event::workflow_step_started("w:step:0", None, None, json!({"input": value})));
    export.append(Event::workflow_step_completed("w:step:0", None, None, json!({"output": value})));
    let data = json!({"messages": history(value), "tools": tools});
    export.append(Event::llm_started("a:llm:0", None, None, data));
    export.append(Event::llm_completed("a:llm:0", None, None, json!({"response": value.to_string()})));
    export.append(Event::tool_started("t:0", None, None, json!({"arguments": value})));
    export.append(Event::tool_completed("t:0", None, None, json!({"result": value})));
    check_all(&export);
    for span in export.spans() {
        let mut has_marker = false;
        for name in CONTENT {
            let Some(text) = text(&span, name) else { continue };
            assert!(text.len() <= limit, "{what}: {name} has {} bytes", text.len());
            has_marker |= text.contains(MARKER);
            json_of(&span, name);
        }
        let is_truncated = text(&span, "agent_runtime.content.truncated").is_some();
        // A step's output is the one that the list leaves out.
        assert!(is_truncated || !has_marker, "{what}: the marker without the attribute");
        let offsets = ["agent_runtime.content.input_offset", "agent_runtime.content.output_offset"];
        assert_eq!(is_truncated, offsets.iter().any(|name| text(&span, name).is_some()), "{what}");
        if is_truncated && !span.name.starts_with("workflow_step") {
            assert!(has_marker, "{what}: cut without a marker");
        }
    }
}

#[test]
fn what_fits_is_left_alone() {
    let value = json!({"text": "x".repeat(DEFAULT_MAX_CONTENT_BYTES - 11)});
    assert_eq!(value.to_string().len(), DEFAULT_MAX_CONTENT_BYTES);
    let export = limited(DEFAULT_MAX_CONTENT_BYTES);
    export.append(Event::tool_started("t:0", None, None, json!({"arguments": value})));
    export.append(Event::tool_completed("t:0", None, None, json!({"result": 1})));
    let span = export.span("execute_tool");
    assert_eq!(json_of(&span, "gen_ai.tool.call.arguments"), value);
    assert_eq!(text(&span, "agent_runtime.content.truncated"), None);
}

#[test]
fn the_longest_texts_are_cut_and_the_others_stay_whole() {
    let export = limited(1_000);
    let messages = json!([
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "x".repeat(5_000)},
        {"role": "user", "content": "and then?"},
        {"role": "user", "content": "y".repeat(400)},
    ]);
    export.append(Event::llm_started("a:llm:0", None, None, json!({"messages": messages})));
    export.append(Event::llm_completed("a:llm:0", None, None, json!({"response": "short"})));
    let span = export.span("chat");
    let cut = json_of(&span, "gen_ai.input.messages");
    let content = |index: usize| cut[index]["parts"][0]["content"].as_str().unwrap();
    assert_eq!((content(0), content(2)), ("be brief", "and then?"));
    assert!(content(1).starts_with("xxx") && content(1).ends_with(MARKER));
    assert_eq!(content(1).len(), content(3).len(), "the long ones share the room");
    let length = text(&span, "gen_ai.input.messages").unwrap().len();
    assert!((900..=1_000).contains(&length), "the room is used: {length}");
}

#[test]
fn a_long_history_keeps_its_instructions_and_its_latest_messages() {
    let export = limited(4_096);
    let messages: Vec<_> = (0..2_000).map(|n| json!({"role": "user", "content": format!("message {n}")})).collect();
    export.append(Event::llm_started("a:llm:0", None, None, json!({"messages": messages})));
    export.append(Event::llm_completed("a:llm:0", None, None, json!({"response": "short"})));
    let cut = json_of(&export.span("chat"), "gen_ai.input.messages").to_string();
    assert!(cut.contains("message 0\"") && cut.contains("message 1999\"") && cut.contains(MARKER), "{cut}");
}

#[tokio::test]
async fn the_offset_leads_to_the_whole() {
    let export = limited(MIN_CONTENT_BYTES);
    let whole = "x".repeat(10_000);
    export.append(Event::system_progress("system:warm_up", None, None, None, json!({})));
    export.append(Event::llm_started("a:llm:0", None, None, json!({"messages": [{"role": "user", "content": whole}]})));
    export.append(Event::llm_completed("a:llm:0", None, None, json!({"response": format!("re: {whole}")})));
    let span = export.span("chat");
    let event_at = async |name: &str| {
        let offset: u64 = text(&span, name).and_then(|offset| offset.parse().ok()).expect(name);
        export.stream.get_events(offset).await.remove(0)
    };
    let asked = event_at("agent_runtime.content.input_offset").await;
    assert_eq!(asked.data["messages"][0]["content"], whole);
    let answered = event_at("agent_runtime.content.output_offset").await;
    assert_eq!(answered.data["response"], format!("re: {whole}"));

    let log = &export.logs()[0];
    let attribute = |name: &str| log_attribute(log, name).map(|value| as_json(&value));
    assert_eq!(attribute("agent_runtime.content.truncated"), Some(json!(true)));
    assert_eq!(attribute("agent_runtime.content.input_offset"), Some(json!(1)));
    assert_eq!(attribute("agent_runtime.content.output_offset"), Some(json!(2)));
    assert!(attribute("gen_ai.output.messages").unwrap().to_string().len() <= MIN_CONTENT_BYTES);
}

#[test]
fn pieces_of_an_endless_answer_take_bounded_memory_and_are_cut() {
    let export = limited(MIN_CONTENT_BYTES);
    export.append(Event::llm_started("a:llm:0", None, None, json!({})));
    for _ in 0..10_000 {
        export.append(Event::llm_progress("a:llm:0", None, None, None, EventData::chunk("pieces and ")));
    }
    export.append(Event::llm_canceled("a:llm:0", None, None, None, json!({})));
    let output = text(&export.span("chat"), "gen_ai.output.messages").unwrap();
    assert!(output.len() <= MIN_CONTENT_BYTES && output.contains(MARKER), "{output}");
}

#[test]
fn messages_that_are_no_content_are_cut_too() {
    let export = Export::capturing(ContentCapture::NoContent);
    let long = "bad ".repeat(100_000);
    export.append(Event::tool_started("t:0", None, None, json!({"description": long})));
    export.append(Event::tool_progress("t:0", Some(long.clone()), None, None, json!({})));
    export.append(Event::tool_failed("t:0", long.clone(), None, None, json!({})));
    let exported = export.exported();
    assert!(exported.len() < 4 * agent_runtime::otel::MAX_TEXT_BYTES + 10_000, "{} bytes", exported.len());
    // The failure is the status of the span and the event that readers look for.
    assert_eq!(exported.matches(MARKER).count(), 4);
}
