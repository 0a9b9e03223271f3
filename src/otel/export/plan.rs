//! What all signals are made with.

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::Resource;

use crate::{
    environment::telemetry::SdkSettings,
    otel::{ContentPolicy, ProgressSignal},
};

/// What all signals are made with: the settings of the SDK, the policy for content, and who speaks.
pub(super) struct Plan {
    pub(super) settings: SdkSettings,
    pub(super) content: ContentPolicy,
    pub(super) progress: ProgressSignal,
    pub(super) resource: Resource,
    pub(super) scope: InstrumentationScope,
}

impl Plan {
    /// Whether anything becomes log events.
    pub(super) fn has_log_events(&self) -> bool {
        self.content.capture().is_in_events() || self.progress.is_in_logs()
    }
}
