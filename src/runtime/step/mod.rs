//! Steps: what a workflow is made of, one file for each kind. The one that runs a workflow stands above the workflow.

mod agent;
mod conditional;
mod definition;
mod execute;
mod transform;

pub use agent::AgentStep;
pub use conditional::ConditionalStep;
pub use definition::Step;
pub(super) use execute::execute;
pub use transform::TransformStep;
