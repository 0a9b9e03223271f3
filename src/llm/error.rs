//! What can go wrong with a model.

use std::{fmt, time::Duration};

use thiserror::Error;

use super::Finish;
use crate::wording::Summary;

/// Providers' words for what no later try mends, though its status says so.
const FINAL_CODES: [&str; 3] = ["insufficient_quota", "billing", "quota_exhausted"];

/// What is behind a failed connection.
type Source = Box<dyn std::error::Error + Send + Sync>;

/// A model returned no answer, or only a part of one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The client is set up wrongly; names the setting and what it should be.
    #[error("model client configuration: {0}")]
    Configuration(String),
    /// The server could not be reached, or the connection failed.
    #[error("connection to the model's server {server} failed")]
    #[non_exhaustive]
    Connection {
        /// The server, as `host:port`.
        server: String,
        /// The HTTP client's error.
        #[source]
        source: Source,
    },
    /// The server did not answer in time.
    #[error("the model's server {server} sent nothing for {after:?} (timeout)")]
    #[non_exhaustive]
    Timeout {
        /// The server, as `host:port`.
        server: String,
        /// How long was waited.
        after: Duration,
    },
    /// The server refused the request.
    #[error("{0}")]
    Status(StatusError),
    /// The server's answer does not follow the protocol.
    #[error("the model's answer cannot be read: {reason}")]
    #[non_exhaustive]
    Protocol {
        /// What was expected and what came.
        reason: String,
    },
    /// The answer was interrupted before its end.
    #[error("the model's answer was interrupted before its end")]
    StreamInterrupted,
    /// The model stopped for a reason that is no good end, or a limit cut its answer before it was of any use.
    #[error("the model stopped before its answer was complete: {reason}")]
    #[non_exhaustive]
    Unfinished {
        /// Why it stopped, in the provider's word.
        reason: String,
    },
    /// The model refused to answer.
    #[error("the model refused to answer: {message}")]
    #[non_exhaustive]
    Refused {
        /// The model's sentence.
        message: String,
    },
    /// The answer has neither text nor tool calls.
    #[error("the model's answer is empty (finish reason: {})", .reason.as_deref().unwrap_or("none"))]
    #[non_exhaustive]
    Empty {
        /// Why the model stopped, in the provider's word; `None` if it did not say.
        reason: Option<String>,
    },
    /// The answer is larger than its reader allows.
    #[error("the model's answer has more than {limit} {unit}")]
    #[non_exhaustive]
    TooLarge {
        /// The most that is allowed.
        limit: usize,
        /// What is counted.
        unit: &'static str,
    },
}

/// A server's refusal: an HTTP error status, or an error inside an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatusError {
    /// The HTTP status code.
    pub status: u16,
    /// The provider's word for the error; `None` if there is none.
    pub code: Option<String>,
    /// The provider's sentence, or the beginning of its answer.
    pub message: String,
    /// How long to wait before the next try; `None` if the provider did not say.
    pub retry_after: Option<Duration>,
    /// What was asked, as method and address without secrets; `None` for an error inside an answer.
    pub asked: Option<String>,
}

impl ModelError {
    /// The server, as `host:port`, could not be reached, or the connection failed.
    #[must_use]
    pub fn connection(server: impl Into<String>, source: impl Into<Source>) -> Self {
        Self::Connection { server: server.into(), source: source.into() }
    }

    /// The server, as `host:port`, did not answer in time.
    #[must_use]
    pub fn timeout(server: impl Into<String>, after: Duration) -> Self {
        Self::Timeout { server: server.into(), after }
    }

    /// The answer does not follow the protocol: what was expected and what came.
    #[must_use]
    pub fn protocol(reason: impl Into<String>) -> Self {
        Self::Protocol { reason: reason.into() }
    }

    /// The model stopped for a reason that is no good end, in the provider's word.
    #[must_use]
    pub fn unfinished(reason: impl Into<String>) -> Self {
        Self::Unfinished { reason: reason.into() }
    }

    /// The model refused to answer, with its sentence.
    #[must_use]
    pub fn refused(message: impl Into<String>) -> Self {
        Self::Refused { message: message.into() }
    }

    /// The answer has neither text nor tool calls; the reason is the provider's word, if it said why the model stopped.
    #[must_use]
    pub const fn empty(reason: Option<String>) -> Self {
        Self::Empty { reason }
    }

    /// The answer is larger than its reader allows: the most that is allowed and what is counted, `bytes` say.
    #[must_use]
    pub const fn too_large(limit: usize, unit: &'static str) -> Self {
        Self::TooLarge { limit, unit }
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connection { .. } | Self::Timeout { .. } | Self::StreamInterrupted => true,
            Self::Status(refusal) => refusal.is_retryable(),
            Self::Configuration(_)
            | Self::Protocol { .. }
            | Self::Unfinished { .. }
            | Self::Refused { .. }
            | Self::Empty { .. }
            | Self::TooLarge { .. } => false,
        }
    }

    /// How long to wait before the next try; `None` if the provider did not say.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status(refusal) => refusal.retry_after,
            Self::Configuration(_)
            | Self::Connection { .. }
            | Self::Timeout { .. }
            | Self::Protocol { .. }
            | Self::StreamInterrupted
            | Self::Unfinished { .. }
            | Self::Refused { .. }
            | Self::Empty { .. }
            | Self::TooLarge { .. } => None,
        }
    }

    /// The failure in our own words, with those of the provider and of libraries that may leave the process.
    pub(crate) fn summary(&self) -> Summary {
        match self {
            Self::Configuration(reason) => Summary::new("model client configuration").with_foreign(reason),
            Self::Connection { source, .. } => Summary::new(self).with_foreign(&sentences(&**source)),
            Self::Status(refusal) => Summary::new(refusal.own_words()).with_foreign(&refusal.message),
            Self::Protocol { reason } => Summary::new("the model's answer cannot be read").with_foreign(reason),
            Self::Unfinished { reason } => {
                Summary::new("the model stopped before its answer was complete").with_foreign(reason)
            }
            Self::Refused { .. } => Summary::new("the model refused to answer"),
            Self::Empty { reason } => {
                let summary = Summary::new("the model's answer is empty");
                reason.iter().fold(summary, |summary, reason| summary.with_foreign(reason))
            }
            Self::Timeout { .. } | Self::StreamInterrupted | Self::TooLarge { .. } => Summary::new(self),
        }
    }

    /// A fixed word for the kind of failure, for `error_code` in events and `error.type` in telemetry.
    ///
    /// One of `configuration`, `connection`, `timeout`, `invalid_response`, `stream_interrupted`, `length`,
    /// `content_filter`, `unfinished`, `refusal`, `empty_response`, `response_too_large` and, for an answer with an error
    /// status, `authentication`, `permission_denied`, `not_found`, `rate_limit_exceeded`, `invalid_request` or
    /// `server_error`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Configuration(_) => "configuration",
            Self::Connection { .. } => "connection",
            Self::Timeout { .. } => "timeout",
            Self::Protocol { .. } => "invalid_response",
            Self::StreamInterrupted => "stream_interrupted",
            Self::Unfinished { reason } => match Finish::of(reason) {
                Finish::Cut => "length",
                Finish::Filtered => "content_filter",
                Finish::Complete | Finish::Failed => "unfinished",
            },
            Self::Refused { .. } => "refusal",
            Self::Empty { .. } => "empty_response",
            Self::TooLarge { .. } => "response_too_large",
            Self::Status(refusal) => refusal.kind(),
        }
    }
}

impl StatusError {
    /// Makes a refusal with an HTTP status code and a sentence.
    #[must_use]
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, code: None, message: message.into(), retry_after: None, asked: None }
    }

    /// Whether the same request may succeed later. An account without credit stays one, whatever its status.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        let is_final = self.code.as_deref().is_some_and(|code| FINAL_CODES.iter().any(|word| code.contains(word)));
        !is_final && matches!(self.status, 408 | 409 | 425 | 429 | 500 | 502..=504 | 506..=599)
    }

    /// A fixed word for the status, whatever the provider's is.
    const fn kind(&self) -> &'static str {
        match self.status {
            401 => "authentication",
            403 => "permission_denied",
            404 => "not_found",
            408 => "timeout",
            429 => "rate_limit_exceeded",
            500..=599 => "server_error",
            _ => "invalid_request",
        }
    }

    /// Sets the provider's word for the error.
    ///
    /// By default, there is none.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Sets how long to wait before the next try.
    ///
    /// By default, the provider did not say.
    #[must_use]
    pub const fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Sets what was asked, as method and address without secrets: `POST http://localhost:8080/v1/chat/completions`.
    ///
    /// By default, this is not known.
    #[must_use]
    pub fn with_asked(mut self, asked: impl Into<String>) -> Self {
        self.asked = Some(asked.into());
        self
    }
}

impl StatusError {
    /// The refusal without the provider's sentence.
    fn own_words(&self) -> String {
        let asked = self.asked.as_deref().unwrap_or("the model's server");
        format!("{asked} answered {} ({})", self.status, self.kind())
    }
}

impl fmt::Display for StatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.own_words(), self.message)
    }
}

impl From<StatusError> for ModelError {
    fn from(refusal: StatusError) -> Self {
        Self::Status(refusal)
    }
}

/// An error and what is behind it, as one sentence.
fn sentences(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
