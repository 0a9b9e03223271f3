//! The spans of what is stored, sent to a collector.

use std::process::ExitCode;

use agent_runtime::{
    otel::{StoredExportError, Telemetry},
    store::EventStore,
};
use serde::Serialize;

use crate::{
    arguments::{Format, Replay},
    failure::{FAILED, Failure},
    store::Location,
    terminal::{self, Output},
};

/// The service of the spans, unless the environment names another.
const SERVICE: &str = "agent-runtime";

#[derive(Serialize)]
struct Report<'a> {
    address: &'a str,
    sent: u64,
    rejected: u64,
    still_open: u64,
}

pub(super) async fn send(
    location: &Location,
    store: &dyn EventStore,
    asked: &Replay,
    format: Format,
    output: &mut Output,
) -> Result<ExitCode, Failure> {
    let export = Telemetry::builder(SERVICE).with_otlp_from_env().build_for_store().map_err(Failure::Setup)?;
    let report = export.send(store, asked.from, &asked.filters.query()).await.map_err(|error| match error {
        StoredExportError::Store(error) => location.failed(error),
        error => Failure::Collector { location: export.address().to_owned(), source: error },
    })?;
    let report = Report {
        address: export.address(),
        sent: report.sent,
        rejected: report.rejected,
        still_open: report.still_open,
    };
    let line = match format {
        Format::Json => terminal::json(&report),
        Format::Text => {
            let Report { address, sent, rejected, still_open } = report;
            let mut line = format!("{sent} spans sent to {}", terminal::printable(address));
            if rejected > 0 {
                line.push_str(&format!(", {rejected} refused"));
            }
            if still_open > 0 {
                line.push_str(&format!(", {still_open} components have no end yet"));
            }
            line
        }
    };
    output.line(&line)?;
    output.flush()?;
    Ok(if report.rejected > 0 { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}
