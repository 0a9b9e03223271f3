//! A runtime for AI-agent workflows that shows what it does.

pub mod event;
pub mod prelude;
