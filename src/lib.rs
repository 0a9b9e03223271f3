//! A runtime for AI-agent workflows that shows what it does.

pub mod event;
pub mod llm;
pub mod otel;
pub mod prelude;
pub mod runtime;
