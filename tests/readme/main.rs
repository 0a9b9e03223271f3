//! What README.md and the heads of the examples promise: their programs are these, they run, and they show what is said.

mod chat;
mod examples;
mod operating;
mod service;
mod stranger;
#[expect(dead_code, unused_imports, reason = "shared with other test binaries, which use other parts of it")]
#[path = "../support/mod.rs"]
mod support;
mod text;
