//! How the crate behaves, seen from outside; what is global to a process has a binary of its own beside this one.

mod cases;
mod component;
mod content;
mod context;
mod event;
mod golden;
mod guide;
mod ingest;
mod llm;
mod metrics;
mod otel;
mod reference;
mod runtime;
mod sampling;
mod store;
mod stream;
#[expect(dead_code, reason = "shared with other test binaries, which use other parts of it")]
#[path = "../support/mod.rs"]
mod support;
mod testing;
mod tidy;
mod view;
