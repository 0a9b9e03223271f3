//! The fields of `data` that this crate defines: how they are written and how they are read back.
//!
//! Each struct is what the runtime says at one stage of one scope; into [`EventData`](super::EventData) it goes by `From`. Each
//! reader is a method of `EventData`. The names are the guide's.

mod agent;
mod failure;
mod fields;
mod llm;
mod read;
mod setters;
mod step;
mod system;
mod tool;
mod workflow;

pub use agent::{AgentCompleted, AgentProgress, AgentStarted};
pub use failure::{Failure, FailureDetails};
pub use llm::{LlmCompleted, LlmStarted, ToolCall, Usage};
pub use step::{StepCompleted, StepStarted, StepType};
pub use system::{MissedEvents, RepeatedCall};
pub use tool::{ToolCompleted, ToolProgress, ToolStarted};
pub use workflow::{WorkflowCompleted, WorkflowStarted};
