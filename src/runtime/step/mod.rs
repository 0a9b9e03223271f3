//! Steps: what a workflow is made of, one file for each kind.

mod agent;
mod conditional;
mod definition;
mod execute;
mod sub_workflow;
mod transform;

pub use agent::AgentStep;
pub use conditional::ConditionalStep;
pub use definition::Step;
pub(super) use execute::execute;
pub use sub_workflow::SubWorkflowStep;
pub use transform::TransformStep;
