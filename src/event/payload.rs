//! The fields of `data` that this crate defines: how they are written and how they are read back.
//!
//! Each struct is what the runtime says at one stage of one scope; into [`EventData`] it goes by `From`. Each reader
//! is a method of [`EventData`] and gives `None` where the field is absent or of another type, since events also come
//! from other producers. The names are the guide's; no other file writes or reads them by hand.

use std::time::Duration;

use serde::{
    Deserialize, Serialize,
    de::{self, value::StrDeserializer},
};
use serde_json::{Map, Value as JsonValue};

use super::{
    EventData, TraceContext,
    data::Payload,
    field,
    field_value::{Field, FieldValue, heap_of, object_bytes},
};

/// A workflow begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkflowStarted {
    /// What the workflow was given.
    pub input: JsonValue,
    /// Other traces that this run has to do with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<TraceContext>,
}

/// A workflow ended well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkflowCompleted {
    /// What the last step gave.
    pub output: JsonValue,
    /// From start to end, in milliseconds.
    pub duration_ms: u64,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum StepType {
    /// Runs an agent.
    Agent,
    /// Calls a function.
    Transform,
    /// Chooses between steps.
    Conditional,
    /// Runs a workflow.
    Subworkflow,
    /// Does what a type of the user's does.
    Custom,
}

impl StepType {
    /// The type's name in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Transform => "transform",
            Self::Conditional => "conditional",
            Self::Subworkflow => "subworkflow",
            Self::Custom => "custom",
        }
    }
}

/// A step begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepStarted {
    /// The step's name.
    pub step_name: String,
    /// What it does.
    pub step_type: StepType,
    /// What it was given.
    pub input: JsonValue,
}

/// A step ended well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepCompleted {
    /// The step's name.
    pub step_name: String,
    /// What it gave.
    pub output: JsonValue,
    /// From start to end, in milliseconds.
    pub duration_ms: u64,
}

/// An agent begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentStarted {
    /// What the agent was given.
    pub input: JsonValue,
    /// The model that it asks, where it is always the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What the agent is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// An agent goes into another round with its model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentProgress {
    /// The round, from 1.
    pub iteration: u32,
    /// The most rounds that it may take.
    pub max_iterations: u32,
}

/// An agent ended well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentCompleted {
    /// Its answer.
    pub output: JsonValue,
    /// How many rounds it took.
    pub iterations: u32,
    /// How many requests it made to its model.
    pub llm_calls: u32,
    /// How many tools it ran.
    pub tool_calls: u32,
    /// The tokens of all its requests, of those that told their usage.
    pub total_tokens: u64,
    /// Why the model stopped at its answer, in the provider's word: `length` where a limit of tokens cut the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// From start to end, in milliseconds.
    pub duration_ms: u64,
}

/// A request goes out to a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LlmStarted {
    /// The chat history as sent, a list of `{"role", "content", …}`.
    pub messages: JsonValue,
    /// The model asked for.
    pub model: String,
    /// Whether the answer comes in pieces.
    pub stream: bool,
    /// Who answers, in the words of `gen_ai.provider.name`.
    pub provider: String,
    /// The host that answers, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_address: Option<String>,
    /// The port on that host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_port: Option<u16>,
    /// The sampling temperature, if one was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling, if it was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// The most tokens to generate, if it was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// The tools that the model may call, as sent: a list of `{"type": "function", "function": {"name", …}}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<JsonValue>,
}

/// A model's answer is complete.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LlmCompleted {
    /// The text.
    pub response: String,
    /// What it cost, if the provider said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Why the model stopped, in the provider's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// The tools that the model wants run.
    pub tool_calls: Vec<ToolCall>,
    /// The provider's id for the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
    /// The model that answered, as the provider names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_model: Option<String>,
    /// How many pieces the answer came in.
    pub chunk_count: u64,
    /// From the request to the first piece, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_to_first_chunk_ms: Option<u64>,
    /// From the request to the end of the answer, in milliseconds.
    pub duration_ms: u64,
}

/// The tokens of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the request, cached ones included.
    #[serde(default)]
    pub prompt_tokens: u64,
    /// Tokens of the answer, reasoning included.
    #[serde(default)]
    pub completion_tokens: u64,
    /// Both together.
    #[serde(default)]
    pub total_tokens: u64,
    /// Those of the request that came from the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Those of the request that were put into the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
    /// Those of the answer that were spent on reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
}

/// A model's wish to have a tool run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolCall {
    /// The provider's id for the call.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments as the model wrote them: JSON text, if the model did well.
    pub arguments: String,
    /// Fields beside these, by name, that the provider wants back with the call: opaque.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, JsonValue>,
}

impl ToolCall {
    /// Makes a call with the provider's id for it, the tool's name and the JSON text of the arguments.
    #[must_use]
    pub fn new(id: impl Into<String>, name: impl Into<String>, arguments: impl Into<String>) -> Self {
        Self { id: id.into(), name: name.into(), arguments: arguments.into(), extra: Map::new() }
    }
}

/// A tool begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolStarted {
    /// The tool's name.
    pub tool_name: String,
    /// Its arguments; a string where the model did not write JSON.
    pub arguments: JsonValue,
    /// The provider's id for the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// The agent that runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// What the tool does, as told to the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A tool reports how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolProgress {
    /// The tool's name.
    pub tool_name: String,
    /// How far, in the tool's own measure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<u64>,
}

/// A tool ended well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCompleted {
    /// The tool's name.
    pub tool_name: String,
    /// What it gave.
    pub result: JsonValue,
    /// From start to end, in milliseconds.
    pub duration_ms: u64,
}

/// A component failed or was canceled; the sentence for people is the event's `message`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// What failed, as one of few fixed words: `timeout`, `rate_limit_exceeded`, `panic`, ….
    pub error_code: String,
    /// From start to end, in milliseconds.
    pub duration_ms: u64,
    /// What else is known.
    #[serde(flatten)]
    pub details: FailureDetails,
}

/// What is known of a failure besides its code; which of it depends on the scope.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FailureDetails {
    /// The step's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_name: Option<String>,
    /// The tool's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_name: Option<String>,
    /// How often the agent had asked its model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iterations: Option<u32>,
    /// The limit that was hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_allowed: Option<u32>,
    /// When the provider takes another request, in seconds, rounded up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The same exactly, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The text up to the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
    /// How many pieces it came in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk_count: Option<u64>,
    /// From the request to the first piece, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_to_first_chunk_ms: Option<u64>,
    /// What the request cost, if the provider said so before the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The provider's id for the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
    /// The model that answered, as the provider names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_model: Option<String>,
}

macro_rules! payloads {
    ($($payload:ident { $($field:ident)* })*) => {$(
        impl Payload for $payload {
            const FIELDS: usize = [$(stringify!($field)),*].len();

            fn field(&self, name: &str) -> Option<FieldValue<'_>> {
                match name {
                    $(stringify!($field) => self.$field.value(),)*
                    _ => None,
                }
            }

            fn heap(&self) -> usize {
                0 $(+ self.$field.heap())*
            }
        }
    )*};
}

payloads! {
    WorkflowStarted { input links }
    WorkflowCompleted { output duration_ms }
    StepStarted { step_name step_type input }
    StepCompleted { step_name output duration_ms }
    AgentStarted { input model description }
    AgentProgress { iteration max_iterations }
    AgentCompleted { output iterations llm_calls tool_calls total_tokens finish_reason duration_ms }
    LlmStarted { messages model stream provider server_address server_port temperature top_p max_tokens tools }
    LlmCompleted {
        response usage finish_reason tool_calls response_id response_model chunk_count time_to_first_chunk_ms
        duration_ms
    }
    ToolStarted { tool_name arguments tool_call_id agent description }
    ToolProgress { tool_name progress }
    ToolCompleted { tool_name result duration_ms }
    FailureDetails {
        step_name tool_name iterations max_allowed retry_after retry_after_ms response chunk_count
        time_to_first_chunk_ms usage response_id response_model
    }
}

impl Payload for Failure {
    const FIELDS: usize = 2 + FailureDetails::FIELDS;

    fn field(&self, name: &str) -> Option<FieldValue<'_>> {
        match name {
            field::ERROR_CODE => self.error_code.value(),
            field::DURATION_MS => self.duration_ms.value(),
            _ => self.details.field(name),
        }
    }

    fn heap(&self) -> usize {
        self.error_code.heap() + self.details.heap()
    }
}

impl Field for Vec<ToolCall> {
    fn value(&self) -> Option<FieldValue<'_>> {
        Some(FieldValue::AsJson)
    }

    fn heap(&self) -> usize {
        let extra =
            |call: &ToolCall| call.extra.iter().map(|(name, value)| name.heap() + heap_of(value)).sum::<usize>();
        let heap = |call: &ToolCall| call.id.heap() + call.name.heap() + call.arguments.heap() + extra(call);
        let bytes = |call: &ToolCall| size_of::<ToolCall>() + object_bytes(4 + call.extra.len()) + heap(call);
        self.iter().map(bytes).sum()
    }
}

impl Field for StepType {
    fn value(&self) -> Option<FieldValue<'_>> {
        Some(FieldValue::Text(self.as_str()))
    }
}

impl Field for Usage {
    fn value(&self) -> Option<FieldValue<'_>> {
        Some(FieldValue::AsJson)
    }

    fn heap(&self) -> usize {
        object_bytes(6)
    }
}

macro_rules! into_event_data {
    ($($payload:ident)*) => {$(
        impl From<$payload> for EventData {
            fn from(payload: $payload) -> Self {
                Self::typed(payload)
            }
        }
    )*};
}

into_event_data! {
    WorkflowStarted WorkflowCompleted StepStarted StepCompleted AgentStarted AgentProgress AgentCompleted
    LlmStarted LlmCompleted ToolStarted ToolProgress ToolCompleted Failure
}

impl EventData {
    /// The data with the user's conversation id in it.
    pub(crate) fn in_conversation(self, id: &str) -> Self {
        let mut value = JsonValue::from(self);
        if let Some(fields) = value.as_object_mut() {
            fields.insert(field::CONVERSATION_ID.to_owned(), id.into());
        }
        value.into()
    }
}

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
    /// The fixed word for what failed.
    error_code: &str = ERROR_CODE, FieldValue::text;
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
    /// What a workflow, step or agent gave.
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
    /// What a tool gave.
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
    /// The tokens of a request; an empty object gives `None`.
    usage: Usage = USAGE, |value| {
        let usage = value.json()?.as_object().filter(|usage| !usage.is_empty())?;
        Usage::deserialize(usage).ok()
    };
    /// Tokens of a request, if it was told how many; [`usage`](Self::usage) has 0 for what was not.
    input_tokens: u64 = USAGE, |usage| usage.json()?.get(field::PROMPT_TOKENS)?.as_u64();
    /// Tokens of an answer, if it was told how many.
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
    use serde_json::json;

    use super::*;

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
            WorkflowStarted { input: json!({ "a": [1] }), links: Vec::new() }.into(),
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
