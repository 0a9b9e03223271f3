//! Whether a collector takes what the environment has programs send.

use std::error::Error;

use agent_runtime::otel::ask_collector;

use super::check::{Check, Part};

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
            let mut what = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                what.push_str(&format!(": {cause}"));
                source = cause.source();
            }
            Part::Endpoint.problem("traces", what, "set the variable as the error says; docs/environment.md has all")
        }
    }
}
