//! Why telemetry could not be set up.

use std::{error::Error, io, iter, path::PathBuf};

use thiserror::Error as ThisError;

use crate::environment::EnvironmentError;

/// Telemetry could not be set up.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum TelemetrySetupError {
    /// The value of a variable cannot be used.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// A variable asks for what needs a Cargo feature.
    #[error("{variable}={value:?} needs the feature `{feature}` of agent-runtime-otel")]
    #[non_exhaustive]
    MissingFeature {
        /// The environment variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// The feature's name.
        feature: &'static str,
    },
    /// A file with certificates or a key cannot be read, or holds none that can be used.
    #[error("{variable}={:?} cannot be used", .path)]
    #[non_exhaustive]
    Certificate {
        /// The environment variable.
        variable: &'static str,
        /// The file that it names.
        path: PathBuf,
        /// What is wrong with the file.
        #[source]
        source: io::Error,
    },
    /// Of a client's certificate and its key, only one is set.
    #[error("{variable} is set and {missing} is not: a client certificate needs both")]
    #[non_exhaustive]
    ClientCertificate {
        /// The environment variable that is set.
        variable: &'static str,
        /// The one that is not.
        missing: &'static str,
    },
    /// The exporter could not be made from the `OTEL_*` variables.
    #[error("the OTLP exporter cannot be set up; see the OTEL_EXPORTER_OTLP_* variables")]
    Exporter(#[source] opentelemetry_otlp::ExporterBuildError),
    /// Stored events are to be sent, and nothing says where to.
    #[error(
        "there is no collector for stored events: export over OTLP from the environment, and let OTEL_SDK_DISABLED and \
         OTEL_TRACES_EXPORTER not forbid it"
    )]
    NoCollector,
    /// A thread that the export needs could not be started.
    #[error("a thread for the exporter cannot be started")]
    Thread(#[source] io::Error),
    /// A `tracing` subscriber is installed already; add [`Telemetry::layer`](super::Telemetry::layer) to that one.
    #[error("a global tracing subscriber is installed already: add `telemetry.layer()` to it")]
    SubscriberInstalled(#[source] tracing::subscriber::SetGlobalDefaultError),
}

/// What is behind an error; not the error's own text, in which the client puts the URL and who knows what is in that.
pub(super) fn causes(error: &(dyn Error + 'static)) -> String {
    let causes = iter::successors(error.source(), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
