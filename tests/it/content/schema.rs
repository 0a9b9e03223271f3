//! The conventions' schema for content, as rules: one row a rule, checked on what many producers' events become.

use agent_runtime::{otel::ContentCapture, prelude::*};

use super::{Export, content_events, json_of, text};

struct Rule {
    says: &'static str,
    /// Where it holds, as a path in which `*` is every element.
    of: &'static str,
    holds: fn(&JsonValue) -> bool,
}

fn is_text(value: &JsonValue, field: &str) -> bool {
    value[field].is_string()
}

/// Whether the fields of a part are what its type requires.
fn has_required_fields(part: &JsonValue) -> bool {
    match part["type"].as_str().unwrap_or_default() {
        "text" | "reasoning" => is_text(part, "content"),
        "tool_call" => is_text(part, "name"),
        "tool_call_response" => part.get("response").is_some(),
        "blob" => is_text(part, "modality") && is_text(part, "content"),
        "file" => is_text(part, "modality") && is_text(part, "file_id"),
        "uri" => is_text(part, "modality") && is_text(part, "uri"),
        _ => true,
    }
}

const MESSAGES: [Rule; 7] = [
    Rule { says: "messages are a list", of: "", holds: JsonValue::is_array },
    Rule { says: "a message has a role", of: "*", holds: |message| is_text(message, "role") },
    Rule { says: "a message has a list of parts", of: "*", holds: |message| message["parts"].is_array() },
    Rule { says: "a name is text", of: "*", holds: |message| message.get("name").is_none_or(JsonValue::is_string) },
    Rule { says: "a part has a type", of: "*/parts/*", holds: |part| is_text(part, "type") },
    Rule { says: "a part has what its type requires", of: "*/parts/*", holds: has_required_fields },
    Rule {
        says: "an id of a call is text that is not empty",
        of: "*/parts/*",
        holds: |part| part.get("id").is_none_or(|id| id.as_str().is_some_and(|id| !id.is_empty())),
    },
];

const OUTPUT: [Rule; 3] = [
    Rule { says: "there is one message", of: "", holds: |list| list.as_array().is_some_and(|list| list.len() == 1) },
    Rule { says: "it is the assistant's", of: "*", holds: |message| message["role"] == "assistant" },
    Rule { says: "it has a finish reason", of: "*", holds: |message| is_text(message, "finish_reason") },
];

const DEFINITIONS: [Rule; 3] = [
    Rule { says: "definitions are a list", of: "", holds: JsonValue::is_array },
    Rule { says: "a tool is a function", of: "*", holds: |tool| tool["type"] == "function" },
    Rule { says: "a tool has a name", of: "*", holds: |tool| is_text(tool, "name") },
];

const OBJECT: [Rule; 1] = [Rule { says: "it is an object", of: "", holds: JsonValue::is_object }];

fn check(rules: &[Rule], value: &JsonValue) {
    for Rule { says, of, holds } in rules {
        let mut found = vec![value];
        for step in of.split('/').filter(|step| !step.is_empty()) {
            found = match step {
                "*" => found.into_iter().flat_map(|value| value.as_array().into_iter().flatten()).collect(),
                field => found.into_iter().filter_map(|value| value.get(field)).collect(),
            };
        }
        for value in found {
            assert!(holds(value), "{says}: {value}");
        }
    }
}

/// Checks every attribute with content of every span.
pub(super) fn check_all(export: &Export) {
    let mut checked = 0;
    for span in export.spans() {
        for (name, rules) in [
            ("gen_ai.input.messages", &[&MESSAGES[..]][..]),
            ("gen_ai.output.messages", &[&MESSAGES[..], &OUTPUT[..]]),
            ("gen_ai.tool.definitions", &[&DEFINITIONS[..]]),
            ("gen_ai.tool.call.arguments", &[&OBJECT[..]]),
            ("gen_ai.tool.call.result", &[&OBJECT[..]]),
        ] {
            if text(&span, name).is_some() {
                let value = json_of(&span, name);
                rules.iter().for_each(|rules| check(rules, &value));
                checked += 1;
            }
        }
    }
    assert!(checked > 0, "no content was exported");
}

#[test]
fn content_of_our_own_events_follows_the_schema() {
    let export = Export::capturing(ContentCapture::SpanOnly);
    content_events().into_iter().for_each(|event| drop(export.append(event)));
    check_all(&export);
}

#[test]
fn content_of_any_producer_follows_the_schema() {
    let started = [
        json!({"messages": 3}),
        json!({"messages": [], "tools": []}),
        json!({"messages": [null, 1, "bare", [], {}, {"role": 1, "content": 2}]}),
        json!({"messages": [{"role": "", "parts": "no"}, {"role": "tool"}, {"role": "tool", "tool_call_id": 7}]}),
        json!({"messages": [{"role": "assistant", "tool_calls": [null, {}, {"id": 3, "function": "f"}, {"name": "f"}]}]}),
        json!({"messages": [{"role": "user", "name": 5, "content": [
            {"type": "text"}, {"type": "text", "text": 1}, {"type": "blob"}, {"type": "image_url", "image_url": 5},
            {"type": "input_audio"}, {"type": "file", "file": {}}, {"type": "uri"}, {"type": 5}, {"type": "own", "x": 1},
            {"type": "thinking", "thinking": [1]}, {"type": "refusal", "refusal": "no"}, {"type": "tool_call"}, null,
        ]}]}),
        json!({"tools": ["f", null, {"name": "f"}, {"function": {"name": "g"}}, {"function": 3}]}),
        json!({"tools": 4}),
    ];
    let completed = [
        json!({"response": "x", "tool_calls": [null, {"id": 5}, {"function": {"name": 7, "arguments": "{"}}]}),
        json!({"response": 5, "finish_reason": 7}),
        json!({"response": "x", "finish_reason": "a whole sentence in place of a reason"}),
        json!({"tool_calls": [{"id": "", "name": "f", "arguments": null}]}),
        json!({"response": ""}),
        json!({}),
        json!(null),
        json!([1]),
    ];
    let values = [json!(null), json!(1), json!("x"), json!("{\"a\": [1]}"), json!("{"), json!([1]), json!({"a": 1})];
    let export = Export::capturing(ContentCapture::SpanOnly);
    for (started, completed) in started.iter().zip(&completed) {
        export.append(Event::llm_started("a:llm:0", None, None, started.clone()));
        export.append(Event::llm_completed("a:llm:0", None, None, completed.clone()));
    }
    for value in values {
        export.append(Event::agent_started("a", None, None, json!({"input": value})));
        export.append(Event::tool_started("t:0", None, None, json!({"arguments": value})));
        export.append(Event::tool_completed("t:0", None, None, json!({"result": value})));
        export.append(Event::agent_completed("a", None, None, json!({"output": value})));
    }
    check_all(&export);
}
