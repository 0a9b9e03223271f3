//! What runs right now, whoever wrote it: components, the guard that ends each exactly once, and what carries the current
//! one on.
//!
//! In flows the start of a component; out flow its events, into the stream of its [`Run`], and the context in which its work
//! is polled. The runtime is the first user of this module; any other agent code has the same tree, ends, headers and live
//! events by it:
//!
//! - [`workflow`] begins a run on a stream; [`agent`], [`step`], [`request`] and [`tool`] begin components in it, wherever one
//!   is current. [`run`](ComponentBuilder::run) ends them by the `Result` that comes back;
//!   [`start`](ComponentBuilder::start) returns the guard.
//! - What is started inside nests without being passed anything. Ancestry belongs to the task, never to the thread:
//!   [`spawn`], [`spawn_blocking`], [`InCurrent`] and [`current`] carry it on into other tasks and threads.
//! - [`reporter`] is the voice of the component that code runs in: progress, chunks, usage, output. [`Run::current`] is its run.
//! - Outside every run all of it is inert: nothing is reported, and work runs as it would without it. So a library may use it
//!   whether or not its caller has a stream.

mod ambient;
mod builder;
mod by_hand;
mod carrier;
mod cause;
mod completion;
mod current;
mod foreign_words;
mod guard;
mod lineage;
mod owned_stream;
mod place;
mod position;
mod reporter;
mod run;
mod seed;
mod start_data;
mod tags;
mod tally;
mod work;

#[cfg(feature = "ingest")]
pub(crate) use ambient::{EnteredSpan, enter_span, leave_span, start_before_leaving};
#[cfg(feature = "ingest")]
pub(crate) use builder::workflow_in;
pub use builder::{ComponentBuilder, Parent, agent, nested_workflow, request, step, tool, workflow};
pub use carrier::{InCurrent, spawn, spawn_blocking, trace_headers};
pub use cause::Cause;
pub(crate) use cause::with_sources;
pub use completion::Completion;
pub(crate) use current::begin_run;
pub use current::{Current, current, reporter};
pub use guard::Component;
pub use owned_stream::ComponentStream;
#[cfg(feature = "ingest")]
pub(crate) use place::Place;
pub use reporter::Reporter;
pub use run::{Run, RunOptions};
pub use seed::Seed;
pub use start_data::StartData;
pub(crate) use tally::CUT_MARKER;
