//! The way from a stream into a store, which never slows the stream.
//!
//! In flow the events of an [`EventStream`](crate::stream::EventStream), through a subscription as any reader has one; out
//! flow [`Batch`](super::Batch)es, without content unless it was asked for. What the store cannot take waits in the stream's
//! own log; what falls out of that is named as a gap.

mod definition;
mod report;
mod tail;

pub use definition::{Recorder, RecorderBuilder};
pub use report::RecorderReport;
