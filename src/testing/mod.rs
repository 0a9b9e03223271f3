//! For tests of agents: runs that come out the same every time, and what they left behind.
//!
//! A [`Recorder`] gives a [`Runtime`](crate::runtime::Runtime) whose ids are drawn from a seed and whose clock starts at a
//! fixed time; in a test with Tokio's time paused two runs then give the same events and spans, to the byte. Out come
//! the events, the spans and a drawing of the span tree to compare with; [`assert_balanced`] checks that every component
//! that began also ended.
//!
//! With [`ScriptedModel`](crate::llm::ScriptedModel) in the model's place no network is needed.

mod balance;
mod recorder;
mod tree;

pub use balance::{Imbalance, assert_balanced, check_balance};
pub use recorder::Recorder;
pub use tree::span_tree;
