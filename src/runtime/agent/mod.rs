//! An agent: a model with instructions and tools, and the conversation that it leads until it has an answer.

mod conversation;
mod definition;
mod repetition;
mod request;

pub(super) use conversation::run;
pub(super) use definition::Definition;
pub use definition::{Agent, AgentBuilder};
