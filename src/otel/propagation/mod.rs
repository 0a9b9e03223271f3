//! The trace's context on its way into and out of the process, as W3C `traceparent`, `tracestate` and `baggage` headers.
//!
//! In flow a caller's headers, read exactly as W3C writes them or ignored; out flow the headers of a component. Baggage
//! is apart from the rest on the way out, since it may name customers and goes only to whom the user chose.

mod baggage;
mod carrier;
mod trace_parent;

pub use carrier::extract_context;
pub(super) use carrier::{baggage_header, trace_headers};
