//! How the crate behaves, seen from outside.

#[cfg(all(feature = "openai", feature = "otlp", feature = "redaction"))]
mod content;
mod context;
mod golden;
mod llm;
mod sampling;
#[cfg(feature = "openai")]
mod support;
mod tidy;
