//! Whether a collector takes what the environment has programs send.

use agent_runtime::otel::ask_collector;

use super::check::{Check, Part};
use crate::failure::with_sources;

pub(super) async fn check() -> Check {
    match ask_collector().await {
        Ok(None) => Part::Endpoint.note(
            "traces",
            "nothing is asked: OTEL_EXPORTER_OTLP_ENDPOINT is not set, or the environment leaves traces out",
        ),
        Ok(Some(answer)) => match answer.failure {
            None => Part::Endpoint.ok("traces", format!("{} takes spans", answer.address)),
            Some(failure) => {
                let what = format!("{} does not take spans: {}", answer.address, failure.reason());
                let advice = "look whether a collector listens there, and at the OTEL_EXPORTER_OTLP_ variables";
                Part::Endpoint.problem("traces", what, advice)
            }
        },
        Err(error) => {
            let what = with_sources(&error);
            Part::Endpoint.problem("traces", what, "set the variable as the error says; docs/environment.md has all")
        }
    }
}
