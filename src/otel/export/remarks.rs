//! What is said while an export runs, besides its result: that the collector took a part only, or why it was not reached.
//!
//! The exporter counts a request that was taken in part as taken and says the rest in an event of `tracing`, over HTTP and
//! over gRPC alike. It is emitted while the export is polled, so a subscriber for that time alone hears it.

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
    pub(super) rejection: Option<Rejection>,
    /// Why a request did not get through.
    pub(super) network: Option<String>,
}

/// The collector took the request, but for a number of its items.
#[derive(Debug, Default)]
pub(super) struct Rejection {
    pub(super) items: u64,
    pub(super) message: String,
}

/// Says why a request of the export that this thread polls did not get through.
pub(super) fn unreachable_because(reason: String) {
    REMARKS.with_borrow_mut(|remarks| remarks.network = Some(reason));
}

/// What was said on this thread since the last call.
pub(super) fn take() -> Remarks {
    REMARKS.take()
}

impl Remarks {
    /// Adds what was said later.
    pub(super) fn add(&mut self, later: Self) {
        self.rejection = later.rejection.or(self.rejection.take());
        self.network = later.network.or(self.network.take());
    }
}

/// A subscriber that hears of partial success and of nothing else, so that the bridge never observes itself.
struct Ear;

fn is_partial_success(metadata: &Metadata<'_>) -> bool {
    metadata.target() == "opentelemetry-otlp" && metadata.name().ends_with(".PartialSuccess")
}

impl Subscriber for Ear {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_partial_success(metadata) { Interest::sometimes() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_partial_success(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut rejection = Rejection::default();
        event.record(&mut rejection);
        REMARKS.with_borrow_mut(|remarks| remarks.rejection = Some(rejection));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

impl Visit for Rejection {
    fn record_i64(&mut self, field: &Field, value: i64) {
        if field.name().starts_with("rejected_") {
            self.items = value.try_into().unwrap_or_default();
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "error_message" {
            value.clone_into(&mut self.message);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
