//! Why spans of stored events were not sent.

use thiserror::Error;

use crate::{otel::export::ExportFailure, store::StoreError};

/// Spans of stored events were not sent, or not all.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoredExportError {
    /// The store cannot be read.
    #[error("the events to be sent cannot be read")]
    Store(#[from] StoreError),
    /// The collector was not reached or refused the request, after the exporter's own attempts.
    #[error("the collector has not taken {spans} spans: {failure}; look at the endpoint, then send them again")]
    #[non_exhaustive]
    Collector {
        /// How many spans the request had.
        spans: u64,
        /// What went wrong, and the address.
        failure: ExportFailure,
    },
}
