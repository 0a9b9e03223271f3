//! What went wrong: what, where and what to do, for people or as JSON.

use std::{
    error::Error,
    io::{self, Write as _},
    iter,
    process::ExitCode,
};

use agent_runtime::{
    otel::{StoredExportError, TelemetrySetupError},
    store::StoreError,
};
use serde::Serialize;
use thiserror::Error;

use crate::{arguments::Format, terminal};

/// The exit code of something that failed or was found.
pub(crate) const FAILED: u8 = 1;

/// The exit code of arguments that cannot be used.
pub(crate) const USAGE: u8 = 2;

#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("{what}")]
    Usage { what: String, advice: String },
    #[error("there is no store: {what}")]
    Missing { location: String, what: String, advice: String },
    #[error("{source}")]
    Store { location: String, advice: Option<String>, source: StoreError },
    #[error("{what}")]
    NotFound { location: String, what: String, advice: String },
    #[error("the export cannot be set up")]
    Setup(#[source] TelemetrySetupError),
    #[error("{source}")]
    Collector { location: String, source: StoredExportError },
    #[error("the output cannot be written")]
    Output(#[source] io::Error),
    #[error("the runtime of this program cannot begin")]
    Runtime(#[source] io::Error),
    /// The reader of the output has seen enough.
    #[error("the output is closed")]
    ClosedPipe,
}

/// A failure in JSON.
#[derive(Serialize)]
struct Report<'a> {
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    kind: &'a str,
    what: String,
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    location: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'a str>,
}

impl Failure {
    pub(crate) fn usage(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), advice: advice.into() }
    }

    pub(crate) fn missing(location: String, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::Missing { location, what: what.into(), advice: advice.into() }
    }

    /// Writes it to stderr; returns the exit code.
    pub(crate) fn report(&self, format: Format) -> ExitCode {
        let body = Body { kind: self.kind(), what: self.whole(), location: self.location(), advice: self.advice() };
        let text = match format {
            Format::Json => terminal::json(&Report { error: body }),
            Format::Text => {
                let location = body.location.map(|location| format!("\nwhere: {}", terminal::printable(location)));
                let advice = body.advice.map(|advice| format!("\nto do: {}", terminal::printable(advice)));
                let [location, advice] = [location, advice].map(Option::unwrap_or_default);
                format!("error: {}{location}{advice}", terminal::printable(&body.what))
            }
        };
        // Nobody is left to hear of it.
        writeln!(io::stderr().lock(), "{text}").ok();
        ExitCode::from(self.code())
    }

    /// Itself and what is behind it.
    pub(crate) fn whole(&self) -> String {
        match self {
            // Each says what its source says.
            Self::Store { source, .. } => with_sources(source),
            Self::Collector { source, .. } => with_sources(source),
            other => with_sources(other),
        }
    }

    const fn code(&self) -> u8 {
        match self {
            Self::Usage { .. } | Self::Setup(_) | Self::Store { source: StoreError::Misconfigured { .. }, .. } => USAGE,
            Self::ClosedPipe => 0,
            _ => FAILED,
        }
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::Usage { .. } => "usage",
            Self::Missing { .. } => "no_store",
            Self::Store { source: StoreError::Unavailable { .. }, .. } => "unavailable",
            Self::Store { source: StoreError::Damaged { .. }, .. } => "damaged",
            Self::Store { source: StoreError::Incompatible { .. }, .. } => "incompatible",
            Self::Store { source: StoreError::UnknownEpoch { .. }, .. } => "unknown_epoch",
            Self::Store { source: StoreError::Misconfigured { .. }, .. } => "misconfigured",
            Self::Store { .. } => "store",
            Self::NotFound { .. } => "not_found",
            Self::Setup(_) => "setup",
            Self::Collector { .. } => "collector",
            Self::Output(_) | Self::ClosedPipe => "output",
            Self::Runtime(_) => "runtime",
        }
    }

    fn location(&self) -> Option<&str> {
        match self {
            Self::Missing { location, .. }
            | Self::Store { location, .. }
            | Self::NotFound { location, .. }
            | Self::Collector { location, .. } => Some(location),
            Self::Usage { .. } | Self::Setup(_) | Self::Output(_) | Self::Runtime(_) | Self::ClosedPipe => None,
        }
    }

    pub(crate) fn advice(&self) -> Option<&str> {
        match self {
            Self::Usage { advice, .. } | Self::Missing { advice, .. } | Self::NotFound { advice, .. } => Some(advice),
            Self::Store { advice, .. } => advice.as_deref(),
            Self::Setup(_) | Self::Collector { .. } | Self::Output(_) | Self::Runtime(_) | Self::ClosedPipe => None,
        }
    }
}

/// An error and what is behind it.
pub(crate) fn with_sources(error: &dyn Error) -> String {
    let chain = iter::successors(Some(error), |&error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

impl From<io::Error> for Failure {
    /// An error of writing.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::ClosedPipe } else { Self::Output(error) }
    }
}
