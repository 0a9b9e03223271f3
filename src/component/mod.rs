//! What runs right now: the guard that ends a component exactly once, the current component of a task, and what carries it on.
//!
//! In flows the start of a component; out flow its events, into the stream of its [`Run`], and the context in which its work
//! is polled. Ancestry belongs to the task, never to the thread: [`spawn`] and [`spawn_blocking`] carry it on.

mod carrier;
mod current;
mod error_text;
mod guard;
mod lineage;
mod run;

pub use carrier::{spawn, spawn_blocking, trace_headers};
pub(crate) use current::begin_run;
pub(crate) use error_text::with_sources;
pub(crate) use guard::{Component, Reporter};
pub use run::{Run, RunOptions};
