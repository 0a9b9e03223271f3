//! A script in the place of a model, for examples and tests.

mod model;
mod reply;

pub use model::ScriptedModel;
pub use reply::ScriptedReply;
