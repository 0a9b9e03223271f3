//! What became of each signal, side by side.

use std::fmt;

use opentelemetry_sdk::error::OTelSdkError;
use thiserror::Error;

use super::{Delivery, ExportFailure, delivery::Counts};

/// What became of the telemetry of a process so far, or in the end.
///
/// Its text names each loss, `4 of 4 spans did not arrive (4 refused or unreachable, 0 not sent): …` say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportReport {
    /// The spans; all numbers are zero with a provider of the user's, which counts nothing.
    pub spans: SignalReport,
    /// The metrics.
    pub metrics: MetricsReport,
    /// The log events; all numbers are zero with a provider of the user's, which counts nothing.
    pub logs: SignalReport,
    /// How many events, progress not counted, passed by while not a single one came to this telemetry.
    pub unseen_events: u64,
}

/// What became of the spans or of the log events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignalReport {
    /// How many there were, and where they are.
    pub delivery: Delivery,
    /// Why an export failed last, if one did.
    pub failure: Option<ExportFailure>,
}

/// What became of the metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetricsReport {
    /// How many exports arrived.
    pub exported: u64,
    /// How many exports did not.
    pub failed: u64,
    /// Why the last one did not arrive, if it did not.
    pub failure: Option<ExportFailure>,
}

/// Not all telemetry has arrived.
///
/// Its text is that of its [report](Self::report), unless it [comes from inside](Self::is_from_inside) the export.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", self.text())]
pub struct ExportError {
    report: Box<ExportReport>,
    from_inside: bool,
}

impl ExportReport {
    /// Whether all has arrived that should have.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.spans.is_complete() && self.metrics.failure.is_none() && self.logs.is_complete() && self.unseen_events == 0
    }

    pub(super) fn into_result(self) -> Result<Self, ExportError> {
        if self.is_complete() { Ok(self) } else { Err(ExportError { report: Box::new(self), from_inside: false }) }
    }

    /// The error of an exporter or a processor that asks for its own end.
    pub(super) fn into_error_from_inside(self) -> ExportError {
        ExportError { report: Box::new(self), from_inside: true }
    }
}

impl SignalReport {
    /// What is known by the counts, and by the end of the export if that failed.
    pub(super) fn of(counts: &Counts, failure: Option<OTelSdkError>) -> Self {
        let delivery = counts.read();
        let of_items = if delivery.missing() > 0 { counts.last_failure.get() } else { None };
        let failure = of_items.or_else(|| failure.map(|failure| ExportFailure::new(&failure, None)));
        Self { delivery, failure }
    }

    /// Whether all has arrived that should have.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.delivery.missing() == 0 && self.failure.is_none()
    }

    /// Says what is missing.
    fn describe(&self, f: &mut fmt::Formatter<'_>, items: &str) -> fmt::Result {
        let Delivery { ended, failed, unanswered, .. } = self.delivery;
        let (missing, unsent) = (self.delivery.missing(), self.delivery.unsent());
        if missing == 0 {
            write!(f, "the {items} could not be flushed")?;
        } else {
            write!(f, "{missing} of {ended} {items} did not arrive ({failed} refused or unreachable, ")?;
            if unanswered > 0 {
                write!(f, "{unanswered} sent and not answered in time, ")?;
            }
            write!(f, "{unsent} not sent)")?;
        }
        reason(f, self.failure.as_ref())
    }
}

impl ExportError {
    /// What arrived and what did not.
    #[must_use]
    pub const fn report(&self) -> &ExportReport {
        &self.report
    }

    /// Whether an exporter or a processor asked for the flush or the end that it would have had to wait for itself. Nothing
    /// was done then; another thread can do it.
    #[must_use]
    pub const fn is_from_inside(&self) -> bool {
        self.from_inside
    }

    fn text(&self) -> String {
        if self.from_inside {
            "an exporter or a processor cannot flush or end the telemetry that it belongs to: another thread can"
                .to_owned()
        } else {
            self.report.to_string()
        }
    }
}

fn reason(f: &mut fmt::Formatter<'_>, failure: Option<&ExportFailure>) -> fmt::Result {
    failure.map_or(Ok(()), |failure| write!(f, ": {failure}"))
}

impl fmt::Display for ExportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_complete() {
            return write!(f, "all {} spans arrived", self.spans.delivery.ended);
        }
        let mut separator = "";
        if self.unseen_events > 0 {
            write!(
                f,
                "{} events came to no layer: either `telemetry.install()` was not called and `telemetry.layer()` is in no \
                 registry, or a filter for the whole registry leaves out the target `agent_runtime::event`: put the filter \
                 on the layer that it is meant for",
                self.unseen_events
            )?;
            separator = "; ";
        }
        if !self.spans.is_complete() {
            f.write_str(separator)?;
            self.spans.describe(f, "spans")?;
            separator = "; ";
        }
        if !self.logs.is_complete() {
            f.write_str(separator)?;
            self.logs.describe(f, "log events")?;
            separator = "; ";
        }
        if self.metrics.failure.is_some() {
            write!(f, "{separator}the last metrics did not arrive")?;
            if self.spans.is_complete() && self.spans.delivery.exported > 0 {
                write!(f, ", all {} spans did", self.spans.delivery.exported)?;
            }
            reason(f, self.metrics.failure.as_ref())?;
            if self.metrics.exported == 0 {
                f.write_str(" (set OTEL_METRICS_EXPORTER=none for a backend without metrics)")?;
            }
        }
        Ok(())
    }
}
