//! The contract: what happened, as data, and the log that carries it.
//!
//! In flows an [`Event`], made by one of its constructors or by the runtime; [`EventStream::append`] numbers it, keeps
//! it in a bounded log and hands it on. Out it flows through [`Subscription`]s (live and from any kept offset) and
//! through one `tracing` event, by which a bridge such as the OpenTelemetry layer sees it. Nothing here knows who listens.
#![doc = include_str!("../../docs/events.md")]
//!
//! [`Workflow::execute`]: crate::runtime::Workflow::execute

mod batch;
mod clock;
mod component_id;
mod construct;
mod data;
mod emission;
mod error;
mod log;
mod model;
mod payload;
mod stream;
mod subscription;
mod trace_context;
mod trace_url;

pub use batch::{BatchWindow, Batched, LLM_BATCH_WINDOW, MAX_GATHERED_EVENTS, Merged, TOOL_BATCH_WINDOW};
pub use component_id::MAX_COMPONENT_ID_BYTES;
pub use data::EventData;
pub use emission::{Emission, SpanScope, TRACING_TARGET};
pub use error::{EventError, Lagged, RecvError, TryRecvError};
pub use model::{ComponentStatus, Event, EventScope, EventType};
pub use payload::{
    AgentCompleted, AgentProgress, AgentStarted, Failure, FailureDetails, LlmCompleted, LlmStarted, StepCompleted,
    StepStarted, StepType, ToolCall, ToolCompleted, ToolProgress, ToolStarted, Usage, WorkflowCompleted,
    WorkflowStarted,
};
pub(crate) use stream::lagged_events_in_process;
pub use stream::{DEFAULT_CAPACITY, EventStream, EventStreamBuilder};
pub use subscription::Subscription;
pub use trace_context::{HexId, HexIdError, SpanId, TraceContext, TraceId};
pub use trace_url::{TraceUrl, TraceUrlError};
