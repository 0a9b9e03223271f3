//! The behaviour of the crate, seen from outside; what is global to a process has a binary of its own beside this one.

mod otel;
mod runtime;
#[path = "../support/mod.rs"]
mod support;
