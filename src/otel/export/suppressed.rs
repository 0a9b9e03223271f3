//! How an export is polled: inside the runtime of its connections, and with `tracing` off.

use std::{
    future::{Future, poll_fn},
    pin::pin,
};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};

use super::{
    reentry::Inside,
    remarks::{self, Attempt, PartialSuccess, Remarks},
    runtime::ExportRuntime,
};

/// What became of an export.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) result: OTelSdkResult,
    /// How many items the collector did not take, if it took the others.
    pub(super) rejected: Option<u64>,
}

/// Polls an export inside the runtime of its connections, as the SDK's threads are in none, and with `tracing` off, so
/// that the bridge never observes itself.
///
/// `items` says what is exported, `5 spans` say. What becomes of each attempt is reported as it happens, with the reason.
pub(super) async fn poll_suppressed(
    runtime: Option<&ExportRuntime>,
    items: &str,
    on_attempt: impl Fn(Attempt, Option<&str>),
    export: impl Future<Output = OTelSdkResult>,
) -> Sent {
    let mut export = pin!(export);
    let mut remarks = Remarks::default();
    let result = poll_fn(|cx| {
        let polled = Inside::with(|| {
            let _runtime = runtime.map(ExportRuntime::enter);
            let _quiet = tracing::dispatcher::set_default(&remarks::EAR);
            export.as_mut().poll(cx)
        });
        remarks.add(remarks::take());
        if let Some(attempt) = remarks.attempt.take() {
            on_attempt(attempt, remarks.reason.as_deref());
        }
        polled
    })
    .await;
    match (result, remarks) {
        (Ok(()), Remarks { partial_success: Some(PartialSuccess { rejected: rejected @ 1.., message }), .. }) => {
            let reason = format!("the collector rejected {rejected} of {items}: {message}");
            Sent { result: Err(OTelSdkError::InternalFailure(reason)), rejected: Some(rejected) }
        }
        (Err(OTelSdkError::InternalFailure(failure)), Remarks { reason: Some(reason), .. }) => {
            let reason = format!("{failure}: {reason}");
            Sent { result: Err(OTelSdkError::InternalFailure(reason)), rejected: None }
        }
        (result, _) => Sent { result, rejected: None },
    }
}
