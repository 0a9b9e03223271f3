//! Workflows, agents and tools: does the work and says so.
//!
//! In flows an input and a [`Workflow`], out flow its output and, into an [`EventStream`](crate::event::EventStream), one
//! Started and exactly one end for each component, whatever becomes of it. Nothing here knows who listens: a component's
//! future is polled in whatever [`SpanScope`](crate::event::SpanScope) a bridge has handed back.

mod agent;
mod agent_loop;
mod component;
mod error;
mod executor;
mod run;
mod scope;
mod step;
mod tool;
mod tool_call;
mod workflow;

pub use agent::{Agent, AgentBuilder, DEFAULT_MAX_ITERATIONS};
pub use error::{BoxError, RunError, ToolError};
pub use executor::{RunOptions, RunOutput, Runtime};
pub use scope::{spawn, spawn_blocking, trace_headers};
pub use step::{AgentStep, Step, SubWorkflowStep, TransformStep};
pub use tool::{FnTool, MAX_PROGRESS_BYTES_PER_CALL, MAX_PROGRESS_MESSAGE_BYTES, ProgressCallback, Tool};
pub use workflow::{Workflow, WorkflowBuilder};
