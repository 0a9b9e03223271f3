//! How the crate behaves, seen from outside.

mod llm;
#[cfg(feature = "openai")]
mod support;
