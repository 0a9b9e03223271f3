//! Why an export failed, and where it went.

use std::fmt;

use opentelemetry_sdk::error::OTelSdkError;

/// Why an export failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportFailure {
    reason: String,
    address: Option<String>,
}

impl ExportFailure {
    pub(super) fn new(failure: &OTelSdkError, address: Option<&str>) -> Self {
        let reason = match failure {
            OTelSdkError::InternalFailure(reason) => reason.clone(),
            OTelSdkError::AlreadyShutdown | OTelSdkError::Timeout(_) => failure.to_string(),
        };
        Self { reason, address: address.map(str::to_owned) }
    }

    /// What went wrong.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The address that was asked, where it is known; without a name and a password in it.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }
}

impl fmt::Display for ExportFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        self.address.as_ref().map_or(Ok(()), |address| write!(f, " ({address})"))
    }
}
