//! What can go wrong with a model.

use std::time::Duration;

use thiserror::Error;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// A model gave no answer, or only a part of one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The client is set up wrongly; says which setting and what it should be.
    #[error("model client configuration: {0}")]
    Configuration(String),
    /// The server could not be reached, or the connection broke.
    #[error("connection to the model's server {server} failed")]
    Connection {
        /// The server, as `host:port`.
        server: String,
        /// What the HTTP client says.
        #[source]
        source: Source,
    },
    /// The server did not answer in time.
    #[error("the model's server {server} sent nothing for {after:?}")]
    Timeout {
        /// The server, as `host:port`.
        server: String,
        /// How long was waited.
        after: Duration,
    },
    /// The server refused the request.
    #[error("the model's server answered {status}: {message}")]
    Status {
        /// The HTTP status code.
        status: u16,
        /// The provider's word for the error, if it gave one.
        code: Option<String>,
        /// The provider's sentence, or the beginning of its answer.
        message: String,
        /// When to try again, if the provider said.
        retry_after: Option<Duration>,
    },
    /// The server's answer is not what the protocol says.
    #[error("the model's answer cannot be read: {reason}")]
    Protocol {
        /// What was expected and what came.
        reason: String,
    },
    /// The answer broke off before its end.
    #[error("the model's answer broke off before its end")]
    Truncated,
}

impl ModelError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connection { .. } | Self::Timeout { .. } | Self::Truncated => true,
            Self::Status { status, .. } => matches!(status, 408 | 409 | 429 | 500..=599),
            Self::Configuration(_) | Self::Protocol { .. } => false,
        }
    }

    /// When to try again, if the provider said.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Configuration(_)
            | Self::Connection { .. }
            | Self::Timeout { .. }
            | Self::Protocol { .. }
            | Self::Truncated => None,
        }
    }

    /// A fixed word for the kind of failure, for `error_code` in events and `error.type` in telemetry.
    ///
    /// One of `configuration`, `connection`, `timeout`, `invalid_response`, `stream_interrupted` and, for an answer with
    /// an error status, `authentication`, `permission_denied`, `not_found`, `rate_limit_exceeded`, `invalid_request` or
    /// `server_error`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Configuration(_) => "configuration",
            Self::Connection { .. } => "connection",
            Self::Timeout { .. } => "timeout",
            Self::Protocol { .. } => "invalid_response",
            Self::Truncated => "stream_interrupted",
            Self::Status { status, .. } => match status {
                401 => "authentication",
                403 => "permission_denied",
                404 => "not_found",
                408 => "timeout",
                429 => "rate_limit_exceeded",
                500..=599 => "server_error",
                _ => "invalid_request",
            },
        }
    }
}
