//! The trace again: spans of what a query finds, sent once more.

use opentelemetry_sdk::trace::SpanData;

use super::{StoredExport, StoredExportError};
use crate::{
    event::{EventScope, EventType},
    otel::export::{ExportFailure, batch},
    store::{Cursor, EventStore, Query},
};

/// How many events are read at once.
const PAGE_SIZE: usize = 256;

/// How many spans go into one request at most.
const MAX_SPANS: usize = 512;

/// What became of the spans of stored events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AgainReport {
    /// The spans that the collector took.
    pub sent: u64,
    /// The spans that the collector refused while it took others of the same request.
    pub rejected: u64,
    /// The components that have no end in the store, which have no span yet.
    pub still_open: u64,
}

impl StoredExport {
    /// Sends the spans of the components whose start lies behind a cursor and passes a query, up to the end of the store.
    ///
    /// A component's progress and its end are read wherever they are: the query's type and status are ignored, and its
    /// `until` bounds the starts alone. A component whose start is not found has no span. Memory is bounded by a page of
    /// events, a request, and the spans that are open at once.
    ///
    /// # Errors
    ///
    /// - [`StoredExportError::Store`] if the store cannot be read.
    /// - [`StoredExportError::Collector`] if a request did not get through. Those before it did; the same call sends equal
    ///   spans.
    ///
    /// # Cancel safety
    ///
    /// What was sent stays sent; nothing else is left behind.
    pub async fn send(
        &self,
        store: &dyn EventStore,
        from: Cursor,
        query: &Query,
    ) -> Result<AgainReport, StoredExportError> {
        let mut wanted = query.clone();
        wanted.filter.event_types.clear();
        wanted.filter.statuses.clear();
        // An end may come later than `until`, and what is said of a component is not always said under its id.
        let mut read = wanted.clone();
        read.filter.scopes.clear();
        read.filter.component_ids.clear();
        read.until = None;
        let (mut fold, mut report) = (self.fold(), AgainReport::default());
        let (mut cursor, mut waiting) = (from, Vec::new());
        loop {
            let page = store.read(cursor, &read, PAGE_SIZE).await?;
            for stored in &page.events {
                let is_start =
                    stored.event.event_type == EventType::Started && stored.event.scope != EventScope::System;
                if !is_start || wanted.passes(stored) {
                    fold.take(stored);
                }
            }
            waiting.extend(fold.ended());
            while waiting.len() >= MAX_SPANS || page.is_last && !waiting.is_empty() {
                let rest = waiting.split_off(waiting.len().min(MAX_SPANS));
                self.send_all(std::mem::replace(&mut waiting, rest), &mut report).await?;
            }
            cursor = page.next;
            if page.is_last {
                report.still_open = fold.open() as u64;
                return Ok(report);
            }
        }
    }

    async fn send_all(&self, spans: Vec<SpanData>, report: &mut AgainReport) -> Result<(), StoredExportError> {
        for request in batch::split(spans) {
            let spans = request.len() as u64;
            let sent = self.request(request).await;
            let rejected = match (&sent.result, sent.rejected) {
                (Ok(()), _) => 0,
                (Err(_), Some(rejected)) => rejected.min(spans),
                (Err(failure), None) => {
                    let failure = ExportFailure::new(failure, Some(self.address()));
                    return Err(StoredExportError::Collector { spans, failure });
                }
            };
            report.sent += spans - rejected;
            report.rejected += rejected;
        }
        Ok(())
    }
}
