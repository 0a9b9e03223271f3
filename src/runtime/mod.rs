//! Workflows, agents and tools: does the work and says so.
//!
//! In flows an input and a [`Workflow`], out flow its output and, into an [`EventStream`](crate::stream::EventStream), one
//! Started and exactly one end for each component, whatever becomes of it. Nothing here knows who listens: a component's
//! future is polled in whatever [`ComponentContext`](crate::stream::ComponentContext) a bridge has handed back.

mod agent;
mod channel;
mod error;
mod executor;
mod output;
mod step;
mod sub_workflow;
mod tool;
mod workflow;

pub use agent::{Agent, AgentBuilder};
pub use error::{BoxError, RunError, ToolError};
pub use executor::{RunFuture, Runtime};
pub use output::RunOutput;
pub use step::{AgentStep, ConditionalStep, Step, TransformStep};
pub use sub_workflow::SubWorkflowStep;
pub use tool::{FnTool, ProgressCallback, Tool};
pub use workflow::{Workflow, WorkflowBuilder};
