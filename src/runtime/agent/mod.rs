//! An agent: a model with instructions and tools, and the conversation that it leads until it has an answer.

mod conversation;
mod definition;
mod ending;
mod history;
mod limits;
mod repetition;
mod request;
mod retry;

pub(super) use conversation::run;

pub use definition::{Agent, AgentBuilder};
