//! The payloads by name: which fields each has, and what comes back when JSON goes through it.

use std::{
    cell::Cell,
    collections::BTreeSet,
    fmt::{self, Display},
};

use agent_runtime::{
    event::{
        AgentCompleted, AgentProgress, AgentStarted, Failure, FailureDetails, LlmCompleted, LlmStarted, Merged,
        StepCompleted, StepStarted, ToolCall, ToolCompleted, ToolProgress, ToolStarted, TraceContext, Usage,
        WorkflowCompleted, WorkflowStarted,
    },
    prelude::*,
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, Visitor},
    forward_to_deserialize_any,
};

/// The objects inside payloads.
pub(super) const OBJECTS: [&str; 4] = ["Usage", "ToolCall", "TraceContext", "Merged"];

/// What is known of a payload's type.
pub(super) struct Payload {
    /// The names of its fields.
    pub(super) fields: BTreeSet<&'static str>,
    /// Reads it from JSON and writes it again.
    pub(super) round_trip: fn(JsonValue) -> Result<JsonValue, serde_json::Error>,
}

/// The payload of a name.
#[track_caller]
pub(super) fn payload(name: &str) -> Payload {
    macro_rules! by_name {
        ($($payload:ident)*; $($object:ident)*) => {
            match name {
                $(stringify!($payload) => {
                    Payload { fields: fields_of::<$payload>(), round_trip: through_data::<$payload> }
                })*
                $(stringify!($object) => {
                    Payload { fields: fields_of::<$object>(), round_trip: through::<$object> }
                })*
                "Failure" => {
                    let fields = fields_of::<FailureDetails>().into_iter().chain(["error_code", "duration_ms"]);
                    Payload { fields: fields.collect(), round_trip: through_data::<Failure> }
                }
                _ => panic!("there is no payload {name}"),
            }
        };
    }
    by_name! {
        WorkflowStarted WorkflowCompleted StepStarted StepCompleted AgentStarted AgentProgress AgentCompleted
        LlmStarted LlmCompleted ToolStarted ToolProgress ToolCompleted;
        Usage ToolCall TraceContext Merged
    }
}

fn through_data<P: for<'de> Deserialize<'de> + Into<EventData>>(
    json: JsonValue,
) -> Result<JsonValue, serde_json::Error> {
    Ok(JsonValue::from(serde_json::from_value::<P>(json)?.into()))
}

fn through<P: for<'de> Deserialize<'de> + Serialize>(json: JsonValue) -> Result<JsonValue, serde_json::Error> {
    serde_json::to_value(serde_json::from_value::<P>(json)?)
}

/// The fields that a type's derived `Deserialize` asks for.
pub(super) fn fields_of<'de, T: Deserialize<'de>>() -> BTreeSet<&'static str> {
    let asked = Cell::new(None);
    assert!(T::deserialize(Asked(&asked)).is_err(), "nothing is handed out");
    asked.get().expect("a struct asks for its fields").iter().copied().collect()
}

/// Notes the fields that are asked for and hands out nothing.
struct Asked<'a>(&'a Cell<Option<&'static [&'static str]>>);

#[derive(Debug)]
struct Nothing;

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = Nothing;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Nothing> {
        Err(Nothing)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Nothing> {
        self.0.set(Some(fields));
        Err(Nothing)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl Display for Nothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing to deserialize")
    }
}

impl std::error::Error for Nothing {}

impl de::Error for Nothing {
    fn custom<T: Display>(_message: T) -> Self {
        Self
    }
}
