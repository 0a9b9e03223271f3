//! The contract: what happened, as data.
//!
//! An [`Event`] is scope × type × status with an id, a place, a time and JSON `data`. Its constructors set type and status
//! together; the fields of `data` that this crate defines are written and read by the payload types. This module is data and
//! nothing else: a stream ([`crate::stream`]) numbers events and carries them.
#![doc = include_str!("../../docs/events.md")]
//!
//! [`Batched`]: crate::stream::Batched
//! [`RunOptions::with_tag`]: crate::component::RunOptions::with_tag
//! [`Workflow::execute`]: crate::runtime::Workflow::execute

mod calendar;
mod component_id;
mod construct;
mod content;
mod data;
mod dimensions;
mod error;
mod field;
mod field_value;
mod filter;
pub(crate) mod ids;
mod merged;
mod model;
mod open_components;
mod payload;
mod size;
mod trace_context;

pub(crate) use calendar::date_time;
pub(crate) use component_id::{check, check_numbered, check_tag, name_of};
pub(crate) use construct::version_7;
pub use data::EventData;
pub(crate) use data::UNKNOWN_TOOL;
pub use dimensions::{ComponentStatus, EventScope, EventType};
pub use error::EventError;
#[cfg(feature = "otel")]
pub(crate) use field::is_measure;
pub use filter::EventFilter;
pub use merged::Merged;
pub use model::Event;
#[cfg(feature = "otel")]
pub(crate) use open_components::SharedIds;
pub(crate) use open_components::{Number, Open, OpenComponents};
pub use payload::{
    AgentCompleted, AgentProgress, AgentStarted, Failure, FailureDetails, LlmCompleted, LlmStarted, MissedEvents,
    RepeatedCall, StepCompleted, StepStarted, StepType, ToolCall, ToolCompleted, ToolProgress, ToolStarted, Usage,
    WorkflowCompleted, WorkflowStarted,
};
pub use trace_context::{HexId, HexIdError, SpanId, TraceContext, TraceId};
