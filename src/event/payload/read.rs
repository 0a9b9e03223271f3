//! How the fields of `data` are read back: one method of [`EventData`] each.
//!
//! A reader returns `None` where the field is absent or of another type, since events also come from other producers.

use std::time::Duration;

use serde::{
    Deserialize,
    de::{self, value::StrDeserializer},
};
use serde_json::Value as JsonValue;

use super::{StepType, ToolCall, Usage};
use crate::event::{EventData, TraceContext, field, field_value::FieldValue};

macro_rules! readers {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $field:ident, $read:expr;)*) => {
        impl EventData {
            $($(#[$doc])* #[must_use] pub fn $name(&self) -> Option<$type> {
                self.field(field::$field).and_then($read)
            })*
        }
    };
}

readers! {
    /// The agent that runs the tool.
    agent: &str = AGENT, FieldValue::text;
    /// A tool's arguments.
    arguments: &JsonValue = ARGUMENTS, FieldValue::json;
    /// Which attempt at the run it is.
    attempt: u32 = ATTEMPT, |value| u32::try_from(value.number()?).ok();
    /// The conversation that the user put the run into.
    conversation_id: &str = CONVERSATION_ID, FieldValue::text;
    /// Other traces that a run has to do with.
    links: Vec<TraceContext> = LINKS, |value| Deserialize::deserialize(value.json()?).ok();
    /// How many pieces an answer came in.
    chunk_count: u64 = CHUNK_COUNT, FieldValue::number;
    /// What a tool does.
    description: &str = DESCRIPTION, FieldValue::text;
    /// How long the component took, by its own measure.
    duration: Duration = DURATION_MS, |value| value.number().map(Duration::from_millis);
    /// The error of a workflow that failed, with its sources.
    error: &str = ERROR, FieldValue::text;
    /// The fixed word for what failed.
    error_code: &str = ERROR_CODE, FieldValue::text;
    /// The failure without what a model, a provider or a library wrote, but for known words.
    error_summary: &str = ERROR_SUMMARY, FieldValue::text;
    /// Why the model stopped.
    finish_reason: &str = FINISH_REASON, FieldValue::text;
    /// What a workflow, step or agent was given.
    input: &JsonValue = INPUT, FieldValue::json;
    /// How many rounds an agent took.
    iterations: u64 = ITERATIONS, FieldValue::number;
    /// How many requests an agent made.
    llm_calls: u64 = LLM_CALLS, FieldValue::number;
    /// The most tokens that a model may generate.
    max_tokens: u64 = MAX_TOKENS, FieldValue::number;
    /// The chat history sent to a model.
    messages: &Vec<JsonValue> = MESSAGES, FieldValue::list;
    /// The model asked for.
    model: &str = MODEL, FieldValue::text;
    /// What a workflow, step or agent returned.
    output: &JsonValue = OUTPUT, FieldValue::json;
    /// Who answers a request.
    provider: &str = PROVIDER, FieldValue::text;
    /// A piece of a model's reasoning.
    reasoning_text: &str = REASONING, FieldValue::text;
    /// A model's whole answer.
    response: &str = RESPONSE, FieldValue::text;
    /// The provider's id for an answer.
    response_id: &str = RESPONSE_ID, FieldValue::text;
    /// The model that answered.
    response_model: &str = RESPONSE_MODEL, FieldValue::text;
    /// What a tool returned.
    result: &JsonValue = RESULT, FieldValue::json;
    /// The host that answers a request.
    server_address: &str = SERVER_ADDRESS, FieldValue::text;
    /// The port on that host.
    server_port: u16 = SERVER_PORT, |value| u16::try_from(value.number()?).ok();
    /// A step's name.
    step_name: &str = STEP_NAME, FieldValue::text;
    /// What a step does.
    step_type: StepType = STEP_TYPE, |value| StepType::deserialize(StrDeserializer::<de::value::Error>::new(value.text()?)).ok();
    /// Whether an answer comes in pieces.
    stream: bool = STREAM, FieldValue::flag;
    /// The tags of a run, or of an event that has some of its own; what is no text is passed over.
    tags: Vec<&str> = TAGS, |value| Some(value.list()?.iter().filter_map(JsonValue::as_str).collect());
    /// The sampling temperature.
    temperature: f64 = TEMPERATURE, FieldValue::real;
    /// From a request to the first piece of its answer.
    time_to_first_chunk: Duration = TIME_TO_FIRST_CHUNK_MS, |value| value.number().map(Duration::from_millis);
    /// How many tools an agent ran.
    tool_call_count: u64 = TOOL_CALLS, FieldValue::number;
    /// The tools that a model wants run.
    tool_calls: Vec<ToolCall> = TOOL_CALLS, |value| Deserialize::deserialize(value.json()?).ok();
    /// The same as any producer wrote them.
    tool_call_list: &Vec<JsonValue> = TOOL_CALLS, FieldValue::list;
    /// The provider's id for a tool call.
    tool_call_id: &str = TOOL_CALL_ID, FieldValue::text;
    /// A tool's name.
    tool_name: &str = TOOL_NAME, FieldValue::text;
    /// The tools that a model may call.
    tools: &Vec<JsonValue> = TOOLS, FieldValue::list;
    /// Nucleus sampling.
    top_p: f64 = TOP_P, FieldValue::real;
    /// The tokens of all of an agent's requests.
    total_tokens: u64 = TOTAL_TOKENS, FieldValue::number;
    /// The tokens of a request; an empty object is `None`.
    usage: Usage = USAGE, |value| {
        let usage = value.json()?.as_object().filter(|usage| !usage.is_empty())?;
        Usage::deserialize(usage).ok()
    };
    /// Tokens of a request, if their number is known; [`usage`](Self::usage) has 0 for what is not.
    input_tokens: u64 = USAGE, |usage| usage.json()?.get(field::PROMPT_TOKENS)?.as_u64();
    /// Tokens of an answer, if their number is known.
    output_tokens: u64 = USAGE, |usage| usage.json()?.get(field::COMPLETION_TOKENS)?.as_u64();
    /// Those of a request that came from the provider's cache.
    cached_tokens: u64 = USAGE, |usage| usage.json()?.get(field::CACHED_TOKENS)?.as_u64();
    /// Those of a request that were put into the provider's cache.
    cache_write_tokens: u64 = USAGE, |usage| usage.json()?.get(field::CACHE_WRITE_TOKENS)?.as_u64();
    /// Those of an answer that were spent on reasoning.
    reasoning_tokens: u64 = USAGE, |usage| usage.json()?.get(field::REASONING_TOKENS)?.as_u64();
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::event::{
        AgentCompleted, AgentProgress, AgentStarted, Failure, FailureDetails, LlmCompleted, LlmStarted, StepCompleted,
        StepStarted, ToolCompleted, ToolProgress, ToolStarted, WorkflowCompleted, WorkflowStarted,
    };

    #[test]
    fn readers_give_back_what_the_payloads_wrote() {
        let started = EventData::from(LlmStarted {
            messages: json!([{"role": "user", "content": "hi"}]),
            model: "m".to_owned(),
            stream: true,
            provider: "openai".to_owned(),
            server_address: Some("127.0.0.1".to_owned()),
            server_port: Some(8080),
            temperature: Some(0.5),
            top_p: None,
            max_tokens: Some(64),
            tools: vec![json!({"name": "add"})],
        });
        assert_eq!(started.messages().map(Vec::len), Some(1));
        assert_eq!((started.model(), started.provider()), (Some("m"), Some("openai")));
        assert_eq!((started.server_address(), started.server_port()), (Some("127.0.0.1"), Some(8080)));
        assert_eq!((started.stream(), started.temperature(), started.top_p()), (Some(true), Some(0.5), None));
        assert_eq!((started.max_tokens(), started.tools().map(Vec::len)), (Some(64), Some(1)));

        let usage = Usage { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7, ..Usage::default() };
        let call = ToolCall::new("c1", "add", "{}");
        let completed = EventData::from(LlmCompleted {
            response: "hello".to_owned(),
            usage: Some(usage),
            finish_reason: Some("stop".to_owned()),
            tool_calls: vec![call.clone()],
            response_id: Some("r1".to_owned()),
            response_model: Some("m-1".to_owned()),
            chunk_count: 2,
            time_to_first_chunk_ms: Some(5),
            duration_ms: 9,
        });
        assert_eq!(completed.usage(), Some(usage));
        assert_eq!(completed.tool_calls(), Some(vec![call]));
        assert_eq!((completed.response(), completed.finish_reason()), (Some("hello"), Some("stop")));
        assert_eq!(completed["usage"]["total_tokens"], 7);
        assert_eq!(completed.time_to_first_chunk(), Some(Duration::from_millis(5)));
        assert_eq!(completed.duration(), Some(Duration::from_millis(9)));
    }

    #[test]
    fn a_field_is_the_same_with_and_without_its_json() {
        let text = || "text".to_owned();
        let usage = || Some(Usage { prompt_tokens: 3, ..Usage::default() });
        let call =
            || ToolCall { extra: Map::from_iter([(text(), json!(text()))]), ..ToolCall::new(text(), text(), text()) };
        let details = FailureDetails {
            tool_name: Some(text()),
            iterations: Some(2),
            retry_after: Some(9),
            retry_after_ms: Some(9_000),
            usage: usage(),
            ..FailureDetails::default()
        };
        let asked = |tools| LlmStarted {
            messages: json!([{ "role": "user" }]),
            model: text(),
            stream: true,
            provider: text(),
            server_address: Some(text()),
            server_port: Some(443),
            temperature: Some(0.5),
            top_p: None,
            max_tokens: Some(7),
            tools,
        };
        let payloads: [EventData; 15] = [
            WorkflowStarted { input: json!({ "a": [1] }), links: Vec::new(), attempt: Some(2) }.into(),
            WorkflowCompleted { output: json!(null), duration_ms: 4 }.into(),
            StepStarted { step_name: text(), step_type: StepType::Subworkflow, input: json!(1.5) }.into(),
            StepCompleted { step_name: text(), output: json!(true), duration_ms: 4 }.into(),
            AgentStarted { input: json!("x"), model: None, description: Some(text()) }.into(),
            AgentProgress { iteration: 1, max_iterations: 2 }.into(),
            AgentCompleted {
                output: json!("x"),
                iterations: 1,
                llm_calls: 2,
                tool_calls: 3,
                finish_reason: Some(text()),
                total_tokens: 4,
                duration_ms: 5,
            }
            .into(),
            asked(Vec::new()).into(),
            asked(vec![json!({ "type": "function" })]).into(),
            LlmCompleted {
                response: text(),
                usage: usage(),
                finish_reason: None,
                tool_calls: vec![call()],
                response_id: None,
                response_model: Some(text()),
                chunk_count: 3,
                time_to_first_chunk_ms: None,
                duration_ms: 5,
            }
            .into(),
            ToolStarted {
                tool_name: text(),
                arguments: json!({}),
                tool_call_id: None,
                agent: Some(text()),
                description: None,
                unknown: Some(true),
            }
            .into(),
            ToolProgress { tool_name: text(), progress: Some(5) }.into(),
            ToolCompleted { tool_name: text(), result: json!([]), duration_ms: 1 }.into(),
            Failure { error_code: text(), duration_ms: 1, details }.into(),
            EventData::chunk("text"),
        ];
        let names = payloads.iter().filter_map(|data| data.as_object()).flat_map(|fields| fields.keys().cloned());
        let names: std::collections::BTreeSet<String> = names.chain(["links".to_owned()]).collect();
        for data in &payloads {
            for name in &names {
                let plain = match data.field(name) {
                    None => None,
                    Some(FieldValue::Text(text)) => Some(json!(text)),
                    Some(FieldValue::Number(number)) => Some(json!(number)),
                    Some(FieldValue::Flag(flag)) => Some(json!(flag)),
                    Some(FieldValue::Real(real)) => Some(json!(real)),
                    Some(FieldValue::List(list)) => Some(json!(list)),
                    Some(FieldValue::Json(value)) => Some(value.clone()),
                    Some(FieldValue::AsJson) => panic!("{name} was not looked up in the JSON"),
                };
                assert_eq!(plain.as_ref(), data.as_json().get(name), "{name} of {data}");
            }
        }
    }

    #[test]
    fn readers_bear_what_other_producers_write() {
        let data = EventData::from(json!({
            "messages": 3, "usage": {}, "server_port": 70000, "step_type": "parallel", "tool_calls": 2, "model": null,
        }));
        assert_eq!(data.messages(), None);
        assert_eq!(data.usage(), None);
        assert_eq!(data.server_port(), None);
        assert_eq!(data.step_type(), None);
        assert_eq!((data.tool_calls(), data.tool_call_count()), (None, Some(2)));
        assert_eq!(data.model(), None);
        assert_eq!(EventData::default().usage(), None);
        let partial = EventData::from(json!({"usage": {"prompt_tokens": 5, "cached_tokens": -1}}));
        assert_eq!((partial.input_tokens(), partial.output_tokens(), partial.cached_tokens()), (Some(5), None, None));
        assert_eq!(EventData::from(json!({"usage": {"prompt_tokens": 5}})).usage().map(|u| u.prompt_tokens), Some(5));
    }
}
