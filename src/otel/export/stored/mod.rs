//! Spans of stored events: the trace again.
//!
//! In flow events of a store, in its order; [`Fold`](fold::Fold) makes the spans of those components that have ended, under
//! the ids that they had, and the exporter sends them and waits for the collector's answer. Nothing of it is global.

mod again;
mod definition;
mod error;
mod fold;

pub use again::AgainReport;
pub use definition::StoredExport;
pub use error::StoredExportError;
