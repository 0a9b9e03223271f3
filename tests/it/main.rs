//! How the crate behaves, seen from outside.

mod context;
mod golden;
mod llm;
mod sampling;
#[cfg(feature = "openai")]
mod support;
mod tidy;
