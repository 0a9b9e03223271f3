//! How the crate behaves, seen from outside; what is global to a process has a binary of its own beside this one.

#[cfg(all(feature = "openai", feature = "otlp", feature = "redaction"))]
mod content;
mod context;
mod event;
mod golden;
mod guide;
mod llm;
mod otel;
mod runtime;
mod sampling;
#[path = "../support/mod.rs"]
mod support;
mod tidy;
