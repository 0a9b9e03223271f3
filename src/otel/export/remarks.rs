//! What is said while an export runs, besides its result: that the collector took a part only, why it was not reached,
//! that the exporter tries again.
//!
//! The exporter counts a request that was taken in part as taken and says the rest in an event of `tracing`, over HTTP and
//! over gRPC alike; likewise that it begins an attempt and that one failed. They are emitted while the export is polled, so
//! a subscriber for that time alone hears them.

use std::{cell::RefCell, sync::LazyLock};

use tracing::{
    Dispatch, Event, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
    subscriber::Interest,
};

thread_local! {
    static REMARKS: RefCell<Remarks> = RefCell::default();
}

/// One for the process: each new one has `tracing` ask all subscribers about all callsites again.
pub(super) static EAR: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Ear));

/// What was said last of each kind.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    pub(super) partial_success: Option<PartialSuccess>,
    /// Why a request failed.
    pub(super) reason: Option<String>,
    /// Whether an attempt began or failed.
    pub(super) attempt: Option<Attempt>,
}

/// Where an export is that the exporter may try several times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// A request is on its way.
    Begun,
    /// It failed, and another will be made.
    Failed,
}

/// The collector took the request, but for a number of its items.
#[derive(Debug, Default)]
pub(super) struct PartialSuccess {
    pub(super) rejected: u64,
    pub(super) message: String,
}

/// Says why a request of the export that this thread polls failed.
pub(super) fn explain(reason: String) {
    REMARKS.with_borrow_mut(|remarks| remarks.reason = Some(reason));
}

/// Says that the export that this thread polls succeeded in part.
pub(super) fn partially(partial_success: PartialSuccess) {
    REMARKS.with_borrow_mut(|remarks| remarks.partial_success = Some(partial_success));
}

/// What was said on this thread since the last call.
pub(super) fn take() -> Remarks {
    REMARKS.take()
}

impl Remarks {
    /// Adds what was said later.
    pub(super) fn add(&mut self, later: Self) {
        self.partial_success = later.partial_success.or(self.partial_success.take());
        self.reason = later.reason.or(self.reason.take());
        self.attempt = later.attempt.or(self.attempt.take());
    }
}

/// A subscriber that hears of these events and of nothing else, so that the bridge never observes itself.
struct Ear;

/// What an event of the exporter says.
enum Said {
    PartialSuccess,
    Attempt(Attempt),
}

fn said(metadata: &Metadata<'_>) -> Option<Said> {
    if metadata.target() != "opentelemetry-otlp" {
        return None;
    }
    match metadata.name() {
        "Export.InProgress.Retrying" | "Export.InProgress.Throttled" => Some(Said::Attempt(Attempt::Failed)),
        name if name.ends_with(".ExportStarted") => Some(Said::Attempt(Attempt::Begun)),
        name if name.ends_with(".PartialSuccess") => Some(Said::PartialSuccess),
        _ => None,
    }
}

impl Subscriber for Ear {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if said(metadata).is_some() { Interest::sometimes() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        said(metadata).is_some()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let remark = match said(event.metadata()) {
            Some(Said::Attempt(attempt)) => Remarks { attempt: Some(attempt), ..Remarks::default() },
            Some(Said::PartialSuccess) => {
                let mut partial_success = PartialSuccess::default();
                event.record(&mut partial_success);
                Remarks { partial_success: Some(partial_success), ..Remarks::default() }
            }
            None => return,
        };
        REMARKS.with_borrow_mut(|remarks| remarks.add(remark));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

impl Visit for PartialSuccess {
    fn record_i64(&mut self, field: &Field, value: i64) {
        if field.name().starts_with("rejected_") {
            self.rejected = value.try_into().unwrap_or_default();
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "error_message" {
            value.clone_into(&mut self.message);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
