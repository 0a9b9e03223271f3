//! Spans of other libraries as native components.
//!
//! In flow `tracing` spans that carry `gen_ai.operation.name`, as `rig`, `genai` and others make them; out flow the events of
//! a component, into the run of the component around it or, where there is none, into a run of the stream's. A span is a
//! component like any other: what starts in it nests below it, and it has one end.

mod facts;
mod layer;
mod messages;
mod names;
mod payload;
mod span;

pub use facts::MAX_BYTES as MAX_SPAN_BYTES;
pub use layer::ingest;
pub use span::MAX_OPEN as MAX_OPEN_SPANS;
